"""LiteTransformerSearch's GPT-2 space (Javaheripi et al., NeurIPS 2022, arXiv:2203.02094)."""

from __future__ import annotations

from typing import Final

from kubenas.space.architecture import Architecture
from kubenas.space.base import Space
from kubenas.space.decisions import Decision
from kubenas.space.domains import Int, Ordinal
from kubenas.space.layers import layer_values, layers
from kubenas.space.presets.blocks import attention, feed_forward, whole

# WikiText-103's vocabulary as the paper cuts it by frequency, for the adaptive embedding (Baevski & Auli, ICLR 2019).
CLUSTERS: Final = (19_997, 20_000, 10_267)
CONTEXT: Final = 192


def transformer_decoder() -> Space:
    """2 to 16 layers, each with its own feed-forward size and heads, over an adaptive embedding."""
    depth = Decision("n_layer", Int(2, 16, "linear"))
    return Space(
        [
            depth,
            Decision("d_model", Ordinal((64, 128, 256, 512))),
            Decision("d_embed", Ordinal((128, 256, 512))),
            Decision("div_val", Ordinal((1, 2, 4))),
            *layers("d_inner", Int(512, 2048, "linear"), depth),
            *layers("n_head", Ordinal((2, 4, 8)), depth),
        ],
        costs=_costs,
    )


def _costs(architecture: Architecture) -> dict[str, float]:
    """`params` with embeddings, and `decoder_params` without, the paper's proxy of perplexity."""
    width = whole(architecture, "d_model")
    inner = layer_values(architecture, "d_inner")
    normalisation = 2 * width
    layer = attention(width, width, width) + 2 * normalisation
    decoder = len(inner) * layer + sum(feed_forward(width, size) for size in inner) + normalisation
    params = decoder + _embedding(width, whole(architecture, "d_embed"), whole(architecture, "div_val"))
    return {"params": params, "decoder_params": decoder}


def _embedding(width: int, first: int, divisor: int) -> int:
    """Words, projections, positions, and the output's biases and scores of the two rarer clusters."""
    sizes = first, first // divisor, first // divisor**2
    words = sum(count * size for count, size in zip(CLUSTERS, sizes, strict=True))
    projected = sum(sizes) + first if divisor > 1 else 2 * first
    projections = 0 if divisor == 1 and first == width else projected * width
    return words + projections + CONTEXT * width + sum(CLUSTERS) + 2 * (first + 1)
