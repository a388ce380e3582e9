"""Data sets that are published in parts, and how those of train, validation and test that are missing are cut."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Hashable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple, TypeVar

from kubenas_trial.datasets.data import SPLIT_NAMES, grouped, stratified
from kubenas_trial.errors import InvalidDatasetError

T = TypeVar("T")


def files_in(path: Path, suffixes: Collection[str]) -> list[Path]:
    """The file at `path`, or those in the folder but what systems hide there, with one of `suffixes`, by name."""
    files = (file for file in path.iterdir() if not file.name.startswith(".")) if path.is_dir() else (path,)
    return sorted(file for file in files if file.suffix.lower() in suffixes and file.is_file())


def folders_in(path: Path) -> list[Path]:
    """The folders in a folder, but for what systems put there, by name; none in what is no folder."""
    folders = (each for each in path.iterdir() if each.is_dir()) if path.is_dir() else ()
    return sorted(each for each in folders if not each.name.startswith((".", "__MACOSX")))


def by_part(path: Path, files: Mapping[str, T]) -> dict[str, T]:
    """Which of `files`, by their names, is train, validation and test; a single one is train.

    Of test and test_2017 the first is meant; of two years neither.

    Raises:
        InvalidDatasetError: two are for the same part, or none is to train on; the message names `path`.
    """
    if len(files) == 1:
        return {"train": next(iter(files.values()))}
    found: dict[str, T] = {}
    for part, names in SPLIT_NAMES.items():
        members = [name for name in files if Path(name).stem.lower() in names]
        members = members or [name for name in files if part in parts_in(name)]
        if len(members) > 1:
            raise InvalidDatasetError(f"{path}: {' and '.join(sorted(members))} are both for {part}: leave one")
        if members:
            found[part] = files[members[0]]
    if "train" not in found:
        listed = ", ".join(sorted(files)) or "no such file"
        raise InvalidDatasetError(f"{path}: has {listed}: name them train, validation and test, or give one file")
    return found


class Numbers(NamedTuple):
    """Numbers of the examples of each split."""

    train: list[int]
    validation: list[int]
    test: list[int]


def part_of(name: str) -> str | None:
    """Which part a folder or list called `name` holds: train, validation, test or None."""
    return next((part for part, names in SPLIT_NAMES.items() if name.lower() in names), None)


def part_folders(path: Path) -> list[tuple[str, Path]]:
    """The folders in `path` that are called as a part is, each with this."""
    return [(part, folder) for folder in folders_in(path) if (part := part_of(folder.name))]


def parts_in(name: str) -> list[str]:
    """The parts that words of `name` name, such as train for wiki.train.tokens, in the order of the words."""
    return list(dict.fromkeys(part for word in words_of(name) if (part := part_of(word))))


def words_of(name: str) -> list[str]:
    """The words of a name in lower case, without numbers; empty ones where it begins or ends with something else."""
    return re.split(r"[^a-z]+", name.lower())


def one_each(at: Path, named: Iterable[tuple[str, Path]]) -> dict[str, Path]:
    """The file or folder of each part.

    Raises:
        InvalidDatasetError: two are for the same part; the message names `at`.
    """
    found: dict[str, Path] = {}
    for part, path in named:
        if (other := found.setdefault(part, path)) != path:
            names = " and ".join(str(each.relative_to(at)) for each in (other, path))
            raise InvalidDatasetError(f"{at}: {names} are both for {part}: leave one")
    return found


def shares_without(published: Collection[str]) -> tuple[int, int, int]:
    """Shares of train that become train, validation and test where there are those published: each missing one a fifth.

    Validation is never used as test, or test as validation: a search is not judged on what it optimizes.
    """
    validation, test = (int(name not in published) for name in ("validation", "test"))
    return 5 - validation - test, validation, test


def join(
    parts: Mapping[str, Sequence[T]],
    stratum: Callable[[T], Hashable],
    seed: int,
    at: Path,
    group: Callable[[T], Hashable] | None = None,
) -> tuple[list[T], Numbers]:
    """All examples of the published `parts` (train, validation, test; "" for those in none) and the splits of them.

    Published parts stay as they are. What is published in none is split by `seed`. A validation or test split that is
    not published is a fifth of train.

    Args:
        parts: examples of each published part.
        stratum: what each split is to have about equal shares of, such as a class.
        seed: of the split.
        at: names the data set in the message.
        group: what stays together where train is cut, such as a speaker's recordings; instead of `stratum`.

    Raises:
        InvalidDatasetError: a split would be empty.
    """
    examples = [example for part in parts.values() for example in part]
    numbers: dict[str, list[int]] = {}
    first = 0
    for name, part in parts.items():
        numbers[name] = list(range(first, first + len(part)))
        first += len(part)
    if "" in numbers:
        split = stratified(_numbered([stratum(example) for example in examples]), seed)
    elif "train" not in numbers:
        raise InvalidDatasetError(f"{at} has no part to train on, only {' and '.join(numbers)}: add one called train")
    elif len(numbers) == 3:
        split = numbers["train"], numbers["validation"], numbers["test"]
    else:
        train = numbers.pop("train")
        shares = shares_without(numbers)
        if group is None:
            known, held, rest = stratified(_numbered([stratum(examples[number]) for number in train]), seed, shares)
        else:
            known, held, rest = grouped([group(examples[number]) for number in train], seed, shares)
        cut = {"validation": [train[index] for index in held], "test": [train[index] for index in rest]} | numbers
        split = [train[index] for index in known], cut["validation"], cut["test"]
    result = Numbers(*split)
    for name, part_numbers in result._asdict().items():
        if not part_numbers:
            raise InvalidDatasetError(f"{at}: {len(examples)} examples leave none for the {name} split: add more")
    return examples, result


def _numbered(strata: Sequence[Hashable]) -> list[int]:
    known: dict[Hashable, int] = {}
    return [known.setdefault(stratum, len(known)) for stratum in strata]
