"""The cells of NAS-Bench-101 (Ying et al., ICML 2019, arXiv:1902.09635)."""

from __future__ import annotations

from kubenas.api.cell import Cell
from kubenas.space.cells.space import CellSpace, build_cell_space


def nasbench101() -> CellSpace:
    """Up to 7 nodes and 9 edges, with one of 3 operations on each node: 423,624 cells."""
    return build_cell_space(
        Cell(
            nodes=7,
            operations_on="nodes",
            max_edges=9,
            operations=["conv3x3-bn-relu", "conv1x1-bn-relu", "maxpool3x3"],
        )
    )
