"""The cells of DARTS (Liu, Simonyan & Yang, ICLR 2019, arXiv:1806.09055)."""

from __future__ import annotations

from kubenas.api.cell import Cell
from kubenas.space.cells.space import CellSpace, build_cell_space


def darts() -> CellSpace:
    """A normal and a reduction cell of four nodes, each node the sum of 7 operations' choice on two earlier ones.

    A skip is an operation as any other: in a reduction cell it halves the image with weights of its own.
    """
    return build_cell_space(
        Cell(
            nodes=6,
            inputs=2,
            operations=[
                "max_pool_3x3",
                "avg_pool_3x3",
                "skip_connect",
                "sep_conv_3x3",
                "sep_conv_5x5",
                "dil_conv_3x3",
                "dil_conv_5x5",
            ],
            cells=["normal", "reduction"],
        )
    )
