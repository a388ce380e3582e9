"""Sentences with their translations, from tables or aligned files, read anew whenever they are gone through."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from itertools import zip_longest
from pathlib import Path
from typing import Final

from kubenas_trial.datasets.data import SPLIT_NAMES, Subset, grouped
from kubenas_trial.datasets.problems import Problems
from kubenas_trial.datasets.published import by_part, files_in, parts_in
from kubenas_trial.datasets.text_files import open_text
from kubenas_trial.datasets.unread import TEXTS, tell_unread
from kubenas_trial.errors import InvalidDatasetError

_TABLES: Final = (".tsv", ".tab", ".txt")
_HEADERS: Final = (("source", "target"), ("src", "tgt"), ("src", "trg"))
_LANGUAGE: Final = re.compile(
    r"[a-z]{2,3}([-_][a-z0-9]{2,8})?|english|german|french|spanish|italian|portuguese|dutch|russian|polish|czech|"
    r"turkish|arabic|hindi|chinese|japanese|korean"
)
# As in train.en.txt, train_en.txt or en.txt.
_LANGUAGE_LAST: Final = re.compile(
    rf"((?P<name>.+)[._-])?(?P<language>{_LANGUAGE.pattern}|src|source|tgt|trg|target)", re.IGNORECASE
)
_NUMBER: Final = re.compile(r"-?\d+(\.\d+)?")
_BESIDE: Final = ("", ".ids", ".scores", ".xml")
# Validation and test sentences are translated word by word, which takes long.
_EVALUATED: Final = 2000


@dataclass(frozen=True, slots=True)
class Pair:
    """A sentence and its translation."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class ParallelTexts:
    """The pairs of each split, each of which can be gone through again and again."""

    train: Iterable[Pair]
    validation: Iterable[Pair]
    test: Iterable[Pair]


@dataclass(frozen=True, slots=True)
class TablePairs:
    """The pairs in a file of columns between tabs; those with an empty side are left out.

    Attributes:
        path: the file.
        source, target: names of the columns, or their numbers from 1 where there is no header; None for the columns
            called source and target, else for the first two.
    """

    path: Path
    source: str | None
    target: str | None

    def __iter__(self) -> Iterator[Pair]:
        columns: tuple[int, int] | None = None
        problems = Problems()
        for number, line in enumerate(_lines(self.path), start=1):
            if not line.strip():
                continue
            cells = line.split("\t")
            if columns is None:
                columns, header = self._columns(cells)
                if header:
                    continue
                self._refuse_number(cells, columns)
            if len(cells) <= max(columns):
                text = (
                    f"{self.path}, line {number}: has {len(cells)} columns, and column {max(columns) + 1} is wanted: "
                    "put a tab between source and target"
                )
                problems.add(InvalidDatasetError(text, "line of too few columns"))
                continue
            pair = Pair(cells[columns[0]].strip(), cells[columns[1]].strip())
            if pair.source and pair.target:
                yield pair
        problems.refuse()

    def _refuse_number(self, cells: Sequence[str], columns: tuple[int, int]) -> None:
        """Where the first column, not asked for, has numbers, as in Tatoeba's exports, or scores, as in WikiMatrix."""
        if self.source is None and columns[0] == 0 and len(cells) > 2 and _NUMBER.fullmatch(cells[0].strip()):
            raise InvalidDatasetError(
                f"{self.path}: the first of {len(cells)} columns is a number: give the numbers of their columns, or "
                "what the first line calls them, by task.settings.sourceColumn and targetColumn, such as 2 and "
                f"{len(cells)}"
            )

    def _columns(self, cells: Sequence[str]) -> tuple[tuple[int, int], bool]:
        """Indices of source and target, and whether the first line is a header."""
        names = [cell.strip().lower() for cell in cells]
        if self.source is None and self.target is None:
            for source, target in _HEADERS:
                if source in names and target in names:
                    return (names.index(source), names.index(target)), True
            # An id, rather than Indonesian, where two languages follow.
            for first in (1, 0) if names[0] == "id" and len(names) > 2 else (0,):
                if all(map(_LANGUAGE.fullmatch, names[first : first + 2])):
                    return (first, first + 1), True
            return (0, 1), False
        indices: list[int] = []
        for setting, wanted in (("sourceColumn", self.source), ("targetColumn", self.target)):
            if wanted is None:
                raise InvalidDatasetError(f"task.settings.{setting} is absent: name both columns, or neither")
            if wanted.lower() in names:
                indices.append(names.index(wanted.lower()))
            elif wanted.isdecimal() and int(wanted) >= 1:
                indices.append(int(wanted) - 1)
            else:
                there = ", ".join(f"{cell!r:.40}" for cell in cells)
                raise InvalidDatasetError(
                    f"{self.path}: has no column {wanted}, only {there}: name one by task.settings.{setting}, "
                    "or in a table without a header give its number, such as 1"
                )
        header = any(wanted and wanted.lower() in names for wanted in (self.source, self.target))
        return (indices[0], indices[1]), header


@dataclass(frozen=True, slots=True)
class AlignedPairs:
    """The pairs of two files, line by line; those with an empty side are left out."""

    source: Path
    target: Path

    def __iter__(self) -> Iterator[Pair]:
        for source, target in zip_longest(_lines(self.source), _lines(self.target)):
            if source is None or target is None:
                counts = [sum(1 for _ in _lines(path)) for path in (self.source, self.target)]
                raise InvalidDatasetError(
                    f"{self.source} has {counts[0]} lines and {self.target} has {counts[1]}: "
                    "line N of one must be the translation of line N of the other"
                )
            if source.strip() and target.strip():
                yield Pair(source.strip(), target.strip())


def detect_table(path: Path) -> bool:
    """Whether `path` is a file with tabs, or a folder of such."""
    if path.is_dir():
        return bool(_tables(path))
    return path.suffix.lower() in _TABLES and _has_tab(path)


def detect_aligned(path: Path) -> bool:
    """Whether `path` is a folder with files that differ in their endings only, such as train.en and train.de."""
    return path.is_dir() and not _tables(path) and any(len(files) > 1 for files in _stems(path).values())


def read_table(path: Path, source: str | None, target: str | None, seed: int) -> ParallelTexts:
    """The pairs of one table, or of a folder of such that are named after train, validation and test.

    Raises:
        InvalidDatasetError: something is wrong; the message names the file, and the line.
    """
    if path.is_dir():
        tell_unread(path, TEXTS, below=False)
    files = {file.name: file for file in (_tables(path) if path.is_dir() else [path])}
    named = by_part(path, files)
    return _split({split: TablePairs(file, source, target) for split, file in named.items()}, seed, path)


def read_aligned(path: Path, source: str | None, target: str | None, seed: int) -> ParallelTexts:
    """The pairs of two files, or of two for each split, such as train.en and train.de.

    Endings say the languages: `source` and `target`, where given; else src or source, en, or the first in the alphabet
    is the source.

    Raises:
        InvalidDatasetError: something is wrong; the message names the files.
    """
    if not path.is_dir():
        raise InvalidDatasetError(f"{path} is no folder: name the one that holds both files")
    stems = _stems(path)
    named = by_part(path, {stem: files for stem, files in stems.items() if len(files) > 1})
    common = set.intersection(*map(set, named.values()))
    for stem, files in stems.items():
        if len(files) == 1 and common.issuperset(files) and parts_in(stem):
            raise InvalidDatasetError(
                f"{next(iter(files.values()))}: its translation is missing: add it, or take this file out"
            )
    for setting, wanted in (("sourceColumn", source), ("targetColumn", target)):
        if wanted is not None and wanted not in common:
            raise InvalidDatasetError(
                f"{path}: task.settings.{setting} is {wanted!r}: the files' endings are {', '.join(sorted(common))}"
            )
    others = sorted(common - {source, target}, key=lambda ending: (ending not in {"src", "source", "en"}, ending))
    missing = (source is None) + (target is None)
    if missing and len(others) != missing:
        raise InvalidDatasetError(
            f"{path}: the files' endings are {', '.join(sorted(common))}: name two by task.settings.sourceColumn and "
            "targetColumn"
        )
    source = source or others.pop(0)
    target = target or others.pop()
    return _split({split: AlignedPairs(files[source], files[target]) for split, files in named.items()}, seed, path)


def split_pairs(pairs: Sequence[Pair], seed: int) -> ParallelTexts:
    """A tenth of the pairs for validation and for test, at most 2,000 each.

    Raises:
        InvalidDatasetError: there are too few.
    """
    return _split({"train": pairs}, seed, "the data set")


def _split(parts: Mapping[str, Iterable[Pair]], seed: int, name: Path | str) -> ParallelTexts:
    """What is there, the rest cut from train; a sentence with several translations is in one split only."""
    for split, pairs in parts.items():
        if next(iter(pairs), None) is None:
            raise InvalidDatasetError(f"{name}: no pair for {split} has text on both sides: add some")
    if all(split in parts for split in SPLIT_NAMES):
        return ParallelTexts(**parts)
    sources = [blake2b(pair.source.encode(), digest_size=8).digest() for pair in parts["train"]]
    share = min(len(sources) // 10, _EVALUATED)
    if share == 0:
        raise InvalidDatasetError(f"{name}: {len(sources)} pairs of train are too few to cut from: give 10 at least")
    shares = [0 if split in parts else share for split in ("validation", "test")]
    cut = grouped(sources, seed, (len(sources) - sum(shares), shares[0], shares[1]))
    found: list[Iterable[Pair]] = []
    for split, members in zip(SPLIT_NAMES, cut, strict=True):
        if split != "train" and split in parts:
            found.append(parts[split])
        elif members:
            found.append(Subset.of(parts["train"], members, len(sources)))
        else:
            raise InvalidDatasetError(f"{name}: train has too few different sources to cut {split} from")
    return ParallelTexts(*found)


def _tables(folder: Path) -> list[Path]:
    """Its .tsv files, else texts with tabs."""
    return files_in(folder, (".tsv",)) or [file for file in files_in(folder, _TABLES) if _has_tab(file)]


def _has_tab(file: Path) -> bool:
    try:
        with file.open(encoding="utf-8-sig", errors="replace") as lines:
            return "\t" in lines.readline(100_000)
    except OSError:
        return False


def _stems(folder: Path) -> dict[str, dict[str, Path]]:
    """Files by their names and endings; .txt behind a language is none, nor what OPUS puts beside the texts."""
    found: dict[str, dict[str, Path]] = {}
    for file in sorted(folder.iterdir()):
        if file.is_file() and file.suffix not in _BESIDE and not file.name.startswith("."):
            stem, ending = file.stem, file.suffix[1:]
            if ending.lower() == "txt" and (named := _LANGUAGE_LAST.fullmatch(stem)):
                stem, ending = named["name"] or "", named["language"]
            found.setdefault(stem, {})[ending] = file
    return found


def _lines(path: Path) -> Iterator[str]:
    # Only \n ends a line: texts may hold other characters that Unicode calls line ends.
    with open_text(path, newline="\n") as file:
        for line in file:
            yield line.rstrip("\r\n")
