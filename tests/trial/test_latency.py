"""Latency that is learned from a few measurements."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from random import Random

import pytest
import yaml
from typer.testing import CliRunner

from kubenas.api.space import SearchSpace
from kubenas.space.base import Architecture, Value
from kubenas.space.load import build_space
from kubenas_trial.cli.main import app
from kubenas_trial.errors import InvalidTrialError
from kubenas_trial.measure.latency_table import fit_latency_table
from kubenas_trial.measure.predictor import LatencyPredictor, spearman

DATA = Path(os.environ.get("KUBENAS_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
DEVICES = ("cifar10_edgegpu_latency", "cifar10_edgegpu_energy", "cifar10_raspi4_latency")
SPACE = build_space(SearchSpace(preset="nasbench201"))
OWN = {
    "parameters": [
        {"name": "depth", "type": "int", "min": 1, "max": 2},
        {"name": "op", "type": "choice", "values": ["conv", "pool"]},
        {"name": "kernel", "type": "choice", "values": ["3", "5", "7"]},
    ]
}


@pytest.fixture(scope="module")
def table() -> dict[Architecture, dict[str, float]]:
    """Latencies of HW-NAS-Bench, in the benchmark's order."""
    files = [DATA / "nasbench201.csv", DATA / "nasbench201_latency.csv"]
    if not all(file.exists() for file in files):
        pytest.skip(f"needs {' and '.join(file.name for file in files)} in {DATA} (set KUBENAS_DATA)")
    with files[0].open() as names, files[1].open() as latencies:
        return {
            SPACE.parse(name["arch"]): {device: float(row[device]) for device in DEVICES}
            for name, row in zip(csv.DictReader(names), csv.DictReader(latencies), strict=True)
        }


@pytest.mark.parametrize("device", DEVICES)
@pytest.mark.parametrize("seed", range(5))
def test_100_measurements_rank_all_others(table: dict[Architecture, dict[str, float]], device: str, seed: int) -> None:
    drawn = Random(seed).sample(list(table), 1100)
    measured, others = {each: table[each][device] for each in drawn[:100]}, drawn[100:]
    actual = [table[each][device] for each in others]
    predictor, fitted = LatencyPredictor(SPACE, measured), fit_latency_table(SPACE, measured)
    assert spearman(predictor.predict(others), actual) >= 0.9
    assert spearman([fitted.latency(each) for each in others], actual) >= 0.9
    assert predictor.rank_correlation() == pytest.approx(spearman(predictor.predict(others), actual), abs=0.1)


def test_a_sum_is_found_again() -> None:
    space = build_space(SearchSpace.model_validate({"parameters": OWN["parameters"][1:]}))
    true: dict[Value, float] = {"conv": 4.0, "pool": 1.0, "3": 0.5, "5": 2.0, "7": 3.0}
    measured = {each: 10 + sum(true[value] for value in each.values()) for each in space.enumerate()}
    fitted = fit_latency_table(space, measured)
    for each, latency in measured.items():
        assert fitted.latency(each) == pytest.approx(latency, abs=0.01)
    costs = [fitted.document("phone_ms")]
    carrying = build_space(SearchSpace.model_validate({"parameters": OWN["parameters"][1:], "costs": costs}))
    for each, latency in measured.items():
        assert carrying.costs(each)["phone_ms"] == pytest.approx(latency, abs=0.01)
    assert fitted.adds["op"]["conv"] - fitted.adds["op"]["pool"] == pytest.approx(3, abs=0.01)


def test_numbers_have_no_table() -> None:
    space = build_space(SearchSpace.model_validate(OWN))
    with pytest.raises(InvalidTrialError, match="depth is a number, of which there is no table"):
        fit_latency_table(space, dict.fromkeys(space.enumerate(), 1.0))


def measured_csv(folder: Path, rows: int = 60) -> Path:
    """Latencies that the operations of a cell add up to, without noise."""
    adds = {"none": 0, "skip_connect": 1, "avg_pool_3x3": 2, "nor_conv_1x1": 3, "nor_conv_3x3": 9}
    rng = Random(0)
    with (folder / "latencies.csv").open("w") as file:
        writer = csv.writer(file)
        writer.writerow(["cell", "ms"])
        for _ in range(rows):
            each = SPACE.complete({}, rng)
            writer.writerow([SPACE.name(each), sum(adds[str(value)] for value in each.values())])
    return folder / "latencies.csv"


def fit(*arguments: str) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["latency", "fit", *arguments])
    return result.exit_code, result.stdout, result.stderr


def test_the_command_prints_costs_to_paste(tmp_path: Path) -> None:
    path = measured_csv(tmp_path)
    arguments = f"{path} --space nasbench201 --architecture cell --column ms --name phone_ms"
    code, output, errors = fit(*arguments.split())
    assert (code, errors) == (0, "")
    [cost] = yaml.safe_load(output)["costs"]
    assert cost["name"] == "phone_ms"
    assert [term["parameter"] for term in cost["terms"]] == list(SPACE.decisions)
    for term in cost["terms"]:
        adds = {each["value"]: each["add"] for each in term["values"]}
        assert adds["nor_conv_3x3"] - adds["none"] == pytest.approx(9, abs=0.5)


@pytest.mark.parametrize(
    ("row", "arguments", "says"),
    [
        ("x,1", "--architecture cell --column ms", "line 62: architecture: "),
        ("", "--architecture arch --column ms", "there is no column 'arch'; the columns are cell, ms"),
        ("|none~0|+|none~0|none~1|+|none~0|none~1|none~2|,fast", "--architecture cell --column ms", "'fast' is no fin"),
    ],
)
def test_a_wrong_row_is_named(tmp_path: Path, row: str, arguments: str, says: str) -> None:
    path = measured_csv(tmp_path)
    with path.open("a") as file:
        file.write(row)
    code, _, errors = fit(str(path), "--space", "nasbench201", *arguments.split())
    assert code == 65
    assert errors.startswith(str(path))
    assert says in errors


def test_too_few_rows_are_refused(tmp_path: Path) -> None:
    code, _, errors = fit(
        str(measured_csv(tmp_path, 9)), "--space", "nasbench201", "--architecture", "cell", "--column", "ms"
    )
    assert code == 65
    assert "has 9 architectures, and 10 are the least" in errors


def test_this_device_is_measured(tmp_path: Path) -> None:
    settings = "--set network.channels=4 --set network.cellsPerStack=1 --count 12 --task image-classification"
    result = CliRunner().invoke(app, ["latency", "measure", str(tmp_path / "here.csv"), *settings.split()])
    assert (result.exit_code, result.stderr) == (0, "")
    code, output, _ = fit(str(tmp_path / "here.csv"), "--space", "nasbench201")
    assert code == 0
    assert yaml.safe_load(output)["costs"][0]["name"] == "latency_ms"
