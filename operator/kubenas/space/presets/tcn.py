"""Temporal convolutional networks (Bai et al., 2018, arXiv:1803.01271)."""

from __future__ import annotations

from kubenas.space.architecture import Architecture
from kubenas.space.base import Space
from kubenas.space.decisions import Decision
from kubenas.space.domains import Choice, Float, Ordinal
from kubenas.space.layers import layer_values, layers
from kubenas.space.presets.blocks import whole


def tcn() -> Space:
    """2 to 8 residual levels of dilated convolutions, each with its own width and kernel."""
    depth = Decision("depth", Ordinal((2, 3, 4, 5, 6, 7, 8)))
    return Space(
        [
            depth,
            *layers("width", Ordinal((16, 32, 64, 128)), depth),
            *layers("kernel", Ordinal((3, 5, 7, 9)), depth),
            Decision("dilation_base", Ordinal((1, 2, 3))),
            Decision("convolution", Choice(("dense", "separable"))),
            Decision("normalization", Choice(("weight", "batch", "layer"))),
            Decision("activation", Choice(("relu", "gelu", "silu"))),
            Decision("pooling", Choice(("last", "mean", "max", "attention"))),
            Decision("dropout", Float(0.0, 0.5, "linear")),
        ],
        costs=_costs,
    )


def _costs(architecture: Architecture) -> dict[str, float]:
    """`receptive_field` in steps of the input: each level has two convolutions, dilated by a power of the base."""
    base = whole(architecture, "dilation_base")
    kernels = layer_values(architecture, "kernel")
    return {"receptive_field": 1 + sum(2 * (kernel - 1) * base**level for level, kernel in enumerate(kernels))}
