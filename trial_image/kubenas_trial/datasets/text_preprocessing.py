"""Texts as tokens of the vocabulary that was learned from the training texts."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from tokenizers import Tokenizer
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from kubenas_trial.datasets.preprocessing import Preprocessing
from kubenas_trial.datasets.tokens import PADDING


class TextPreprocessing(Preprocessing):
    """Texts, cut off at the length that the tokenizer says.

    Attributes:
        tokenizer: as `tokenizers` writes it.
    """

    tokenizer: str

    def inputs(self, raw: Sequence[str]) -> tuple[Tensor, ...]:
        """Tokens (batch, longest text), padded."""
        return (encoded(self._tokenizer, raw),)

    @cached_property
    def _tokenizer(self) -> Tokenizer:
        return Tokenizer.from_str(self.tokenizer)


class LanguagePreprocessing(TextPreprocessing):
    """Running text, its tokens numbered from frequent to rare.

    Attributes:
        order: the tokenizer's number of each token, from frequent to rare.
        start: number, from frequent to rare, of the token before a text.
        length: tokens that a network sees.
    """

    order: tuple[int, ...]
    start: int
    length: int

    def inputs(self, raw: Sequence[str]) -> tuple[Tensor, ...]:
        """Tokens (1, at most `length`) of one text, those at its end."""
        [text] = raw
        order = torch.tensor(self.order)
        rank = torch.empty_like(order)
        rank[order] = torch.arange(len(order))
        tokens = [self.start, *rank[torch.tensor(self._tokenizer.encode(text).ids, dtype=torch.int64)].tolist()]
        return (torch.tensor([tokens[-self.length :]]),)

    def text_of(self, token: int) -> str:
        """What a token, numbered from frequent to rare, stands for."""
        text: str = self._tokenizer.decode([self.order[token]])
        return text


class PairPreprocessing(Preprocessing):
    """Sentences to be translated.

    Attributes:
        source, target: the languages' tokenizers, as `tokenizers` writes them.
        length: tokens that are given of a translation.
    """

    source: str
    target: str
    length: int

    def inputs(self, raw: Sequence[str]) -> tuple[Tensor, ...]:
        """Tokens (batch, longest sentence), padded."""
        return (encoded(Tokenizer.from_str(self.source), raw),)

    @cached_property
    def target_tokenizer(self) -> Tokenizer:
        """Makes text of a translation's tokens."""
        return Tokenizer.from_str(self.target)


def encoded(tokenizer: Tokenizer, texts: Sequence[str]) -> Tensor:
    """Tokens (batch, longest text) as int64, padded at their ends."""
    lists = [torch.tensor(encoding.ids, dtype=torch.int64) for encoding in tokenizer.encode_batch(list(texts))]
    return pad_sequence(lists, batch_first=True, padding_value=PADDING)
