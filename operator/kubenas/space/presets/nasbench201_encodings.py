"""NAS-Bench-201's cells as numbers: live edges, paths, costs."""

from __future__ import annotations

from itertools import product
from typing import Final

OPERATIONS: Final = ("none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
EDGES: Final = ((0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3))

# Each way from the cell's input to its output, as places in `EDGES`.
_PATHS: Final = ((2,), (0, 4), (1, 5), (0, 3, 5))
_APPLIED: Final = ("nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3")
_SEQUENCES: Final = {
    sequence: place
    for place, sequence in enumerate(sequence for length in range(4) for sequence in product(_APPLIED, repeat=length))
}

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


def adjacency(operations: tuple[str, ...]) -> list[float]:
    """30 numbers: for each edge its operation one-hot; an edge that carries nothing or leads nowhere is `none`."""
    fed, read = {0}, {3}
    for place in (0, 1, 3, 2, 4, 5):
        source, target = EDGES[place]
        if source in fed and operations[place] != "none":
            fed.add(target)
    for place in (5, 4, 2, 3, 1, 0):
        source, target = EDGES[place]
        if target in read and operations[place] != "none":
            read.add(source)
    encoded: list[float] = []
    for place, (source, target) in enumerate(EDGES):
        live = operations[place] if source in fed and target in read else "none"
        encoded += [float(operation == live) for operation in OPERATIONS]
    return encoded


def path_counts(operations: tuple[str, ...]) -> list[float]:
    """40 numbers: how many ways from input to output apply each sequence of up to three operations.

    Skips are left out of a sequence (White et al., "BANANAS", AAAI 2021, arXiv:1910.11858, has them as operations).
    """
    counts = [0.0] * len(_SEQUENCES)
    for path in _PATHS:
        taken = [operations[place] for place in path]
        if "none" not in taken:
            counts[_SEQUENCES[tuple(operation for operation in taken if operation != "skip_connect")]] += 1.0
    return counts


def costs(operations: tuple[str, ...]) -> dict[str, float]:
    """`params` and `flops` (multiply-adds) of the benchmark's CIFAR-10 network as published: edges that lead nowhere
    count too.
    """
    return {
        "params": float(_OTHER_PARAMS + sum(_PARAMS.get(operation, 0) for operation in operations)),
        "flops": float(_OTHER_FLOPS + sum(_FLOPS.get(operation, 0) for operation in operations)),
    }
