"""The space of NAS-Bench-101."""

from __future__ import annotations

from kubenas.space.cells.ordered_graphs import ordered_graphs
from kubenas.space.presets.nasbench101 import nasbench101


def test_published_numbers_of_nasbench101() -> None:
    """The dataset's 423,624 cells by their number of nodes."""
    assert [ordered_graphs(nodes, 9, 3).cells() for nodes in range(2, 8)] == [1, 6, 84, 2_441, 62_010, 359_082]
    assert nasbench101().size() == 423_624
