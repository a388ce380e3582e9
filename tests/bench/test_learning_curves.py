"""Tables of published learning curves."""

from __future__ import annotations

import csv
from pathlib import Path

import pytest

from benchmarks.learning_curves import COLUMNS, LEARNERS, SIZES, mean_ranks, seconds_to, source, tables
from kubenas.bench.algorithms import search
from kubenas.bench.table import Table
from tests.bench.tables import write

HEADER = ("openmlid", "learner", "size_train", "outer_seed", "inner_seed", "traintime", "score_valid", "score_test")


def database(learners: int) -> list[dict[str, str]]:
    """As in the package: a row for each data set, learner, size and split. Some learners of another set are missing."""
    rows = []
    for dataset, count in (("44", learners), ("61", learners - 1)):
        for learner in range(count):
            for size in (16, *SIZES):
                for split in ("0", "1"):
                    value = learner / 100 + size / 1e6
                    cells = (dataset, f"sklearn.L{learner:02}", str(size), split, split, "0.0", f"{value:.4f}")
                    rows.append(dict(zip(HEADER, (*cells, str(learner + int(split))), strict=True)))
    return rows


def test_a_data_set_becomes_a_table_if_all_learners_have_come_to_its_end(tmp_path: Path) -> None:
    found = tables(database(LEARNERS))
    assert list(found) == ["44"]
    rows = found["44"]
    assert len(rows) == LEARNERS
    assert [row[0] for row in rows] == [f"L{learner:02}" for learner in range(LEARNERS)]
    assert [float(value) for value in rows[3][1:]] == pytest.approx(
        [0.03 + size / 1e6 for size in SIZES] + [3.5, 1e-4], abs=1e-4
    )
    table = Table(source(write(tmp_path / "t.csv", rows, COLUMNS)))
    run = search("random/asha", table, 0, LEARNERS, 4, 4)
    assert run.stopped
    assert seconds_to(table, run, max(table.optimum)) <= run.ends[-1]
    assert seconds_to(table, run, max(table.optimum) + 1) == float("inf")


def test_a_curve_without_its_last_value_is_none() -> None:
    rows = [row for row in database(LEARNERS) if (row["learner"], row["size_train"]) != ("sklearn.L00", str(SIZES[-1]))]
    assert tables(rows) == {}


def test_ranks_are_shared_by_equal_ones() -> None:
    infinite = float("inf")
    ranks = mean_ranks({"a": [1.0, 2.0], "b": [1.0, infinite], "c": [3.0, infinite]})
    assert ranks == {"a": (1.5 + 1) / 2, "b": (1.5 + 2.5) / 2, "c": (3 + 2.5) / 2}


def test_columns_are_written_as_they_are_read(tmp_path: Path) -> None:
    path = write(tmp_path / "t.csv", tables(database(LEARNERS))["44"], COLUMNS)
    with path.open(newline="", encoding="utf-8") as file:
        assert next(csv.reader(file)) == list(COLUMNS)
    assert Table(source(path)).epochs == SIZES[-1]
