"""Files that hold no experiment that could be run: one clear line for each problem."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner

from kubenas.cli.main import app
from kubenas.cli.manifest import read_manifest

VALID = """\
apiVersion: kubenas.io/v1alpha1
kind: NASExperiment
metadata:
  name: tiny
spec:
  objectives:
  - metric: accuracy
  task: {name: image-classification}
  searchSpace:
    preset: nasbench201
  trials:
    max: 2
  trialTemplate:
    spec:
      containers:
      - name: trainer
        command: [python, -c, pass]
"""


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "nas.yaml"


def refused(command: str, file: Path, *options: str) -> list[str]:
    answer = CliRunner().invoke(app, [command, str(file), *options])
    assert answer.exit_code == 1, answer.output
    assert answer.stdout == ""
    return [line.removeprefix(f"{file}") for line in answer.stderr.splitlines()]


def test_a_valid_file(file: Path) -> None:
    file.write_text(VALID)
    answer = CliRunner().invoke(app, ["validate", str(file)])
    assert (answer.exit_code, answer.stdout) == (0, f"{file}: tiny is valid.\n")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", ": is empty: write one object"),
        ("a: [", ":1: is not YAML: "),
        ("a: b: c", ":1: is not YAML: "),
        ("a: \x01", ": is not YAML: "),
        ("- a", ":1: is no object: write a NASExperiment with apiVersion, kind, metadata and spec"),
        (VALID + "---\n" + VALID, ": holds 2 documents: put each into a file of its own"),
        (VALID.replace("NASExperiment", "Deployment"), ":2: kind: must be NASExperiment, not 'Deployment'"),
        (VALID.replace("v1alpha1", "v9"), ":1: apiVersion: must be kubenas.io/v1alpha1, not 'kubenas.io/v9'"),
        (VALID.replace("kind: NASExperiment\n", ""), ":1: kind: is required: write NASExperiment"),
        (VALID.replace("max: 2", "max: 2\n    max: 3"), ":13: spec.trials.max: is there twice: remove one of them"),
        (VALID.replace("max: 2", "max: -2"), ":12: spec.trials.max: must be greater than or equal to 1, not -2"),
        (VALID.replace("max: 2", "most: 2"), ":12: spec.trials.most: is no known field"),
        (VALID.replace("metric: accuracy", "metric: test_accuracy"), ":7: spec.objectives[0].metric: "),
        (VALID.replace("  searchSpace:\n    preset: nasbench201\n", ""), ":5: spec.searchSpace: is required"),
        (VALID.replace(" -c,", " $(kubenas.nothing),"), ":17: spec.trialTemplate.spec.containers[0].command[1]: "),
        (VALID.replace("name: tiny", "name: Tiny"), ":4: metadata.name: "),
        (
            VALID.replace("metric: accuracy", "metric: on"),
            ":7: spec.objectives[0].metric: must be a valid string, not the "
            "boolean true: put it in quotes, as YAML has y, n, yes, no, on and off for booleans",
        ),
        (
            VALID.replace("metric: accuracy", "metric: 1e3"),
            ":7: spec.objectives[0].metric: must be a valid string, not the number 1000: put it in quotes",
        ),
        (VALID.replace("nasbench201", "n"), ":10: spec.searchSpace.preset: must be 'nasbench201', "),
        (VALID.replace("max: 2", "n: 2"), ":12: the key n is false in YAML, no string: put it in quotes"),
        (
            VALID.replace("pass]", "y]"),
            ":17: spec.trialTemplate.spec.containers[0].command[2]: must be a string: put it in ",
        ),
        (VALID.replace("max: 2", "max: .inf"), ":12: spec.trials.max: .inf is no number that JSON has"),
    ],
)
@pytest.mark.parametrize("command", ["validate", "run"])
def test_a_problem(file: Path, command: str, text: str, expected: str) -> None:
    file.write_text(text)
    (line,) = refused(command, file)
    assert line.startswith(expected)


@pytest.mark.parametrize(
    ("preset", "method", "expected"),
    [
        (
            "nasbench201",
            "{method: zero-cost, proxies: [synflw, default, oracle-of-ours]}",
            [
                "spec.evaluation.proxies: synflw is unknown to the trainer, unless an image of your own, named in "
                "trialTemplate, has it: did you mean synflow? Known are default, params, ",
                "spec.evaluation.proxies: oracle-of-ours is unknown to the trainer, unless an image of your own, "
                "named in trialTemplate, has it: Known are default, params, ",
            ],
        ),
        (
            "nasbench201",
            "{method: zero-cost, proxies: [decoder_params, jacob-cov]}",
            ["spec.evaluation.proxies: decoder-params makes no sense for networks of nasbench201"],
        ),
        ("vit", "{method: differentiable}", ["spec.evaluation.method: differentiable mixes the operations of cells"]),
        ("vit", "{method: zero-cost, proxies: [tf-tas]}", []),
        ("darts", "{method: differentiable}", []),
    ],
)
def test_what_the_trainer_will_refuse_is_a_warning(file: Path, preset: str, method: str, expected: list[str]) -> None:
    metric = "score" if "zero-cost" in method else "accuracy"
    text = VALID.replace("nasbench201", preset).replace("metric: accuracy", f"metric: {metric}")
    file.write_text(text.replace("  trials:", f"  evaluation: {method}\n  trials:"))
    answer = CliRunner().invoke(app, ["validate", str(file)])
    assert (answer.exit_code, answer.stdout) == (0, f"{file}: tiny is valid.\n"), answer.output
    line = 1 + file.read_text().split("\n").index(f"  evaluation: {method}")
    for found, said in zip(answer.stderr.splitlines(), expected, strict=True):
        assert found.startswith(f"{file}:{line}: warning: {said}"), found


def test_a_predictors_proxies_are_warned_of_where_they_are_named(file: Path) -> None:
    search = "  search:\n    algorithm: predictor\n    settings: {proxies: [nvot]}\n"
    file.write_text(VALID.replace("  trials:", f"{search}  trials:"))
    answer = CliRunner().invoke(app, ["validate", str(file)])
    assert answer.exit_code == 0, answer.output
    assert "spec.search.settings.proxies: nvot is unknown to the trainer" in answer.stderr
    assert "did you mean nwot?" in answer.stderr


def test_numbers_are_what_kubectl_takes_them_for(file: Path) -> None:
    parameters = """parameters:
    - {name: rate, type: ordinal, numbers: [1e-3, 3e-4]}
    - {name: decay, type: float, min: 1e-5, max: 1E-1, scale: log}
    - {name: width, type: int, min: 1e1, max: 0x40}"""
    text = VALID.replace("preset: nasbench201", parameters).replace("max: 2", "max: 2e0")
    file.write_text(text.replace("metric: accuracy", "metric: accuracy\n  - {metric: f, limit: 1e6}") + "---\n")
    spec = read_manifest(file).spec
    assert spec.search_space.parameters is not None
    rate, decay, width = spec.search_space.parameters
    assert (rate.numbers, decay.min, decay.max, width.min, width.max) == ([1e-3, 3e-4], 1e-5, 0.1, 10, 64)
    assert (spec.objectives[1].limit, spec.trials.max) == (1e6, 2)


def test_all_problems_at_once(file: Path) -> None:
    file.write_text(VALID.replace("max: 2", "max: 0\n    retries: many").replace("nasbench201", "other"))
    places = [":".join(line.split(":")[:3]) for line in refused("validate", file)]
    assert places == [":10: spec.searchSpace.preset", ":12: spec.trials.max", ":13: spec.trials.retries"]


def test_all_problems_between_parameters_at_once(file: Path) -> None:
    parameters = """parameters:
    - {name: a, type: int, min: 1, max: 2}
    - {name: b, type: int, min: 1, max: 2, when: {parameter: x, min: 1}}
    - {name: c, type: int, min: 1, max: 2, when: {parameter: a, min: 3}}"""
    file.write_text(VALID.replace("preset: nasbench201", parameters))
    first, second = refused("validate", file)
    assert first.startswith(":12: spec.searchSpace.parameters[1].when.parameter: x is no parameter")
    assert second.startswith(":13: spec.searchSpace.parameters[2].when.min: a is never as large")


def test_files_that_cannot_be_read(tmp_path: Path, file: Path) -> None:
    assert refused("run", file) == [": cannot be read: No such file or directory"]
    assert refused("run", tmp_path) == [": cannot be read: Is a directory"]
    file.write_bytes(b"\xff\xfe\x00")
    assert refused("run", file) == [": is not UTF-8 text"]


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        ("max: 2", "parallelism: 0", ": spec.trials.parallelism: is 0, so that no trial would run"),
        ("  trials:", "  suspend: true\n  trials:", ": spec.suspend: is true, so that no trial would run"),
    ],
)
def test_what_would_never_end(file: Path, old: str, new: str, expected: str) -> None:
    file.write_text(VALID.replace(old, new))
    (line,) = refused("run", file)
    assert line.startswith(expected)


def test_devices_are_not_measured_on_here(file: Path) -> None:
    device = "  - {metric: board_ms, goal: minimize, measuredOn: {nodeSelector: {board: phone}}}\n"
    text = VALID.replace("  task:", f"{device}  storage: {{volumeClaim: kept}}\n  task:")
    file.write_text(text)
    (line,) = refused("run", file)
    assert ": spec.objectives[1].measuredOn: needs a cluster with that node: remove it to run here" in line


def test_a_state_that_cannot_be_written(tmp_path: Path, file: Path) -> None:
    file.write_text(VALID)
    (tmp_path / "state").write_text("a file")
    (line,) = refused("run", file, "--state", str(tmp_path / "state"))
    assert line.endswith("state: cannot be written (File exists): choose another --state") or "Not a directory" in line
