"""The space of DARTS."""

from __future__ import annotations

from kubenas.space.base import Architecture
from kubenas.space.presets.darts import darts

SPACE = darts()
# DARTS_V2, the published cells of the second-order search.
NORMAL = [("0,1", "sep", "sep"), ("0,1", "sep", "sep"), ("0,1", "skip", "sep"), ("0,2", "skip", "dil")]
REDUCTION = [("0,1", "max", "max"), ("1,2", "max", "skip"), ("0,2", "max", "skip"), ("1,2", "max", "skip")]
FULL = {"sep": "sep_conv_3x3", "skip": "skip_connect", "dil": "dil_conv_3x3", "max": "max_pool_3x3"}


def _published() -> Architecture:
    document = {}
    for name, nodes in (("normal", NORMAL), ("reduction", REDUCTION)):
        for node, (inputs, *operations) in enumerate(nodes, start=2):
            document[f"{name}.{node}.inputs"] = inputs
            document |= {f"{name}.{node}.operation.{index}": FULL[one] for index, one in enumerate(operations)}
    return SPACE.parse(document)


def test_number_of_cells() -> None:
    """As the paper: 180 ways to wire 4 nodes with 7 operations on 8 edges, before renumbered cells are one."""
    assert SPACE.assignments == (180 * 7**8) ** 2
    assert SPACE.size() == 382_128_166**2


def test_published_cell_as_text() -> None:
    cell = _published()
    assert SPACE.name(cell) == (
        "normal: 2=sep_conv_3x3(0)+sep_conv_3x3(1); 3=sep_conv_3x3(0)+sep_conv_3x3(1); "
        "4=0+sep_conv_3x3(1); 5=0+dil_conv_3x3(2); out=2+3+4+5 "
        "reduction: 2=max_pool_3x3(0)+max_pool_3x3(1); 3=max_pool_3x3(1)+2; 4=max_pool_3x3(0)+2; "
        "5=max_pool_3x3(1)+2; out=2+3+4+5"
    ).replace("=0+", "=skip_connect(0)+").replace("+2;", "+skip_connect(2);")


def test_renumbered_nodes_are_one_cell() -> None:
    cell = _published()
    swapped = cell.to_json()
    for part in ("inputs", "operation.0", "operation.1"):
        one, other = f"reduction.3.{part}", f"reduction.4.{part}"
        swapped[one], swapped[other] = swapped[other], swapped[one]
    assert swapped != cell.to_json()
    assert SPACE.key(SPACE.parse(swapped)) == SPACE.key(cell)
    # The reduction cell's nodes 3 to 5 can stand in any order, two of them are alike; so are the normal cell's first.
    assert SPACE.cells["reduction"].multiplicity(cell) == 3
