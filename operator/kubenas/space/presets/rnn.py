"""Recurrent networks for speech (Deep Speech 2, Amodei et al., ICML 2016, arXiv:1512.02595)."""

from __future__ import annotations

from typing import Final

from kubenas.space.architecture import Architecture
from kubenas.space.base import Space
from kubenas.space.decisions import Decision
from kubenas.space.domains import Choice, Float, Int, Ordinal
from kubenas.space.layers import layers
from kubenas.space.presets.blocks import whole

# Matrices that a cell has for its input, and as many for its state.
GATES: Final = {"rnn": 1, "gru": 3, "lstm": 4}


def rnn() -> Space:
    """Up to 3 convolutions, then 1 to 5 recurrent layers of one width."""
    convolutions = Decision("convolutions", Int(0, 3, "linear"))
    return Space(
        [
            convolutions,
            *layers("conv_width", Ordinal((16, 32, 64)), convolutions),
            *layers("conv_kernel", Ordinal((3, 5, 11)), convolutions),
            *layers("conv_stride", Ordinal((1, 2)), convolutions),
            Decision("cell", Choice(tuple(GATES))),
            Decision("depth", Int(1, 5, "linear")),
            Decision("width", Ordinal((32, 64, 128, 256, 512))),
            Decision("directions", Ordinal((1, 2))),
            Decision("normalization", Choice(("none", "batch", "layer"))),
            Decision("pooling", Choice(("last", "mean", "max", "attention"))),
            Decision("dropout", Float(0.0, 0.5, "linear")),
        ],
        costs=_costs,
    )


def _costs(architecture: Architecture) -> dict[str, float]:
    """`params` of the recurrent layers but for the first one's input, with PyTorch's two biases."""
    width, directions = whole(architecture, "width"), whole(architecture, "directions")
    depth = whole(architecture, "depth")
    states = depth * (width + 2)
    inputs = (depth - 1) * width * directions
    return {"params": GATES[str(architecture["cell"])] * directions * width * (states + inputs)}
