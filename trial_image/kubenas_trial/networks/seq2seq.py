"""Encoder-decoder transformers for translation, HAT (Wang et al., ACL 2020, arXiv:2005.14187)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Annotated, Final, NamedTuple

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import linear

from kubenas.space.base import Architecture, Value
from kubenas.space.layers import layer_values
from kubenas.space.presets.seq2seq import ENCODER_LAYERS, INNER
from kubenas_trial.networks.attention import (
    Attention,
    FeedForward,
    KeyValues,
    Sinusoids,
    TransformerLayer,
    causal_mask,
    padding_mask,
    scaled,
)
from kubenas_trial.networks.base import Family, Skeleton, TokenPairs


class Seq2SeqSkeleton(Skeleton):
    """Size of the network; a width of 1 with a dropout of 0.3 is the paper's for WMT'14."""

    width: Annotated[float, Field(gt=0, le=4, description="Factor of all widths: embeddings, heads, inner layers.")] = (
        1 / 8
    )
    dropout: Annotated[float, Field(ge=0, lt=1, description="Share of values dropped in training.")] = 0.1


class Embedding(nn.Module):
    """Vectors of tokens with sinusoidal positions: (batch, length) to (batch, length, width)."""

    def __init__(self, vocabulary: int, width: int, length: int, dropout: float) -> None:
        super().__init__()
        self.vectors = nn.Embedding(vocabulary, width)
        # With the scale below, of the size of the positions; the decoder's vectors also give its output's logits.
        nn.init.normal_(self.vectors.weight, std=width**-0.5)
        self.positions = Sinusoids(length, width)
        self.dropout = nn.Dropout(dropout)
        self.scale = math.sqrt(width)

    def forward(self, tokens: Tensor, start: int = 0) -> Tensor:
        """The vectors; the first token is at the position `start`."""
        vectors: Tensor = self.dropout(self.positions(self.scale * self.vectors(tokens), start))
        return vectors


class CrossMemory(NamedTuple):
    """What a decoder's layer attends to of the encoder: a `memory`, and a `mask` (batch, 1, 1, its length)."""

    memory: KeyValues
    mask: Tensor

    def of(self, kept: Tensor) -> CrossMemory:
        """That of the `kept` examples (mask or indices of the batch)."""
        return CrossMemory(self.memory.of(kept), self.mask[kept])


class DecoderLayer(nn.Module):
    """Causal self-attention, attention to the encoder's last `reach` layers, feed-forward; normalized before."""

    def __init__(
        self,
        width: int,
        memory_width: int,
        inner: int,
        heads: int,
        cross_heads: int,
        reach: int,
        hidden: int,
        dropout: float,
    ) -> None:
        super().__init__()
        self.attention_norm = nn.LayerNorm(width)
        self.attention = Attention(width, heads, inner=inner)
        self.cross_norm = nn.LayerNorm(width)
        self.cross = Attention(width, cross_heads, inner=inner, memory_width=memory_width)
        self.feed_forward_norm = nn.LayerNorm(width)
        self.feed_forward = FeedForward(width, hidden)
        self.dropout = nn.Dropout(dropout)
        self.reach = reach

    def forward(self, inputs: Tensor, causal: Tensor, memories: tuple[Tensor, ...], mask: Tensor) -> Tensor:
        """(batch, length, width) to the same.

        Args:
            inputs: the target so far.
            causal: the mask of self-attention.
            memories: outputs of the encoder's layers, the last at the end.
            mask: true where the source has no padding, (batch, 1, 1, source length).
        """
        normed = self.attention_norm(inputs)
        return self._finished(
            inputs, normed, self.attention.key_values(normed), causal, self.cross_memory(memories, mask)
        )

    def cross_memory(self, memories: tuple[Tensor, ...], mask: Tensor) -> CrossMemory:
        """The keys and values of the encoder that it attends to; arguments as of `forward`."""
        # One after another in length, as in the paper, so that how many there are changes no weights.
        memory = torch.cat(memories[-self.reach :], dim=1)
        return CrossMemory(self.cross.key_values(memory), mask.repeat(1, 1, 1, self.reach))

    def step(self, inputs: Tensor, before: KeyValues | None, source: CrossMemory) -> tuple[Tensor, KeyValues]:
        """The outputs of the next position alone, and the keys and values up to it.

        Args:
            inputs: (batch, 1, width).
            before: keys and values of the positions before; None at the first.
            source: the memory of the encoder.
        """
        normed = self.attention_norm(inputs)
        own = self.attention.key_values(normed)
        seen = own if before is None else before.followed_by(own)
        return self._finished(inputs, normed, seen, None, source), seen

    def _finished(
        self, inputs: Tensor, normed: Tensor, seen: KeyValues, causal: Tensor | None, source: CrossMemory
    ) -> Tensor:
        inputs = inputs + self.dropout(self.attention.gather(normed, seen, causal))
        inputs = inputs + self.dropout(self.cross.gather(self.cross_norm(inputs), source.memory, source.mask))
        outputs: Tensor = inputs + self.dropout(self.feed_forward(self.feed_forward_norm(inputs)))
        return outputs


class Seq2Seq(nn.Module):
    """Logits of each next token of the target, for (source, target so far).

    Layers are normalized before each of their parts and once at the end, which trains without the paper's long warm-up
    (Xiong et al., ICML 2020, arXiv:2002.04745). The decoder's vectors of tokens are also its output's weights.
    """

    def __init__(self, architecture: Mapping[str, Value], skeleton: Seq2SeqSkeleton, pairs: TokenPairs) -> None:
        super().__init__()
        decided = Architecture(architecture)
        inner, dropout = scaled(INNER, skeleton.width), skeleton.dropout
        source_width, target_width = (
            scaled(int(architecture[f"{part}_embed"]), skeleton.width) for part in ("encoder", "decoder")
        )

        def of_layers(name: str) -> list[int]:
            return [int(value) for value in layer_values(decided, name)]

        def hidden(name: str) -> list[int]:
            return [scaled(value, skeleton.width) for value in of_layers(name)]

        self.padding = pairs.padding
        self.source = Embedding(pairs.source_vocabulary, source_width, pairs.length, dropout)
        self.target = Embedding(pairs.target_vocabulary, target_width, pairs.length, dropout)
        self.encoder = nn.ModuleList(
            TransformerLayer(source_width, heads, size, inner=inner, dropout=dropout)
            for heads, size in zip(of_layers("encoder_heads"), hidden("encoder_ffn"), strict=True)
        )
        self.encoder_norm = nn.LayerNorm(source_width)
        self.decoder = nn.ModuleList(
            DecoderLayer(target_width, source_width, inner, heads, cross_heads, reach, size, dropout)
            for heads, cross_heads, reach, size in zip(
                *(of_layers(name) for name in ("decoder_heads", "cross_heads", "cross_layers")),
                hidden("decoder_ffn"),
                strict=True,
            )
        )
        self.decoder_norm = nn.LayerNorm(target_width)

    def forward(self, source: Tensor, target: Tensor) -> Tensor:
        """(batch, source length) and (batch, target length) to (batch, target length, target vocabulary)."""
        return self.decode(source, self.encode(source), target)

    def encode(self, source: Tensor) -> tuple[Tensor, ...]:
        """Normalized outputs (batch, source length, encoder's width) of those layers that the decoder attends to."""
        mask = padding_mask(source, self.padding)
        state = self.source(source)
        states = []
        for layer in self.encoder:
            state = layer(state, mask)
            states.append(state)
        reach = max(layer.reach for layer in self.layers())
        return tuple(self.encoder_norm(state) for state in states[-reach:])

    def decode(self, source: Tensor, memories: tuple[Tensor, ...], target: Tensor) -> Tensor:
        """As `forward`, where `memories` is `encode(source)`."""
        mask = padding_mask(source, self.padding)
        causal = causal_mask(target.shape[1], target.device)
        state = self.target(target)
        for layer in self.layers():
            state = layer(state, causal, memories, mask)
        return self.logits(state)

    def start(self, source: Tensor) -> Stepwise:
        """The decoding of `source` (batch, source length), before the target's first token."""
        memories, mask = self.encode(source), padding_mask(source, self.padding)
        return Stepwise(self, 0, tuple(layer.cross_memory(memories, mask) for layer in self.layers()), ())

    def layers(self) -> list[DecoderLayer]:
        """Those of the decoder."""
        return [layer for layer in self.decoder if isinstance(layer, DecoderLayer)]

    def logits(self, state: Tensor) -> Tensor:
        """Of the decoder's last vectors."""
        return linear(self.decoder_norm(state), self.target.vectors.weight)


@dataclass(frozen=True, slots=True)
class Stepwise:
    """A `Decoding` that caches keys and values; its logits are those of `Seq2Seq.forward` on the whole target.

    Attributes:
        network: the translator.
        length: tokens of the target so far.
        sources: what each of the decoder's layers attends to of the encoder.
        before: cached keys and values of the target for each; empty before the first token.
    """

    network: Seq2Seq
    length: int
    sources: tuple[CrossMemory, ...]
    before: tuple[KeyValues, ...]

    def step(self, tokens: Tensor) -> tuple[Tensor, Stepwise]:
        """The next logits."""
        state = self.network.target(tokens[:, None], self.length)
        before: list[KeyValues] = []
        for number, (layer, source) in enumerate(zip(self.network.layers(), self.sources, strict=True)):
            state, seen = layer.step(state, self.before[number] if self.before else None, source)
            before.append(seen)
        return self.network.logits(state)[:, 0], replace(self, length=self.length + 1, before=tuple(before))

    def of(self, kept: Tensor) -> Stepwise:
        """The `kept` ones."""
        sources = tuple(each.of(kept) for each in self.sources)
        return replace(self, sources=sources, before=tuple(each.of(kept) for each in self.before))


SEQ2SEQ: Final = Family(
    Seq2SeqSkeleton,
    Seq2Seq,
    default={
        "encoder_embed": 512,
        "decoder_embed": 512,
        **{f"encoder_ffn.{layer}": 2048 for layer in range(ENCODER_LAYERS)},
        **{f"encoder_heads.{layer}": 8 for layer in range(ENCODER_LAYERS)},
        "decoder_depth": 3,
        **{f"decoder_ffn.{layer}": 2048 for layer in range(3)},
        **{f"decoder_heads.{layer}": 8 for layer in range(3)},
        **{f"cross_heads.{layer}": 8 for layer in range(3)},
        **{f"cross_layers.{layer}": 1 for layer in range(3)},
    },
)
