"""Labelled texts from tables, in three splits."""

from __future__ import annotations

import logging
import re
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from hashlib import blake2b
from pathlib import Path
from typing import Final

from kubenas_trial.datasets.data import SPLIT_NAMES, Subset, stratified
from kubenas_trial.datasets.published import by_part, files_in, shares_without
from kubenas_trial.datasets.tables import SUFFIXES, Row, Table
from kubenas_trial.datasets.unread import TEXTS, tell_unread
from kubenas_trial.errors import InvalidDatasetError

_LOG: Final = logging.getLogger("kubenas_trial")
# More classes than this in a small table are rather numbers, or texts.
_CLASSES: Final = 50


@dataclass(frozen=True, slots=True)
class LabelledTexts:
    """Three parts, each of which can be gone through again and again, and the classes of their labels."""

    train: Iterable[Row]
    validation: Iterable[Row]
    test: Iterable[Row]
    classes: tuple[str, ...]


def detect(kind: str) -> Callable[[Path], bool]:
    """Whether there are tables of this kind, for `Format.detect`."""
    return lambda path: bool(files_in(path, SUFFIXES[kind]))


def read_labelled(path: Path, kind: str, text: str | None, label: str | None, seed: int) -> LabelledTexts:
    """The tables of a folder, or one file; what has no file of its own is cut from the training file by class.

    A test file without labels, as published where these are kept back, is left out.

    Raises:
        InvalidDatasetError: a file is not as it should be; the message names it and the line.
    """
    files = [path] if path.is_file() else files_in(path, SUFFIXES[kind])
    if path.is_dir():
        tell_unread(path, TEXTS, below=False)
    named = by_part(path, {file.name: file for file in files})
    tables = {split: Table(file, kind, text, label) for split, file in named.items()}
    if "test" in tables and not tables["test"].has_labels():
        _LOG.warning("%s has no labels: the test split is cut from %s", named["test"], named["train"])
        del tables["test"]
    return split_labelled(tables, seed)


def split_labelled(parts: Mapping[str, Iterable[Row]], seed: int) -> LabelledTexts:
    """The three parts of what is there of `train`, `validation` and `test`; copies of a text are cut into one part.

    Raises:
        InvalidDatasetError: there are too few rows, or a label has no training row.
    """
    name = _name(parts["train"])
    labels: list[str] = []
    texts: list[bytes] = []
    for row in parts["train"]:
        labels.append(row.label)
        texts.append(blake2b(row.text.encode(), digest_size=8).digest())
    classes = _ordered(set(labels))
    if len(classes) < 2:
        raise InvalidDatasetError(f"{name}: {len(classes)} classes in {len(labels)} rows: two or more are needed")
    if len(classes) > max(_CLASSES, len(labels) // 10):
        raise InvalidDatasetError(
            f"{name}: {len(classes)} different labels in {len(labels)} rows, such as {classes[0]!r:.40}: "
            "if these are no classes, name another column by task.settings.labelColumn"
        )
    numbers = {name: number for number, name in enumerate(classes)}
    cut = stratified([numbers[label] for label in labels], seed, shares_without(parts))
    cut = _together(cut, texts)
    found: list[Iterable[Row]] = []
    for split, members in zip(SPLIT_NAMES, cut, strict=True):
        if split in parts and split != "train":
            _check(parts[split], numbers, split)
            found.append(parts[split])
            continue
        if not members:
            raise InvalidDatasetError(f"{name}: {len(labels)} rows are too few to cut {split} from them")
        found.append(Subset.of(parts["train"], members, len(labels)))
    train, validation, test = found
    return LabelledTexts(train, validation, test, classes)


def _together(cut: tuple[list[int], ...], texts: Sequence[Hashable]) -> tuple[list[int], ...]:
    """Numbers whose texts are equal in the first list that has one, unless that left nothing of another."""
    known: dict[Hashable, int] = {}
    for split, members in enumerate(cut):
        for number in members:
            known.setdefault(texts[number], split)
    joined: tuple[list[int], ...] = tuple([] for _ in cut)
    for number, text in enumerate(texts):
        joined[known[text]].append(number)
    return joined if list(map(bool, joined)) == list(map(bool, cut)) else cut


def _check(rows: Iterable[Row], classes: Mapping[str, int], split: str) -> None:
    empty = True
    for row in rows:
        empty = False
        if row.label not in classes:
            raise InvalidDatasetError(f"{row.at}: no training row has the label {row.label!r:.40}")
    if empty:
        raise InvalidDatasetError(f"{_name(rows)}: has no rows: give some, or take the file of {split} out")


def _name(rows: Iterable[Row]) -> str:
    return str(rows.path) if isinstance(rows, Table) else "the data set"


def _ordered(labels: set[str]) -> tuple[str, ...]:
    """Labels in the order of their numbers where they are such, else of the alphabet."""
    numeric = all(re.fullmatch(r"-?\d+", label) for label in labels)
    return tuple(sorted(labels, key=int) if numeric else sorted(labels))
