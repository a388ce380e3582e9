"""Texts with masked tokens to be predicted, and labelled ones for a linear probe."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path

import torch
from torch import Tensor

from kubenas_trial.datasets.data import Batch, Splits
from kubenas_trial.datasets.labelled_text import LabelledTexts, detect
from kubenas_trial.datasets.language_data import Lines, split_lines, text_files
from kubenas_trial.datasets.tables import SUFFIXES
from kubenas_trial.datasets.text_data import TextExamples, TextSettings, labelled_examples, read_tables
from kubenas_trial.datasets.tokens import IGNORED, MASK, SPECIAL, START, TokenLists, tokenize, train_bpe
from kubenas_trial.errors import InvalidDatasetError

# BERT's shares: of tokens to be predicted, and of what these are replaced with (Devlin et al., NAACL 2019).
_WANTED, _MASKED, _REPLACED = 0.15, 0.8, 0.1


@dataclass(frozen=True, slots=True)
class MaskedExamples:
    """Texts, some of whose tokens are masked; all other targets are -100.

    Attributes:
        texts: their tokens.
        vocabulary: number of tokens.
        probe: labelled texts of the same split.
        drawn: whether the mask is drawn anew each time; else it is always the same.
    """

    texts: TokenLists
    vocabulary: int
    probe: TextExamples
    drawn: bool

    def __len__(self) -> int:
        return len(self.texts)

    def __getitem__(self, indices: Sequence[int], /) -> Batch:
        tokens = self.texts.padded(indices)
        order, shown, other = self._draws(indices, tokens.shape[1])
        special = tokens <= START
        # Of each text its share of tokens, but one at least, whatever the draws.
        count = ((~special).sum(1, keepdim=True) * _WANTED).round().clamp(min=1)
        wanted = (order.masked_fill(special, 2).argsort(1).argsort(1) < count) & ~special
        targets = tokens.masked_fill(~wanted, IGNORED)
        tokens = tokens.masked_fill(wanted & (shown < _MASKED), MASK)
        replaced = wanted & (shown >= 1 - _REPLACED)
        random = len(SPECIAL) + (other * (self.vocabulary - len(SPECIAL))).long()
        return Batch((torch.where(replaced, random, tokens),), (targets,))

    def _draws(self, indices: Sequence[int], length: int) -> Tensor:
        """Three numbers of [0, 1) for each token, (3, batch, length)."""
        if self.drawn:
            return torch.rand(3, len(indices), length)
        longest = torch.stack([torch.rand(length, 3, generator=torch.Generator().manual_seed(i)) for i in indices])
        return longest.permute(2, 0, 1)


@dataclass(frozen=True, slots=True)
class RepresentationData(Splits):
    """Texts to learn from and to be probed with.

    Attributes:
        classes: names of the probe's classes, in the order of their numbers.
        vocabulary: number of tokens.
        tokenizer: makes them of texts; as `tokenizers` writes it.
    """

    train: MaskedExamples
    validation: MaskedExamples
    test: MaskedExamples
    classes: tuple[str, ...]
    vocabulary: int
    tokenizer: str


@dataclass(frozen=True, slots=True)
class Texts:
    """The lines that are not empty, each a text."""

    lines: Lines

    def __iter__(self) -> Iterator[str]:
        return (line.strip() for line in self.lines if line.strip())


def detect_texts(path: Path) -> bool:
    """Whether there is a labelled table, for `Format.detect`."""
    return any(detect(kind)(path) for kind in SUFFIXES)


def read_representation(path: Path, settings: TextSettings) -> RepresentationData:
    """A folder with text files, one text a line, and a labelled table for the probe; or a table alone, for both.

    Raises:
        InvalidDatasetError: a file is not as it should be.
    """
    kinds = [kind for kind in SUFFIXES if detect(kind)(path)]
    if len(kinds) != 1:
        raise InvalidDatasetError(
            f"{path}: has {' and '.join(kinds) or 'no'} tables: give labelled texts for the probe as one of "
            f"{', '.join(SUFFIXES)}"
        )
    labelled = read_tables(path, kinds[0], settings)
    if path.is_dir() and text_files(path):
        texts = {name: Texts(part) for name, part in split_lines(path).items()}
        for name, part in texts.items():
            if next(iter(part), None) is None:
                raise InvalidDatasetError(f"{path}: all lines of the text of {name} are empty: give more")
        return representation_data(labelled, settings, texts)
    return representation_data(labelled, settings)


def representation_data(
    labelled: LabelledTexts, settings: TextSettings, texts: dict[str, Texts] | None = None
) -> RepresentationData:
    """Masked `texts` (absent: the labelled ones) in tokens of a vocabulary learned from all training texts."""
    training: Iterable[str] = (row.text for row in labelled.train)
    tokenizer = train_bpe(chain(training, texts["train"] if texts else ()), settings.vocabulary)
    tokenizer.enable_truncation(settings.length)
    size = tokenizer.get_vocab_size()

    def examples(split: str) -> MaskedExamples:
        rows = getattr(labelled, split)
        probe = labelled_examples(tokenizer, rows, labelled.classes, settings.memory_limit_mb)
        masked = tokenize(tokenizer, texts[split], settings.memory_limit_mb) if texts else probe.texts
        return MaskedExamples(masked, size, probe, drawn=split == "train" and settings.augmentation)

    return RepresentationData(
        examples("train"),
        examples("validation"),
        examples("test"),
        classes=labelled.classes,
        vocabulary=size,
        tokenizer=tokenizer.to_str(),
    )
