"""FlexiBERT's encoders (Tuli et al., JAIR 2023, arXiv:2205.11656), as a classifier and as a masked language model."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import linear

from kubenas.space.base import Value
from kubenas_trial.networks.attention import FeedForward, Positions, scaled
from kubenas_trial.networks.base import Family, Skeleton, Tokens
from kubenas_trial.networks.token_mixers import mixer


class BERTEncoderSkeleton(Skeleton):
    """Size of an encoder; `width` 1 and `dropout` 0.1 are the paper's."""

    width: Annotated[
        float, Field(gt=0, le=16, description="Factor of the architecture's hidden and feed-forward sizes.")
    ] = 0.5
    dropout: Annotated[float, Field(ge=0, lt=1, description="Dropout of embeddings, layers and the classifier.")] = 0.3
    normalization: Annotated[
        Literal["before", "after"],
        Field(description="Of what goes into a layer's parts, or of the sums that come out, as in the paper."),
    ] = "before"


class Layer(nn.Module):
    """The operation called so by FlexiBERT, then a feed-forward stack, each added to its inputs.

    Normalised are the inputs of each, or `after` it the sums, as the paper does it and BERT, which needs a warm-up
    (Xiong et al., ICML 2020, arXiv:2002.04745).
    """

    def __init__(
        self, operation: str, mixing: nn.Module, feed_forward: nn.Module, width: int, dropout: float, *, after: bool
    ) -> None:
        super().__init__()
        self.after = after
        self.mixing_norm = nn.LayerNorm(width)
        self.operation = operation.replace("/", "_")
        self.mixing = nn.ModuleDict({self.operation: mixing})
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = feed_forward
        self.dropout = nn.Dropout(dropout)

    def forward(self, inputs: Tensor, present: Tensor) -> Tensor:
        """(batch, length, width), of which `present` (batch, length) are tokens, to the same."""
        mixing = self.mixing[self.operation]
        outputs: Tensor
        if self.after:
            inputs = self.mixing_norm(inputs + self.dropout(mixing(inputs, present)))
            outputs = self.feed_forward_norm(inputs + self.dropout(self.feed_forward(inputs)))
        else:
            inputs = inputs + self.dropout(mixing(self.mixing_norm(inputs), present))
            outputs = inputs + self.dropout(self.feed_forward(self.feed_forward_norm(inputs)))
        return outputs


class Encoder(nn.Module):
    """Tokens (batch, length) to vectors (batch, length, width), those of padding zero."""

    def __init__(self, architecture: Mapping[str, Value], skeleton: BERTEncoderSkeleton, tokens: Tokens) -> None:
        super().__init__()
        self.padding = tokens.padding
        self.width = width = scaled(int(architecture["hidden_size"]), skeleton.width)
        self.embedding = nn.Embedding(tokens.vocabulary, width, padding_idx=tokens.padding)
        nn.init.normal_(self.embedding.weight, std=0.1)
        self.positions = Positions(tokens.length, width)
        self.dropout = nn.Dropout(skeleton.dropout)
        self.layers = nn.ModuleList(
            Layer(
                operation := str(architecture[f"operation.{layer}"]),
                mixer(operation, width, int(architecture[f"heads.{layer}"]), tokens.length),
                FeedForward(
                    width,
                    scaled(int(architecture[f"ffn_size.{layer}"]), skeleton.width),
                    layers=int(architecture[f"ffn_layers.{layer}"]),
                ),
                width,
                skeleton.dropout,
                after=skeleton.normalization == "after",
            )
            for layer in range(int(architecture["depth"]))
        )
        # Its inputs are normalised already where layers end with that.
        self.norm = nn.LayerNorm(width) if skeleton.normalization == "before" else nn.Identity()

    def forward(self, tokens: Tensor) -> Tensor:
        """The last layer's vectors, normalised."""
        present = tokens != self.padding
        vectors = self.dropout(self.positions(self.embedding(tokens)))
        for layer in self.layers:
            vectors = layer(vectors, present)
        encoded: Tensor = self.norm(vectors) * present[:, :, None]
        return encoded

    def mean(self, tokens: Tensor) -> Tensor:
        """(batch, width): the mean vector of each sequence's tokens."""
        count = (tokens != self.padding).sum(1, keepdim=True).clamp(min=1)
        mean: Tensor = self(tokens).sum(1) / count
        return mean


class Classifier(nn.Module):
    """Logits (batch, classes) from the mean of an encoder's vectors."""

    def __init__(self, encoder: Encoder, classes: int, dropout: float) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Sequential(nn.Dropout(dropout), nn.Linear(encoder.width, classes))

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, length) to (batch, classes)."""
        logits: Tensor = self.head(self.encoder.mean(tokens))
        return logits


class MaskedLanguageModel(nn.Module):
    """Logits (batch, length, vocabulary) of the token at each position; the last matrix is the embedding's."""

    def __init__(self, encoder: Encoder) -> None:
        super().__init__()
        self.encoder = encoder
        self.head = nn.Sequential(nn.Linear(encoder.width, encoder.width), nn.GELU(), nn.LayerNorm(encoder.width))
        self.bias = nn.Parameter(torch.zeros(encoder.embedding.num_embeddings))

    def forward(self, tokens: Tensor) -> Tensor:
        """(batch, length) to (batch, length, vocabulary)."""
        return linear(self.head(self.encoder(tokens)), self.encoder.embedding.weight, self.bias)


def bert_classifier(architecture: Mapping[str, Value], skeleton: BERTEncoderSkeleton, tokens: Tokens) -> Classifier:
    """The encoder of `architecture` with a linear classifier."""
    return Classifier(Encoder(architecture, skeleton, tokens), tokens.classes, skeleton.dropout)


def bert_masked_lm(
    architecture: Mapping[str, Value], skeleton: BERTEncoderSkeleton, tokens: Tokens
) -> MaskedLanguageModel:
    """The encoder of `architecture` with BERT's head for masked tokens (Devlin et al., NAACL 2019)."""
    return MaskedLanguageModel(Encoder(architecture, skeleton, tokens))


# BERT-Tiny's shape: two layers of plain self-attention.
_DEFAULT: Final[Mapping[str, Value]] = {
    "hidden_size": 128,
    "depth": 2,
    **{f"operation.{layer}": "SA/SDP" for layer in range(2)},
    **{f"heads.{layer}": 2 for layer in range(2)},
    **{f"ffn_size.{layer}": 512 for layer in range(2)},
    **{f"ffn_layers.{layer}": 1 for layer in range(2)},
}
BERT_CLASSIFIER: Final = Family(BERTEncoderSkeleton, bert_classifier, _DEFAULT)
BERT_MASKED_LM: Final = Family(BERTEncoderSkeleton, bert_masked_lm, _DEFAULT)
