"""Running text in three parts, cut into windows of tokens."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import torch
from pydantic import Field
from torch import Tensor

from kubenas_trial.datasets.data import SPLIT_NAMES, Batch, Splits
from kubenas_trial.datasets.published import files_in, part_of, parts_in
from kubenas_trial.datasets.text_files import open_text
from kubenas_trial.datasets.tokens import IGNORED, tokenize, train_byte_bpe
from kubenas_trial.datasets.unread import TEXTS, tell_unread
from kubenas_trial.errors import InvalidDatasetError
from kubenas_trial.settings import TrainingSettings

SUFFIXES: Final = (".txt", ".text", ".tokens", ".raw")
# Files that say something about the texts beside them.
_ABOUT: Final = ("readme", "license")
_START: Final = "<|endoftext|>"
# Characters that are read at a time, where lines are longer.
_LINE: Final = 4096


class LanguageSettings(TrainingSettings):
    """Settings of the data."""

    vocabulary: Annotated[
        int, Field(ge=257, le=1_000_000, description="Most tokens (byte-level BPE); 256 are single bytes.")
    ] = 2000
    length: Annotated[int, Field(ge=2, le=8192, description="Tokens of a window; none further back is seen.")] = 64


@dataclass(frozen=True, slots=True)
class Lines:
    """Lines of files, one file after another, read anew whenever they are gone through; overlong ones in pieces.

    Attributes:
        files: UTF-8 texts.
        start, end: only lines that begin from this character to before that one are given; no end: to the last.
    """

    files: Sequence[Path]
    start: int = 0
    end: int | None = None

    def __iter__(self) -> Iterator[str]:
        position = 0
        for line in self._all():
            if position >= self.start and (self.end is None or position < self.end):
                yield line
            position += len(line)

    def _all(self) -> Iterator[str]:
        for path in self.files:
            with open_text(path) as file:
                while line := file.readline(_LINE):
                    yield line


@dataclass(frozen=True, slots=True)
class Windows:
    """A text cut into windows of `length` tokens; each token is the target of the one before it.

    Attributes:
        tokens: the text after a start token, int32.
        characters: length of the text.
        length: tokens of a window; the last one is padded with ignored targets.
        shifted: whether each window begins up to `length` tokens later, as drawn (augmentation).
    """

    tokens: Tensor
    characters: int
    length: int
    shifted: bool = False

    def __len__(self) -> int:
        return math.ceil((len(self.tokens) - 1) / self.length)

    def __getitem__(self, indices: Sequence[int], /) -> Batch:
        last = len(self.tokens) - 1
        begins = torch.as_tensor(indices) * self.length
        if self.shifted:
            begins = (begins + torch.randint(self.length, begins.shape)).clamp(max=max(0, last - self.length))
        positions = begins[:, None] + torch.arange(self.length + 1)
        window = self.tokens[positions.clamp(max=last)].long()
        targets = window[:, 1:].masked_fill(positions[:, 1:] > last, IGNORED)
        return Batch((window[:, :-1],), (targets,))


@dataclass(frozen=True, slots=True)
class LanguageData(Splits):
    """A text in windows.

    Attributes:
        vocabulary: number of tokens, which are numbered from frequent to rare.
        tokenizer: as `tokenizers` writes it; its numbers are mapped by `order`.
        order: the tokenizer's number of each token, from frequent to rare.
        start: number of the token before a text.
    """

    train: Windows
    validation: Windows
    test: Windows
    vocabulary: int
    tokenizer: str
    order: tuple[int, ...]
    start: int


def detect(path: Path) -> bool:
    """Whether there are texts, for `Format.detect`."""
    return bool(text_files(path))


def read_text(path: Path, settings: LanguageSettings) -> LanguageData:
    """The text at `path`, split as by `split_lines`, in tokens that are learned from its training part.

    Raises:
        InvalidDatasetError: a file is not as it should be, or the text is too short.
    """
    if path.is_dir():
        tell_unread(path, TEXTS, below=False)
    parts = split_lines(path)
    tokenizer = train_byte_bpe(parts["train"], settings.vocabulary, _START)
    size = tokenizer.get_vocab_size()
    texts = {name: tokenize(tokenizer, part, settings.memory_limit_mb).tokens for name, part in parts.items()}
    # Networks whose rare tokens have narrow embeddings need to know which are rare.
    order = texts["train"].bincount(minlength=size).argsort(descending=True, stable=True)
    rank = torch.empty(size, dtype=torch.int32)
    rank[order] = torch.arange(size, dtype=torch.int32)
    start = rank[tokenizer.token_to_id(_START)].reshape(1)
    windows = {
        name: Windows(
            torch.cat((start, rank[tokens])),
            sum(map(len, parts[name])),
            settings.length,
            shifted=settings.augmentation and name == "train",
        )
        for name, tokens in texts.items()
    }
    return LanguageData(
        windows["train"],
        windows["validation"],
        windows["test"],
        size,
        tokenizer.to_str(),
        tuple(order.tolist()),
        int(start),
    )


def split_lines(path: Path) -> dict[str, Lines]:
    """Train, validation and test of a file, or of a folder's files in the order of their names.

    Files with train, valid (validation, val, dev) or test in their names, as wiki.train.tokens, are those splits. What
    has no file is cut from the training text's end: a tenth of it.

    Raises:
        InvalidDatasetError: a split is empty, or there is no training text.
    """
    return _cut(path, _by_split(path, [path] if path.is_file() else text_files(path)))


def text_files(path: Path) -> list[Path]:
    """The file at `path`, or the folder's files, that have a text's suffix; a file that is named may have none."""
    if path.is_file():
        return files_in(path, (*SUFFIXES, ""))
    return [file for file in files_in(path, SUFFIXES) if file.stem.lower() not in _ABOUT]


def _by_split(path: Path, files: Sequence[Path]) -> dict[str, list[Path]]:
    found: dict[str, list[Path]] = {}
    known = set(files)
    for file in files:
        # The Penn Treebank has the same texts in characters too.
        if ".char." in file.name and file.with_name(file.name.replace(".char.", ".")) in known:
            continue
        splits = parts_in(file.name)
        if len(splits) == 1:
            found.setdefault(splits[0], []).append(file)
    # A title may have the word, where no file is called so.
    if not found or (found.keys() == {"train"} and part_of(found["train"][0].stem) is None and len(files) > 1):
        return {"train": list(files)}
    if "train" not in found:
        raise InvalidDatasetError(f"{path}: has {', '.join(file.name for file in files)}, but no training text")
    return found


def _cut(path: Path, files: Mapping[str, Sequence[Path]]) -> dict[str, Lines]:
    parts = {split: Lines(listed) for split, listed in files.items()}
    wanted = [split for split in SPLIT_NAMES if split not in files]
    if wanted:
        total = _length(parts["train"])
        end = total - len(wanted) * total // 10
        parts["train"] = Lines(files["train"], 0, end)
        for number, split in enumerate(wanted, start=1):
            after = total - (len(wanted) - number) * total // 10
            parts[split] = Lines(files["train"], end, after)
            end = after
    for split, part in parts.items():
        if _length(part) == 0:
            raise InvalidDatasetError(f"{path}: the text of {split} is empty: give more, or lines that are not so long")
    return parts


def _length(lines: Iterable[str]) -> int:
    return sum(map(len, lines))
