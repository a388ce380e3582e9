"""NAS-Bench-201's cells as numbers, against the published table."""

from __future__ import annotations

import csv
from itertools import product

import pytest

from kubenas.space.base import Architecture
from kubenas.space.presets.nasbench201 import DECISIONS, OPERATIONS, NASBench201
from tests.bench.tables import published

SPACE = NASBench201()
ENCODINGS = SPACE.encodings


def _cell(*operations: str) -> Architecture:
    return Architecture(dict(zip(DECISIONS, operations, strict=True)))


def test_costs_are_the_published_ones() -> None:
    with published("nasbench201.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 15_625
    for row in rows:
        costs = SPACE.costs(SPACE.parse(row["arch"]))
        assert costs["flops"] == pytest.approx(1e6 * float(row["flops_M"]), rel=1e-3), row["arch"]
        assert costs["params"] == pytest.approx(1e6 * float(row["params_M"]), rel=1e-3), row["arch"]


def test_cells_that_are_one_have_the_same_paths() -> None:
    rows: dict[str, list[float]] = {}
    for operations in product(OPERATIONS, repeat=6):
        cell = _cell(*operations)
        paths = ENCODINGS["paths"](cell)
        assert rows.setdefault(SPACE.key(cell), paths) == paths


def test_paths_of_a_cell() -> None:
    """A skip once, and both convolutions one after the other twice."""
    cell = _cell("nor_conv_1x1", "nor_conv_1x1", "skip_connect", "none", "nor_conv_3x3", "nor_conv_3x3")
    paths = ENCODINGS["paths"](cell)
    assert len(paths) == 40
    assert sorted(paths)[-2:] == [1.0, 2.0]
    assert sum(paths) == 3.0
    assert paths[0] == 1.0


def test_adjacency_has_none_where_nothing_is_carried_or_used() -> None:
    # 0-1 carries the input to node 1, which nothing reads; 2-3 reads node 2, which nothing feeds.
    dead = _cell("nor_conv_3x3", "none", "skip_connect", "none", "none", "nor_conv_3x3")
    live = _cell("none", "none", "skip_connect", "none", "none", "none")
    assert ENCODINGS["adjacency"](dead) == ENCODINGS["adjacency"](live) == ENCODINGS["one-hot"](live)
