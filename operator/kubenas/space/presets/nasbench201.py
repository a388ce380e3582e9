"""The cell space of NAS-Bench-201 (Dong & Yang, ICLR 2020, arXiv:2001.00326)."""

from __future__ import annotations

import re
from typing import Any, Final

from kubenas.api.cell import Cell
from kubenas.space.architecture import Architecture, InvalidArchitectureError
from kubenas.space.cells.fixed import FixedWiring
from kubenas.space.cells.space import CellSpace

OPERATIONS: Final = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
# An edge is (source, target): node 0 is the cell's input, node 3 its output, each the sum of what comes in.
EDGES: Final = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))
DECISIONS: Final = tuple(f"{source}-{target}" for source, target in EDGES)

_NODES_IN_STRING: Final = tuple(tuple(f"{source}-{target}" for source in range(target)) for target in (1, 2, 3))
_STRING: Final = re.compile(r"\|(\w+)~0\|\+\|(\w+)~0\|(\w+)~1\|\+\|(\w+)~0\|(\w+)~1\|(\w+)~2\|")

# The benchmark's CIFAR-10 network: stem, 5 cells in each of 3 stacks, two residual blocks, classifier. An operation's
# share over all 15 cells; a convolution has its activation and its normalisation with it. The stacks have 16, 32 and 64
# channels on maps of 32, 16 and 8 pixels a side.
_ELEMENTS: Final = 5 * (16 * 32**2 + 32 * 16**2 + 64 * 8**2)
_PRODUCTS: Final = 5 * (16**2 + 32**2 + 64**2)
_PIXEL_PRODUCTS: Final = 5 * (16**2 * 32**2 + 32**2 * 16**2 + 64**2 * 8**2)
_NORMALISED: Final = 2 * 5 * (16 + 32 + 64)
_FLOPS: Final = {
    "nor_conv_1x1": _PIXEL_PRODUCTS + 3 * _ELEMENTS,
    "nor_conv_3x3": 9 * _PIXEL_PRODUCTS + 3 * _ELEMENTS,
    "avg_pool_3x3": 9 * _ELEMENTS,
}
_PARAMS: Final = {"nor_conv_1x1": _PRODUCTS + _NORMALISED, "nor_conv_3x3": 9 * _PRODUCTS + _NORMALISED}
# Of all else in the network.
_OTHER_FLOPS: Final = 7_943_872
_OTHER_PARAMS: Final = 73_306


class NASBench201(CellSpace):
    """Cells of 4 nodes, with one of 5 operations on each of the 6 edges between them.

    There are 15,625 strings but 5,260 different cells, see `FixedWiring`. The paper's 6,466 come from the same rules,
    save that a `none` stays a term of its sum and that equal expressions are one even where one shares a convolution
    that the other has twice; without the rule for `none` the paper's count is 12,751.
    """

    def __init__(self) -> None:
        cell = Cell(
            nodes=4,
            edges=[list(edge) for edge in EDGES],
            operations=list(OPERATIONS),
            none="none",
            skip="skip_connect",
            weightless=["avg_pool_3x3"],
        )
        super().__init__({"": FixedWiring(cell, "")}, costs=_costs)

    def parse(self, document: Any) -> Architecture:
        """The architecture in an object of edges, or in the benchmark's string.

        Raises:
            InvalidArchitectureError: it is neither, or names an unknown edge or operation.
        """
        return super().parse(_read_string(document) if isinstance(document, str) else document)

    def name(self, architecture: Architecture) -> str:
        """The benchmark's string, such as `|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|`."""
        return "+".join(
            "|" + "|".join(f"{architecture[decision]}~{source}" for source, decision in enumerate(node)) + "|"
            for node in _NODES_IN_STRING
        )


def nasbench201() -> NASBench201:
    """The space."""
    return NASBench201()


def _costs(architecture: Architecture) -> dict[str, float]:
    """`params` and `flops` (multiply-adds) of the benchmark's CIFAR-10 network as published: edges that lead nowhere
    count too.
    """
    operations = [str(operation) for operation in architecture.values()]
    return {
        "params": float(_OTHER_PARAMS + sum(_PARAMS.get(operation, 0) for operation in operations)),
        "flops": float(_OTHER_FLOPS + sum(_FLOPS.get(operation, 0) for operation in operations)),
    }


def _read_string(text: str) -> dict[str, str]:
    match = _STRING.fullmatch(text)
    if match is None:
        raise InvalidArchitectureError(f"{text!r:.120} is no cell: write |op~0|+|op~0|op~1|+|op~0|op~1|op~2|")
    return dict(zip((decision for node in _NODES_IN_STRING for decision in node), match.groups(), strict=True))
