"""U-Nets for segmentation (Ronneberger et al., MICCAI 2015, arXiv:1505.04597)."""

from __future__ import annotations

from kubenas.space.base import Space
from kubenas.space.decisions import Decision
from kubenas.space.domains import Choice, Ordinal
from kubenas.space.layers import layers


def unet() -> Space:
    """2 to 5 levels, each with its own blocks and way to join the encoder's map to the decoder's.

    Joins are those of U-Net (concat), LinkNet (add, arXiv:1707.03718) and Attention U-Net (attention,
    arXiv:1804.03999); the choice of how maps shrink and grow follows NAS-Unet (Weng et al., IEEE Access 2019).
    """
    depth = Decision("depth", Ordinal((2, 3, 4, 5)))
    return Space(
        [
            Decision("base_width", Ordinal((8, 16, 32, 48, 64))),
            Decision("normalization", Choice(("batch", "group", "instance"))),
            Decision("activation", Choice(("relu", "leaky_relu", "silu"))),
            Decision("downsample", Choice(("max_pool", "avg_pool", "strided_conv"))),
            Decision("upsample", Choice(("transposed_conv", "bilinear", "nearest"))),
            depth,
            *layers("block", Choice(("conv", "residual", "separable")), depth),
            *layers("convolutions", Ordinal((1, 2, 3)), depth),
            *layers("kernel", Ordinal((3, 5)), depth),
            *layers("skip", Choice(("concat", "add", "attention", "none")), depth),
        ]
    )
