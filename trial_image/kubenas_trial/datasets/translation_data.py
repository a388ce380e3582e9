"""Sentences and their translations as tokens."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Annotated, Final

import torch
from pydantic import Field
from tokenizers import Tokenizer, processors

from kubenas_trial.datasets.data import Batch, Splits
from kubenas_trial.datasets.parallel_text import Pair, ParallelTexts
from kubenas_trial.datasets.tokens import PADDING, TokenLists, tokenize, train_byte_bpe
from kubenas_trial.settings import Epochs, LearningRate, Norm, Share, TrainingSettings

# After each sentence; also what a translation begins from.
END: Final = "[END]"
Column = Annotated[
    Annotated[str, Field(min_length=1, coerce_numbers_to_str=True)] | None,
    Field(
        description="Name of a table's column, or its number, from 1, where there is no header; of aligned files the "
        "ending, such as en.",
    ),
]


class TranslationSettings(TrainingSettings):
    """Settings of translation."""

    learning_rate: LearningRate = 2e-3
    warmup_epochs: Epochs = 1.0
    clip_norm: Norm = 1.0
    label_smoothing: Share = 0.1
    source_column: Column = None
    target_column: Column = None
    vocabulary: Annotated[
        int, Field(ge=300, le=1_000_000, description="Most tokens of each language (byte-level BPE).")
    ] = 4000
    length: Annotated[
        int, Field(ge=2, le=8192, description="Tokens that are read of a sentence, and given of a translation.")
    ] = 128


@dataclass(frozen=True, slots=True)
class PairExamples:
    """Sentences and their translations; a batch is as long as its longest.

    Inputs of a batch are the source and the target behind an END, targets are the target with its END.

    Attributes:
        sources, targets: their tokens, each with END at its end.
        end: number of END in the target's vocabulary.
        references: the translations as they were written; none for training pairs.
    """

    sources: TokenLists
    targets: TokenLists
    end: int
    references: Sequence[str]

    def __len__(self) -> int:
        return len(self.sources)

    def __getitem__(self, indices: Sequence[int], /) -> Batch:
        target = self.targets.padded(indices)
        before = torch.cat((torch.full_like(target[:, :1], self.end), target[:, :-1]), dim=1)
        # What is behind END is no input.
        before = before.masked_fill(target == PADDING, PADDING)
        return Batch((self.sources.padded(indices), before), (target,))


@dataclass(frozen=True, slots=True)
class TranslationData(Splits):
    """Sentences and their translations.

    Attributes:
        source_vocabulary, target_vocabulary: how many tokens each language has.
        source_tokenizer: makes tokens of text.
        target_tokenizer: makes text of tokens.
    """

    train: PairExamples
    validation: PairExamples
    test: PairExamples
    source_vocabulary: int
    target_vocabulary: int
    source_tokenizer: Tokenizer
    target_tokenizer: Tokenizer


def translation_data(texts: ParallelTexts, settings: TranslationSettings) -> TranslationData:
    """The texts in tokens of vocabularies that are learned from the training pairs, one for each language.

    Raises:
        InvalidDatasetError: a file that is read on the way is not as it should be.
    """
    source = _tokenizer((pair.source for pair in texts.train), settings)
    target = _tokenizer((pair.target for pair in texts.train), settings)

    def examples(pairs: Iterable[Pair], references: Sequence[str]) -> PairExamples:
        return PairExamples(
            tokenize(source, (pair.source for pair in pairs), settings.memory_limit_mb),
            tokenize(target, (pair.target for pair in pairs), settings.memory_limit_mb),
            end_of(target),
            references,
        )

    return TranslationData(
        examples(texts.train, ()),
        examples(texts.validation, [pair.target for pair in texts.validation]),
        examples(texts.test, [pair.target for pair in texts.test]),
        source.get_vocab_size(),
        target.get_vocab_size(),
        source,
        target,
    )


def _tokenizer(texts: Iterable[str], settings: TranslationSettings) -> Tokenizer:
    tokenizer = train_byte_bpe(texts, settings.vocabulary - 1, "[PAD]")
    tokenizer.add_special_tokens([END])
    tokenizer.post_processor = processors.TemplateProcessing(
        single=f"$A {END}", special_tokens=[(END, end_of(tokenizer))]
    )
    tokenizer.enable_truncation(settings.length)
    return tokenizer


def end_of(tokenizer: Tokenizer) -> int:
    """The number of END, the last, as it was added to what was learned."""
    return tokenizer.get_vocab_size() - 1
