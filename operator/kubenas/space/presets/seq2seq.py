"""Hardware-aware transformers for translation, HAT (Wang et al., ACL 2020, arXiv:2005.14187)."""

from __future__ import annotations

from typing import Final

from kubenas.space.architecture import Architecture
from kubenas.space.base import Space
from kubenas.space.decisions import Decision
from kubenas.space.domains import Int, Ordinal
from kubenas.space.layers import layer_values, layers
from kubenas.space.presets.blocks import attention, feed_forward, whole

ENCODER_LAYERS: Final = 6
# Queries, keys and values are this wide, however wide the embedding.
INNER: Final = 512
_FFN: Final = Ordinal((1024, 2048, 3072))
_HEADS: Final = Ordinal((4, 8))


def seq2seq() -> Space:
    """The space of WMT'14 English-German: 6 encoder and 1 to 6 decoder layers, each with its own size and heads.

    `cross_layers` is how many of the encoder's last layers a decoder layer attends to.
    """
    depth = Decision("decoder_depth", Int(1, 6, "linear"))
    return Space(
        [
            Decision("encoder_embed", Ordinal((512, 640))),
            Decision("decoder_embed", Ordinal((512, 640))),
            *(Decision(f"encoder_ffn.{layer}", _FFN) for layer in range(ENCODER_LAYERS)),
            *(Decision(f"encoder_heads.{layer}", _HEADS) for layer in range(ENCODER_LAYERS)),
            depth,
            *layers("decoder_ffn", _FFN, depth),
            *layers("decoder_heads", _HEADS, depth),
            *layers("cross_heads", _HEADS, depth),
            *layers("cross_layers", Ordinal((1, 2, 3)), depth),
        ],
        costs=_costs,
    )


def _costs(architecture: Architecture) -> dict[str, float]:
    """`params` of all layers, without the embeddings of words."""
    encoder, decoder = whole(architecture, "encoder_embed"), whole(architecture, "decoder_embed")
    encoder_ffn, decoder_ffn = (layer_values(architecture, f"{part}_ffn") for part in ("encoder", "decoder"))
    encoder_layer = attention(encoder, encoder, INNER) + 4 * encoder
    decoder_layer = attention(decoder, decoder, INNER) + attention(decoder, encoder, INNER) + 6 * decoder
    params = len(encoder_ffn) * encoder_layer + len(decoder_ffn) * decoder_layer
    params += sum(feed_forward(encoder, size) for size in encoder_ffn)
    params += sum(feed_forward(decoder, size) for size in decoder_ffn)
    return {"params": params}
