"""Labelled texts as tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import torch
from pydantic import Field
from tokenizers import Tokenizer
from torch import Tensor

from kubenas_trial.datasets.data import Batch, Splits
from kubenas_trial.datasets.labelled_text import LabelledTexts, read_labelled
from kubenas_trial.datasets.tables import Row
from kubenas_trial.datasets.tokens import START, UNKNOWN, TokenLists, tokenize, train_bpe
from kubenas_trial.settings import TrainingSettings

Column = Annotated[
    Annotated[str, Field(min_length=1, coerce_numbers_to_str=True)] | None,
    Field(description="Name of a table's column, or its number, from 1, where there is no header."),
]


class TextSettings(TrainingSettings):
    """Settings of every task on labelled texts."""

    text_column: Column = None
    label_column: Column = None
    vocabulary: Annotated[int, Field(ge=100, le=1_000_000, description="Most tokens (byte pair encoding).")] = 8000
    length: Annotated[int, Field(ge=2, le=8192, description="Tokens that are read of a text.")] = 64


@dataclass(frozen=True, slots=True)
class TextExamples:
    """Texts with their class; a batch is as long as its longest text.

    Attributes:
        texts: their tokens.
        labels: their classes, int64.
        token_dropout: share of the tokens that are drawn to be unknown, which only training examples have.
    """

    texts: TokenLists
    labels: Tensor
    token_dropout: float = 0.0

    def __len__(self) -> int:
        return len(self.labels)

    def __getitem__(self, indices: Sequence[int], /) -> Batch:
        tokens = self.texts.padded(indices)
        if self.token_dropout > 0:
            dropped = (torch.rand(tokens.shape) < self.token_dropout) & (tokens > START)
            tokens = tokens.masked_fill(dropped, UNKNOWN)
        return Batch((tokens,), (self.labels[torch.as_tensor(indices)],))


@dataclass(frozen=True, slots=True)
class TextData(Splits):
    """Texts with a class each.

    Attributes:
        classes: names of the classes, in the order of their numbers.
        vocabulary: number of tokens.
        tokenizer: makes them of texts; as `tokenizers` writes it.
    """

    train: TextExamples
    validation: TextExamples
    test: TextExamples
    classes: tuple[str, ...]
    vocabulary: int
    tokenizer: str


def text_data(texts: LabelledTexts, settings: TextSettings, token_dropout: float) -> TextData:
    """The texts in tokens of a vocabulary that is learned from the training texts."""
    tokenizer = train_bpe((row.text for row in texts.train), settings.vocabulary)
    tokenizer.enable_truncation(settings.length)
    dropout = token_dropout if settings.augmentation else 0.0
    train, validation, test = (
        labelled_examples(tokenizer, part, texts.classes, settings.memory_limit_mb, dropout if first else 0.0)
        for part, first in ((texts.train, True), (texts.validation, False), (texts.test, False))
    )
    return TextData(train, validation, test, texts.classes, tokenizer.get_vocab_size(), tokenizer.to_str())


def labelled_examples(
    tokenizer: Tokenizer, rows: Iterable[Row], classes: Sequence[str], memory_limit_mb: int, token_dropout: float = 0.0
) -> TextExamples:
    """The rows in tokens, with the numbers of their classes."""
    numbers = {name: number for number, name in enumerate(classes)}
    labels = torch.tensor([numbers[row.label] for row in rows])
    return TextExamples(tokenize(tokenizer, (row.text for row in rows), memory_limit_mb), labels, token_dropout)


def read_tables(path: Path, kind: str, settings: TextSettings) -> LabelledTexts:
    """The tables at `path`, with the columns that the settings name.

    Raises:
        InvalidDatasetError: a file is not as it should be; the message names it and the line.
    """
    return read_labelled(path, kind, settings.text_column, settings.label_column, settings.split_seed)
