"""FlexiBERT's encoders (Tuli et al., JAIR 2023, arXiv:2205.11656), as NAS-Bench-BERT trained them."""

from __future__ import annotations

from typing import Any, Final

from kubenas.space.architecture import Architecture, InvalidArchitectureError
from kubenas.space.base import Space
from kubenas.space.decisions import Decision
from kubenas.space.domains import Choice, Ordinal
from kubenas.space.layers import layers

# Self-attention by scaled dot product or weighted multiplicative attention, linear transform by Fourier or cosine
# transform, dynamic-span convolution with a kernel of 5 or 9.
OPERATIONS: Final = ("SA/SDP", "SA/WMA", "LT/DFT", "LT/DCT", "DSC/5", "DSC/9")
_FIELDS: Final = ("operation", "heads", "ffn_size", "ffn_layers")


class BERTEncoder(Space):
    """2 or 4 layers, each with its own operation, heads, and size and number of feed-forward layers.

    With hidden sizes of 128 or 256 that makes 10,621,440 encoders.
    """

    def __init__(self) -> None:
        depth = Decision("depth", Ordinal((2, 4)))
        super().__init__(
            [
                Decision("hidden_size", Ordinal((128, 256))),
                depth,
                *layers("operation", Choice(OPERATIONS), depth),
                *layers("heads", Ordinal((2, 4)), depth),
                *layers("ffn_size", Ordinal((512, 1024)), depth),
                *layers("ffn_layers", Ordinal((1, 3)), depth),
            ]
        )

    def parse(self, document: Any) -> Architecture:
        """The encoder in an object of decisions, or in a line such as `name` gives.

        Raises:
            InvalidArchitectureError: it is neither.
        """
        return super().parse(_read(document) if isinstance(document, str) else document)

    def name(self, architecture: Architecture) -> str:
        """The benchmark's notation, such as `256:SA/SDP/4/1024/1;DSC/5/2/512/3`."""
        rows = (
            "/".join(str(architecture[f"{field}.{layer}"]) for field in _FIELDS)
            for layer in range(int(architecture["depth"]))
        )
        return f"{architecture['hidden_size']}:{';'.join(rows)}"


def bert_encoder() -> BERTEncoder:
    """The space."""
    return BERTEncoder()


def _read(text: str) -> dict[str, str | int]:
    size, _, rows = text.partition(":")
    listed = [row.split("/") for row in rows.split(";")]
    try:
        decided: dict[str, str | int] = {"hidden_size": int(size), "depth": len(listed)}
        for layer, (kind, variant, *numbers) in enumerate(listed):
            decided[f"operation.{layer}"] = f"{kind}/{variant}"
            for field, number in zip(_FIELDS[1:], numbers, strict=True):
                decided[f"{field}.{layer}"] = int(number)
    except ValueError:
        raise InvalidArchitectureError(f"{text!r:.120} is no encoder: write SIZE:OP/VARIANT/HEADS/FFN/N;…") from None
    return decided
