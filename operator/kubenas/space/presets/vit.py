"""AutoFormer's vision transformers (Chen et al., ICCV 2021, arXiv:2107.00651)."""

from __future__ import annotations

from typing import Final

from kubenas.space.architecture import Architecture
from kubenas.space.base import Space
from kubenas.space.decisions import Decision
from kubenas.space.domains import Ordinal
from kubenas.space.layers import layer_values, layers
from kubenas.space.presets.blocks import Cost, attention, feed_forward, whole

PATCH: Final = 16
TOKENS: Final = (224 // PATCH) ** 2 + 1
HEAD_SIZE: Final = 64
CLASSES: Final = 1000


def vit() -> Space:
    """Supernet-Tiny: embeddings of 192 to 240, 12 to 14 layers of 3 or 4 heads and an MLP ratio of 3.5 or 4."""
    depth = Decision("depth", Ordinal((12, 13, 14)))
    return Space(
        [
            Decision("embed_dim", Ordinal((192, 216, 240))),
            depth,
            *layers("num_heads", Ordinal((3, 4)), depth),
            *layers("mlp_ratio", Ordinal((3.5, 4)), depth),
        ],
        costs=_costs,
    )


def _costs(architecture: Architecture) -> dict[str, float]:
    """`params` and `flops` (multiply-adds) on ImageNet, without relative positions."""
    width = whole(architecture, "embed_dim")
    patch = 3 * PATCH**2 * width
    total = Cost((TOKENS + 4) * width + patch + (width + 1) * CLASSES, (TOKENS - 1) * patch + width * CLASSES)
    heads, ratios = layer_values(architecture, "num_heads"), layer_values(architecture, "mlp_ratio")
    for count, ratio in zip(heads, ratios, strict=True):
        inner, hidden = HEAD_SIZE * int(count), ratio * width
        params = attention(width, width, inner) + feed_forward(width, hidden) + 4 * width
        flops = TOKENS * (4 * width * inner + 2 * width * hidden) + 2 * TOKENS**2 * inner
        total += Cost(params, flops)
    return total.by_name()
