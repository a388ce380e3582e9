"""The table of trials: of all kinds of stages."""

from __future__ import annotations

from io import StringIO
from typing import Any

from rich.console import Console

from kubenas.api.trial import NASTrial
from kubenas.cli.trials import trials_table
from tests.experiment.builders import CELL, experiment

NAME = "|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|"


def trial(number: int, stage: str | None, candidates: list[dict[str, Any]], **status: Any) -> NASTrial:
    return NASTrial.model_validate(
        {
            "metadata": {"name": f"nas-{number}"},
            "spec": {"number": number, "resultsSeen": 0, "stage": stage, "candidates": candidates},
            "status": status,
        }
    )


def result(candidate: str, accuracy: float, **more: Any) -> dict[str, Any]:
    metrics = [{"name": "accuracy", "value": accuracy}]
    return {"candidate": candidate, "step": 1, "source": "TerminationMessage", "metrics": metrics, **more}


def rows(*trials: NASTrial) -> list[list[str]]:
    out = StringIO()
    Console(file=out, width=200).print(trials_table(experiment(), trials))
    return [line.split() for line in out.getvalue().splitlines()]


def test_each_stage_is_told_as_it_is() -> None:
    batch = [{"id": str(n), "architecture": CELL} for n in range(20)]
    scored = [{**result(str(n), 0.0), "metrics": [{"name": "nwot", "value": 1.0}]} for n in range(7)]
    header, first, second, third = rows(
        trial(0, "score", batch, phase="Running", results=scored),
        trial(1, "shared-supernet", [{"id": "0"}], phase="Succeeded"),
        trial(2, "search", [{"id": "0"}], phase="Succeeded", results=[result("0", 0.5, architecture=CELL)]),
    )
    assert header == ["trial", "stage", "phase", "attempt", "accuracy", "source", "node", "architecture"]
    assert first == ["nas-0", "score", "Running", "1", *["7", "of", "20", "candidates", "have", "scores"]]
    assert second == ["nas-1", "shared-supernet", "Succeeded", "1"]
    assert third == ["nas-2", "search", "Succeeded", "1", "0.5", "TerminationMessage", NAME]


def test_without_stages_there_is_no_column_for_them() -> None:
    header, row = rows(trial(0, None, [{"id": "0", "architecture": CELL, "name": NAME}], phase="Running"))
    assert "stage" not in header
    assert row == ["nas-0", "Running", "1", NAME]
