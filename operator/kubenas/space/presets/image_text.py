"""Networks that answer questions about images: an image encoder, a text encoder and what joins them."""

from __future__ import annotations

from typing import Final

from kubenas.space.architecture import Architecture
from kubenas.space.base import Space
from kubenas.space.decisions import Decision
from kubenas.space.domains import Choice, Ordinal
from kubenas.space.layers import layer_values, layers
from kubenas.space.presets.blocks import attention, feed_forward, whole

COLOURS: Final = 3
# A transformer's inner layer is this much wider than its vectors.
EXPANSION: Final = 4


def image_text() -> Space:
    """Convolutions that each halve the image, an encoder of the question, one of four fusions and a classifier.

    Fusions: `concat` of two vectors, their `product` (Antol et al., ICCV 2015, arXiv:1505.00468), `film`, where the
    question scales and shifts the image's features (Perez et al., AAAI 2018, arXiv:1709.07871), and `cross_attention`
    from the question's words to the image's positions. A text encoder of type `bag` is the mean of the words' vectors.
    """
    depth = Decision("image_depth", Ordinal((2, 3, 4, 5)))
    text = Decision("text_encoder", Choice(("bag", "gru", "transformer")))
    return Space(
        [
            depth,
            *layers("image_width", Ordinal((8, 16, 32, 64)), depth),
            *layers("image_kernel", Ordinal((3, 5)), depth),
            text,
            Decision("text_width", Ordinal((32, 64, 128))),
            Decision("text_layers", Ordinal((1, 2)), text.when_in(("gru", "transformer"))),
            Decision("fusion", Choice(("concat", "product", "film", "cross_attention"))),
            Decision("fusion_width", Ordinal((32, 64, 128, 256))),
            Decision("head_layers", Ordinal((0, 1, 2))),
            Decision("activation", Choice(("relu", "gelu", "silu"))),
        ],
        costs=_costs,
    )


def _costs(architecture: Architecture) -> dict[str, float]:
    """`params` of all layers, without the embeddings of words and positions and without the output."""
    widths = [int(width) for width in layer_values(architecture, "image_width")]
    kernels = layer_values(architecture, "image_kernel")
    params = sum(
        kernel**2 * before * after + 2 * after
        for kernel, before, after in zip(kernels, [COLOURS, *widths], widths, strict=False)
    )
    image, text, width = widths[-1], whole(architecture, "text_width"), whole(architecture, "fusion_width")
    params += _text(str(architecture["text_encoder"]), text, int(architecture.get("text_layers", 0)))
    params += _fusion(str(architecture["fusion"]), image, text, width)
    params += whole(architecture, "head_layers") * (width + 1) * width
    return {"params": params}


def _text(encoder: str, width: int, depth: int) -> float:
    match encoder:
        case "gru":
            return depth * 6 * (width + 1) * width
        case "transformer":
            layer = attention(width, width, width) + feed_forward(width, EXPANSION * width) + 4 * width
            return depth * layer + 2 * width
        case _:
            return 0.0


def _fusion(fusion: str, image: int, text: int, width: int) -> float:
    to_width = (image + 1) * width + (text + 1) * width
    match fusion:
        case "concat":
            return to_width + (2 * width + 1) * width
        case "film":
            return to_width + (text + 1) * width + (width + 1) * width
        case "cross_attention":
            return to_width + attention(width, width, width) + 4 * width
        case _:
            return to_width
