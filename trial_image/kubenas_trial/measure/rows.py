"""Architectures in a CSV file, measured or not."""

from __future__ import annotations

import csv
import math
from collections.abc import Iterator, Sequence
from pathlib import Path

from kubenas.space.base import Architecture, Space
from kubenas_trial.architecture import read_architecture
from kubenas_trial.errors import InvalidDatasetError, InvalidTrialError

# Fewer could not be divided to see how good a fit is.
FEWEST = 10


def read_latencies(path: Path, space: Space, architecture: str, latency: str) -> dict[Architecture, float]:
    """Latency of each architecture in a CSV file with a header; the mean where one is there several times.

    Args:
        path: the file.
        space: that the architectures belong to.
        architecture: column of the architectures, as JSON or in the space's own notation.
        latency: column of their latencies.

    Raises:
        InvalidDatasetError: the file cannot be read, has no such column, too few rows, or a wrong one.
    """
    found: dict[Architecture, list[float]] = {}
    for at, row in _rows(path, (architecture, latency)):
        found.setdefault(_architecture(row[architecture], space, at), []).append(_number(row[latency], at))
    if len(found) < FEWEST:
        raise InvalidDatasetError(f"{path}: has {len(found)} architectures, and {FEWEST} are the least to learn from")
    return {each: sum(values) / len(values) for each, values in found.items()}


def read_architectures(path: Path, space: Space, column: str) -> list[tuple[str, Architecture]]:
    """The architectures in a CSV file with a header, each as it is written there and as one of the space.

    Args:
        path: the file.
        space: that they belong to.
        column: theirs, as JSON or in the space's own notation.

    Raises:
        InvalidDatasetError: the file cannot be read, has no such column, no row, or a wrong one.
    """
    found = [(row[column] or "", _architecture(row[column], space, at)) for at, row in _rows(path, (column,))]
    if not found:
        raise InvalidDatasetError(f"{path}: has no architectures below its header")
    return found


def _rows(path: Path, columns: Sequence[str]) -> Iterator[tuple[str, dict[str, str | None]]]:
    """Each row, and where it is."""
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            for column in columns:
                if column not in (reader.fieldnames or ()):
                    there = ", ".join(reader.fieldnames or ()) or "none"
                    raise InvalidDatasetError(f"{path}: there is no column {column!r}; the columns are {there}")
            for row in reader:
                yield f"{path}, line {reader.line_num}", row
    except (OSError, UnicodeDecodeError, csv.Error) as error:
        reason = error.strerror if isinstance(error, OSError) else str(error)
        raise InvalidDatasetError(f"{path}: cannot be read: {reason}") from None


def _architecture(text: str | None, space: Space, at: str) -> Architecture:
    try:
        return read_architecture(text or "", space)
    except InvalidTrialError as error:
        raise InvalidDatasetError(f"{at}: {error}") from None


def _number(text: str | None, at: str) -> float:
    try:
        number = float(text or "")
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InvalidDatasetError(f"{at}: {text!r} is no finite number")
    return number
