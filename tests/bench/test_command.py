from __future__ import annotations

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from kubenas.cli.main import app
from tests.bench.tables import ALL, rows_of, write

KEYS = [
    "algorithm",
    "fidelity",
    "evaluations",
    "workers",
    "seeds",
    "reported_mean",
    "reported_std",
    "optimum_share",
    "hypervolume",
    "seconds_per_proposal",
    "epochs",
    "epochs_to_target",
    "seconds_to_target",
    "target_share",
    "stopped_wrongly",
]


def bench(folder: Path, *options: str) -> Result:
    table = write(folder / "table.csv", rows_of(ALL))
    needed = ("--architecture", "code", "--objective", "quality:maximize", "--out", str(folder / "out.json"))
    return CliRunner().invoke(app, ["bench", str(table), *needed, *options])


def test_a_benchmark_prints_a_table_and_writes_figures_and_a_picture(tmp_path: Path) -> None:
    picture = tmp_path / "regret.html"
    result = bench(
        tmp_path,
        *("--algorithms", "random,regularized-evolution", "--evaluations", "30,10", "--seeds", "3", "--workers", "2"),
        *("--objective", "delay:minimize", "--report", "test", "--cost", "seconds", "--reach", "101", "--jobs", "1"),
        *("--plot", str(picture)),
    )
    assert result.exit_code == 0, result.output
    rows = json.loads((tmp_path / "out.json").read_text())
    assert [list(row) for row in rows] == [KEYS] * 4
    assert [(row["algorithm"], row["evaluations"]) for row in rows] == [
        (name, count) for name in ("random", "regularized-evolution") for count in (10, 30)
    ]
    assert all(0 < row["hypervolume"] <= 1 and row["workers"] == 2 and row["seeds"] == 3 for row in rows)
    assert "evaluations to 101" in result.output
    assert picture.read_bytes().startswith(b"<!doctype html>")


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--algorithms", "predictr"], "--algorithms: 'predictr' is unknown: there are random"),
        (["--algorithms", ""], "--algorithms: is empty"),
        (["--algorithms", "random,random"], "--algorithms: 'random' is there twice"),
        (["--evaluations", "10,many"], "--evaluations: 'many' is no whole number from 1 to 100,000"),
        (["--evaluations", "0"], "--evaluations: '0' is no whole number from 1 to 100,000"),
        (["--objective", "delay"], "--objective: 'delay' is no objective"),
        (["--objective", "quality:minimize"], "--objective: 'quality' is there twice"),
        (["--features", "delay,quality"], "--features: 'quality' is what the searches are measured by"),
        (["--features", "test", "--report", "test"], "--features: 'test' is what the searches are measured by"),
        (["--plot", "regret.svg"], "--plot: regret.svg must end in .png or .html"),
        (["--plot", "absent/regret.png"], "--plot: absent is no folder"),
        (["--out", "absent/out.json"], "--out: absent is no folder"),
        (["--algorithms", "syne-tune-rea", "--objective", "delay:minimize"], "no peers for several objectives"),
    ],
)
def test_what_is_wrong_is_told_before_any_search(tmp_path: Path, options: list[str], message: str) -> None:
    result = bench(tmp_path, *options)
    assert result.exit_code == 1
    assert message in result.output
    assert not (tmp_path / "out.json").exists()


def test_a_missing_package_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kubenas.bench.peers.find_spec", lambda _: None)
    result = bench(tmp_path, "--algorithms", "syne-tune-bore")
    assert result.exit_code == 1
    assert "syne-tune-bore needs syne-tune, which is not installed: pip install syne-tune" in result.output
