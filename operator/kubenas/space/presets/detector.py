"""One-stage detectors: a backbone, a feature pyramid and a head."""

from __future__ import annotations

from kubenas.space.base import Space
from kubenas.space.decisions import Decision
from kubenas.space.domains import Choice, Ordinal
from kubenas.space.layers import layers


def detector() -> Space:
    """A residual backbone of 4 stages, a pyramid on its last three and a head shared by all levels.

    Pyramids are FPN (Lin et al., CVPR 2017, arXiv:1612.03144), PANet (arXiv:1803.01534) and BiFPN (EfficientDet,
    arXiv:1911.09070), heads RetinaNet's with anchors (arXiv:1708.02002) and FCOS's without (arXiv:1904.01355).
    """
    repeats = Decision("pyramid_repeats", Ordinal((1, 2, 3)))
    head_depth = Decision("head_depth", Ordinal((1, 2, 3, 4)))
    return Space(
        [
            Decision("resolution", Ordinal((256, 320, 384, 448, 512))),
            Decision("backbone_width", Ordinal((16, 24, 32, 48, 64))),
            *(Decision(f"backbone_depth.{stage}", Ordinal((1, 2, 3))) for stage in range(4)),
            Decision("backbone_block", Choice(("basic", "bottleneck", "inverted_residual"))),
            repeats,
            *layers("pyramid", Choice(("fpn", "pan", "bifpn")), repeats),
            Decision("pyramid_width", Ordinal((32, 64, 96, 128, 256))),
            Decision("head", Choice(("anchors", "anchor_free"))),
            head_depth,
            *layers("head_kernel", Ordinal((1, 3, 5)), head_depth),
            Decision("head_conv", Choice(("dense", "separable"))),
        ]
    )
