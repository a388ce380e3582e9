"""`kubenas-trial`: one training by hand, what there is, what is wrong."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from kubenas_trial.cli.main import app
from kubenas_trial.cli.request import read_settings
from kubenas_trial.errors import InvalidTrialError

DIGITS = "run --task image-classification --epochs 2 --set network.channels=4 --set network.cellsPerStack=1"
SMALL = """\
apiVersion: kubenas.io/v1alpha1
kind: NASExperiment
metadata: {name: digits}
spec:
  searchSpace:
    parameters:
    - {name: hidden, type: int, min: 8, max: 24}
    - {name: layers, type: int, min: 1, max: 2}
"""


def ran(*arguments: str) -> tuple[int, str, str]:
    """Exit code, output and errors."""
    result = CliRunner().invoke(app, arguments)
    if result.exception and not isinstance(result.exception, SystemExit):
        raise result.exception
    return result.exit_code, result.stdout, result.stderr


def trained(folder: Path, *arguments: str) -> dict[str, Any]:
    code, _, errors = ran(*arguments, "--out", str(folder / "result.json"))
    assert (code, errors) == (0, "")
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return result


def test_a_run_by_hand_writes_all_that_it_measured(tmp_path: Path) -> None:
    code, output, errors = ran(*DIGITS.split(), "--seed", "3", "--out", str(tmp_path / "result.json"))
    assert (code, errors) == (0, "")
    heading, *lines = output.splitlines()
    assert heading.startswith("image-classification, 1,085 + 357 + 355 examples, on cpu: |nor_conv_3x3~0|+|")
    assert [line.split(":")[0] for line in lines[:2]] == ["epoch 1/2", "epoch 2/2"]
    result = json.loads((tmp_path / "result.json").read_text())
    metrics = result["metrics"]
    assert set(metrics) == {"validation_accuracy", "validation_loss", "test_accuracy", "test_loss"}
    assert metrics["validation_accuracy"] != metrics["test_accuracy"]
    assert result["params"] == 14062
    assert min(result[name] for name in ("flops", "seconds", "peak_memory_mb")) > 0
    assert (result["task"], result["space"], result["seed"], result["epochs"]) == (
        "image-classification",
        {"preset": "nasbench201"},
        3,
        2,
    )


def test_the_same_seed_gives_the_same_result(tmp_path: Path) -> None:
    first, second = (trained(tmp_path, *DIGITS.split(), "--architecture", "random", "--seed", "1") for _ in range(2))
    other = trained(tmp_path, *DIGITS.split(), "--architecture", "random", "--seed", "2")
    assert first["metrics"] == second["metrics"]
    assert first["architecture"] == second["architecture"] != other["architecture"]


@pytest.mark.parametrize(
    ("architecture", "decided"),
    [
        ("hidden=9 layers=1", {"hidden": 9, "layers": 1}),
        ('{"hidden": 20, "layers": 2}', {"hidden": 20, "layers": 2}),
        ("default", {"hidden": 16, "layers": 2}),
    ],
)
def test_a_space_of_ones_own_from_an_experiments_file(
    tmp_path: Path, architecture: str, decided: dict[str, int]
) -> None:
    (tmp_path / "nas.yaml").write_text(SMALL)
    arguments = ["run", "--task", "image-classification", "--epochs", "1", "--space"]
    result = trained(tmp_path, *arguments, str(tmp_path / "nas.yaml"), "--architecture", architecture)
    assert result["architecture"] == decided
    assert result["params"] == sum(
        (before + 1) * after
        for before, after in zip(
            [64, *[decided["hidden"]] * decided["layers"]], [*[decided["hidden"]] * decided["layers"], 10], strict=True
        )
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        ("run --task imagination", "--task: 'imagination' is unknown; choose of image-classification"),
        ("run --task image-classification --space nasbench301", "--space.preset: "),
        ("run --task image-classification --space space.yaml", "--space: space.yaml does not exist"),
        ("run --task image-classification --space rnn", "--space: this trainer has no network of rnn for image-"),
        ("run --task image-classification --architecture |conv~0|", "--architecture: "),
        ("run --task image-classification --architecture {0-1}", "--architecture: is no JSON"),
        ("run --task image-classification --device tpu", "--device: 'tpu' is unknown: use auto, cpu"),
        ("run --task image-classification --device cuda:99", "--device: there is no cuda:99"),
        ("run --task image-classification --dataset numerals", "--dataset: numerals is no file or folder, and none of"),
        ("run --task image-classification --set batchSize=0", "--set batchSize: "),
        ("run --task image-classification --set batch_sizes=1", "--set batch_sizes: "),
        ("run --task image-classification --set batchSize", "--set: 'batchSize' is no assignment: write name=value"),
        (
            "run --task image-classification --set batchSize=.inf",
            "--set: the value of batchSize, '.inf': .inf is no num",
        ),
        ("run --task image-classification --set batchSize=[1", "--set: the value of batchSize, '[1': is not YAML"),
        ("run --task image-classification --set network=off", "--set network: "),
        ("run --task image-classification --out nowhere/result.json", "--out: the folder "),
        ("datasets --check . --task imagination", "--task: 'imagination' is unknown"),
        ("datasets --check . --format tarball", "--format: 'tarball' is unknown; choose of "),
    ],
)
def test_what_is_asked_wrongly_ends_with_64_and_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, arguments: str, says: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, output, errors = ran(*arguments.split())
    assert (code, output) == (64, "")
    assert errors.startswith(says)
    assert errors.count("\n") == 1


def test_data_that_cannot_be_read_end_with_65(tmp_path: Path) -> None:
    code, _, errors = ran("run", "--task", "image-classification", "--dataset", str(tmp_path))
    assert code == 65
    assert f"{tmp_path} looks like none of" in errors
    code, _, errors = ran("datasets", "--check", str(tmp_path / "missing"))
    assert (code, errors) == (65, f"--check: {tmp_path / 'missing'} does not exist\n")


def test_tasks_are_listed_with_what_they_need() -> None:
    code, output, errors = ran("tasks")
    assert (code, errors) == (0, "")
    assert "image-classification: which of some classes an image shows\n  metric    accuracy, to maximize\n" in output
    assert "  data set  digits: 1,797 handwritten digits" in output


def test_settings_are_nested_by_dots() -> None:
    assert read_settings(["a=1", "b.c=[x, 2]", "b.d=true", "e=text", "f=1e-3", "g=off", "h="]) == {
        "a": 1,
        "b": {"c": ["x", 2], "d": True},
        "e": "text",
        "f": 1e-3,
        "g": False,
        "h": None,
    }
    with pytest.raises(InvalidTrialError, match=r"a\.b lies in a, which has a value"):
        read_settings(["a=1", "a.b=2"])
