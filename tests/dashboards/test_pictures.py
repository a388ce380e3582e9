"""Pictures show what Grafana would: tables after their transformations, numbers in units, panels in their places."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib.image
import pytest

from dashboards.pictures.frames import joined, lines, rows
from dashboards.pictures.numbers import written
from dashboards.pictures.page import COLUMN, COLUMNS, DOTS_PER_INCH, HEAD, ROW, draw
from tests.dashboards.classic import BOARDS, NAMES, panels


def panel(board: str, title: str) -> dict[str, Any]:
    (found,) = [each for each in panels(BOARDS[board]) if each["title"] == title]
    return found


def series(value: float, **labels: str) -> dict[str, Any]:
    return {"metric": labels, "value": [0, str(value)]}


@pytest.mark.parametrize(
    ("value", "unit", "text"),
    [
        (0.9783, "percentunit", "97.8%"),
        (0.0123, "s", "12.3 ms"),
        (7200, "s", "2 hour"),
        (0.5, "h", "30 min"),
        (0, "s", "0 s"),
        (3 * 2**20, "bytes", "3 MiB"),
        (2048, "mbytes", "2 GiB"),
        (1500, "decmbytes", "1.5 GB"),
        (10_800, "joule", "10.8 kJ"),
        (8970, "short", "8.97 K"),
        (30, "short", "30"),
        (95_000, "dateTimeFromNow", "5 s ago"),
    ],
)
def test_numbers_in_units(value: float, unit: str, text: str) -> None:
    assert written(value, unit, now=100) == text


def test_a_table_of_experiments_has_a_row_for_each() -> None:
    answers: dict[str, list[Any]] = {ref: [] for ref in "ABCDEFG"}
    for name in ("one", "two"):
        common = {"namespace": "ns", "experiment": name}
        answers["A"].append(series(1, **common, objective="accuracy", algorithm="tpe"))
        answers["B"].append(series(1, **common, phase="Running"))
        answers["E"].append(series(3, **common))
    answers["C"].append(series(0.5, namespace="ns", experiment="two", metric="accuracy"))
    shown = rows(panel("fleet", "Experiments"), answers)
    assert [(row["Experiment"], row["Phase"], row["Best"], row["Slots busy"]) for row in shown] == [
        ("one", "Running", None, 3),
        ("two", "Running", 0.5, 3),
    ]


def test_the_best_trials_are_in_order_with_a_column_for_each_metric() -> None:
    answers = {
        "A": [
            series(value, namespace="ns", experiment="x", trial=trial, rank=rank, metric=metric)
            for trial, rank, metric, value in (
                ("x-1", "10", "accuracy", 0.1),
                ("x-1", "10", "params", 7),
                ("x-7", "2", "params", 9),
                ("x-7", "2", "accuracy", 0.9),
            )
        ]
    }
    assert rows(panel("experiment", "The best trials"), answers) == [
        {"Rank": 2, "Trial": "x-7", "accuracy": 0.9, "params": 9},
        {"Rank": 10, "Trial": "x-1", "accuracy": 0.1, "params": 7},
    ]


def test_a_curve_by_step_joins_value_and_step_by_time() -> None:
    answers: dict[str, Any] = {
        "A": [{"metric": {"trial": "x-1"}, "values": [[10, "1"], [20, "2"]]}],
        "B": [{"metric": {"trial": "x-1"}, "values": [[20, "0.5"], [30, "0.6"]]}],
    }
    found = lines(panel("trial", "Learning curve: $metric by step"), answers)
    assert joined(found) == [{"Step": 2, "Value": 0.5}]


@pytest.mark.parametrize("name", NAMES)
def test_the_picture_has_the_grids_size(name: str, tmp_path: Path) -> None:
    board = BOARDS[name]
    answers: dict[str, Any] = {
        str(each["id"]): {query["refId"]: [] for query in each.get("targets", ())} for each in panels(board)
    }
    draw(board, {"start": 0, "end": 60, "chosen": {}, "answers": answers}, tmp_path / "picture.png")
    height, width, _ = matplotlib.image.imread(tmp_path / "picture.png").shape
    bottom = max(each["gridPos"]["y"] + each["gridPos"]["h"] for each in board["panels"])
    dots = DOTS_PER_INCH / 72
    assert width == pytest.approx(COLUMNS * COLUMN * dots, abs=1)
    assert height == pytest.approx((HEAD + ROW * bottom + 8) * dots, abs=1)
