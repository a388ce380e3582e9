"""Once-for-All's MobileNetV3 space (Cai et al., ICLR 2020, arXiv:1908.09791)."""

from __future__ import annotations

from typing import Final

from kubenas.space.architecture import Architecture
from kubenas.space.base import Space
from kubenas.space.decisions import Decision
from kubenas.space.domains import Ordinal
from kubenas.space.layers import layer_values, layers
from kubenas.space.presets.blocks import Cost, inverted_residual, whole

# Channels and stride of each unit, at width 1.
UNITS: Final = ((24, 2), (40, 2), (80, 2), (112, 1), (160, 2))
FIRST_CHANNELS: Final = 16


def mobilenet_ofa() -> Space:
    """5 units of 2 to 4 inverted residuals with kernels 3, 5, 7 and expansions 3, 4, 6; input of 128 to 224 pixels.

    The paper's 2 x 10^19 networks, times 25 resolutions.
    """
    decisions = [Decision("resolution", Ordinal(tuple(range(128, 225, 4))))]
    for unit in range(1, len(UNITS) + 1):
        depth = Decision(f"unit{unit}_depth", Ordinal((2, 3, 4)))
        decisions += [
            depth,
            *layers(f"unit{unit}_kernel", Ordinal((3, 5, 7)), depth),
            *layers(f"unit{unit}_expansion", Ordinal((3, 4, 6)), depth),
        ]
    return Space(decisions, costs=_costs)


def _costs(architecture: Architecture) -> dict[str, float]:
    """`params` and `flops` (multiply-adds) of the units' blocks, squeeze-and-excitation left out."""
    total, inputs, side = Cost(), FIRST_CHANNELS, whole(architecture, "resolution") // 2
    for unit, (channels, first_stride) in enumerate(UNITS, start=1):
        kernels = layer_values(architecture, f"unit{unit}_kernel")
        expansions = layer_values(architecture, f"unit{unit}_expansion")
        for index, (kernel, expansion) in enumerate(zip(kernels, expansions, strict=True)):
            stride = first_stride if index == 0 else 1
            total += inverted_residual(inputs, channels, expansion, int(kernel), side, stride)
            inputs, side = channels, side // stride
    return total.by_name()
