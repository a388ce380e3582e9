"""Labelled texts from tables, in three splits."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from kubenas_trial.datasets.data import SPLIT_NAMES, Chosen, stratified
from kubenas_trial.datasets.tables import SUFFIXES, Row, Table
from kubenas_trial.errors import InvalidDatasetError

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
    return lambda path: bool(_files(path, kind))


def read_labelled(path: Path, kind: str, text: str | None, label: str | None, seed: int) -> LabelledTexts:
    """The tables of a folder, or one file; what has no file of its own is cut from the training file by class.

    Raises:
        InvalidDatasetError: a file is not as it should be; the message names it and the line.
    """
    files = [path] if path.is_file() else _files(path, kind)
    tables = {split: Table(file, kind, text, label) for split, file in _by_split(path, files).items()}
    return split_labelled(tables, seed)


def split_labelled(parts: Mapping[str, Iterable[Row]], seed: int) -> LabelledTexts:
    """The three parts of what is there of `train`, `validation` and `test`.

    Raises:
        InvalidDatasetError: there are too few rows, or a label has no training row.
    """
    name, labels = _name(parts["train"]), [row.label for row in parts["train"]]
    classes = _ordered(set(labels))
    if len(classes) < 2:
        raise InvalidDatasetError(f"{name}: {len(classes)} classes in {len(labels)} rows: two or more are needed")
    if len(classes) > max(_CLASSES, len(labels) // 10):
        raise InvalidDatasetError(
            f"{name}: {len(classes)} different labels in {len(labels)} rows, such as {classes[0]!r:.40}: "
            "if these are no classes, name another column by task.settings.labelColumn"
        )
    shares = (3, *(0 if split in parts else 1 for split in ("validation", "test")))
    numbers = {name: number for number, name in enumerate(classes)}
    cut = stratified([numbers[label] for label in labels], seed, (shares[0], shares[1], shares[2]))
    found: list[Iterable[Row]] = []
    for split, members in zip(SPLIT_NAMES, cut, strict=True):
        if split in parts and split != "train":
            _check(parts[split], numbers, split)
            found.append(parts[split])
            continue
        if not members:
            raise InvalidDatasetError(f"{name}: {len(labels)} rows are too few to cut {split} from them")
        found.append(Chosen.of(parts["train"], members, len(labels)))
    train, validation, test = found
    return LabelledTexts(train, validation, test, classes)


def _check(rows: Iterable[Row], classes: Mapping[str, int], split: str) -> None:
    empty = True
    for row in rows:
        empty = False
        if row.label not in classes:
            raise InvalidDatasetError(f"{row.place}: no training row has the label {row.label!r:.40}")
    if empty:
        raise InvalidDatasetError(f"{_name(rows)}: has no rows: give some, or take the file of {split} out")


def _files(path: Path, kind: str) -> list[Path]:
    if path.is_dir():
        return sorted(file for file in path.iterdir() if file.is_file() and file.suffix.lower() in SUFFIXES[kind])
    return [path] if path.suffix.lower() in SUFFIXES[kind] else []


def _by_split(path: Path, files: Sequence[Path]) -> dict[str, Path]:
    if len(files) == 1:
        return {"train": files[0]}
    found: dict[str, Path] = {}
    for split, names in SPLIT_NAMES.items():
        members = [file for file in files if file.stem.lower() in names]
        if len(members) > 1:
            raise InvalidDatasetError(f"{path}: {' and '.join(file.name for file in members)} are both for {split}")
        if members:
            found[split] = members[0]
    if "train" not in found:
        listed = ", ".join(file.name for file in files) or "no table"
        raise InvalidDatasetError(f"{path}: has {listed}: name them train, validation and test, or give one file")
    return found


def _name(rows: Iterable[Row]) -> str:
    return str(rows.path) if isinstance(rows, Table) else "the data set"


def _ordered(labels: set[str]) -> tuple[str, ...]:
    """Labels in the order of their numbers where they are such, else of the alphabet."""
    numeric = all(re.fullmatch(r"-?\d+", label) for label in labels)
    return tuple(sorted(labels, key=int) if numeric else sorted(labels))
