"""LiteTransformerSearch's GPT-2 decoders (Javaheripi et al., NeurIPS 2022, arXiv:2203.02094)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import Field
from torch import Tensor, nn

from kubenas.space.base import Value
from kubenas_trial.networks.adaptive_embedding import AdaptiveEmbedding
from kubenas_trial.networks.attention import Positions, TransformerLayer, causal_mask, scaled
from kubenas_trial.networks.base import Family, Skeleton, Tokens
from kubenas_trial.networks.relative_attention import RelativeAttention


class TransformerDecoderSkeleton(Skeleton):
    """Around a decoder's layers; `width` 1 and `dropout` 0.1 are the paper's.

    Its networks for WikiText-103 have learned positions and an adaptive embedding, those for LM1B neither.
    """

    width: Annotated[
        float, Field(gt=0, le=16, description="Factor of the architecture's model, inner and embedding sizes.")
    ] = 0.25
    dropout: Annotated[float, Field(ge=0, lt=1, description="Dropout of embeddings and layers.")] = 0.1
    positions: Annotated[
        Literal["learned", "relative"],
        Field(description="Learned positions, or attention by distances as in Transformer-XL."),
    ] = "learned"
    adaptive: Annotated[
        bool, Field(description="Whether div_val makes the embeddings of rarer tokens narrower; else all are alike.")
    ] = True


class Decoder(nn.Module):
    """Logits (batch, length, vocabulary) of the token after each position, from the tokens up to there."""

    def __init__(self, architecture: Mapping[str, Value], skeleton: TransformerDecoderSkeleton, tokens: Tokens) -> None:
        super().__init__()
        width = scaled(int(architecture["d_model"]), skeleton.width)
        self.embedding = AdaptiveEmbedding(
            tokens.vocabulary,
            scaled(int(architecture["d_embed"]), skeleton.width),
            int(architecture["div_val"]) if skeleton.adaptive else 1,
            width,
        )
        learned = skeleton.positions == "learned"
        self.positions = Positions(tokens.length, width) if learned else nn.Identity()
        self.dropout = nn.Dropout(skeleton.dropout)
        self.layers = nn.ModuleList(
            TransformerLayer(
                width,
                heads := int(architecture[f"n_head.{layer}"]),
                scaled(int(architecture[f"d_inner.{layer}"]), skeleton.width),
                attention=None if learned else RelativeAttention(width, heads, tokens.length),
                dropout=skeleton.dropout,
            )
            for layer in range(int(architecture["n_layer"]))
        )
        self.norm = nn.LayerNorm(width)

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, length) to (batch, length, vocabulary)."""
        mask = causal_mask(tokens.shape[1], tokens.device)
        vectors = self.dropout(self.positions(self.embedding(tokens)))
        for layer in self.layers:
            vectors = layer(vectors, mask)
        return self.embedding.score(self.norm(vectors))


def transformer_decoder(
    architecture: Mapping[str, Value], skeleton: TransformerDecoderSkeleton, tokens: Tokens
) -> Decoder:
    """The decoder of `architecture`, its tokens numbered from frequent to rare."""
    return Decoder(architecture, skeleton, tokens)


TRANSFORMER_DECODER: Final = Family(
    TransformerDecoderSkeleton,
    transformer_decoder,
    default={
        "n_layer": 4,
        "d_model": 256,
        "d_embed": 256,
        "div_val": 1,
        **{f"d_inner.{layer}": 1024 for layer in range(4)},
        **{f"n_head.{layer}": 4 for layer in range(4)},
    },
)
