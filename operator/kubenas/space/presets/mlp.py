"""Multilayer perceptrons."""

from __future__ import annotations

from itertools import pairwise

from kubenas.space.architecture import Architecture
from kubenas.space.base import Space
from kubenas.space.decisions import Decision
from kubenas.space.domains import Choice, Float, Int, Ordinal
from kubenas.space.layers import layer_values, layers


def mlp() -> Space:
    """1 to 6 hidden layers, each of its own width, as HPO-Bench (arXiv:1905.04970) and Auto-PyTorch search them."""
    depth = Decision("depth", Int(1, 6, "linear"))
    return Space(
        [
            depth,
            *layers("width", Ordinal((16, 32, 64, 128, 256, 512)), depth),
            *layers("activation", Choice(("relu", "gelu", "tanh")), depth),
            Decision("normalization", Choice(("none", "batch", "layer"))),
            Decision("skip", Choice(("none", "residual"))),
            Decision("dropout", Float(0.0, 0.5, "linear")),
        ],
        costs=_costs,
    )


def _costs(architecture: Architecture) -> dict[str, float]:
    """`params` between hidden layers and of their biases; the rest depends on the data."""
    widths = layer_values(architecture, "width")
    return {"params": sum(a * b for a, b in pairwise(widths)) + sum(widths)}
