"""The rows of a table: a CSV file read strictly, so that what is wrong is named by row and column."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from kubenas.api.errors import SpecError

_DECIMAL_COMMA: Final = re.compile(r"[-+]?\d*,\d+(?:[eE][-+]?\d+)?")


class Rows:
    """The cells of a CSV file with a header, separated by commas, semicolons or tabs; a row's number is its line.

    Raises:
        SpecError: the file cannot be read, has no rows, or a row has not as many cells as the header.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        try:
            # Other programs begin a file with a byte order mark, and have other separators.
            text = path.read_text(encoding="utf-8-sig")
            self._columns, self._cells = _read(text)
        except (OSError, UnicodeDecodeError, csv.Error) as error:
            reason = error.strerror if isinstance(error, OSError) else str(error)
            raise SpecError(str(path), f"cannot be read: {reason}") from None
        if not self._cells:
            raise SpecError(str(path), "has no rows: a table is a header and one row for each architecture")
        for number, row in enumerate(self._cells, start=2):
            if len(row) != len(self._columns):
                message = f"has {len(row)} cells, but the header has {len(self._columns)}"
                hint = ": put a cell with a comma in quotes, and write numbers with a decimal point"
                raise self.problem(number, message + (hint if len(row) > len(self._columns) else ""))

    def __len__(self) -> int:
        return len(self._cells)

    def texts(self, column: str, option: str) -> list[str]:
        """The cells of a column.

        Raises:
            SpecError: there is none of that name; `option` is who asked for it.
        """
        if column not in self._columns:
            raise SpecError(option, f"{column!r} is no column of {self.path}, which has {', '.join(self._columns)}")
        index = self._columns.index(column)
        return [row[index].strip() for row in self._cells]

    def numbers(self, column: str, option: str) -> list[float]:
        """The cells of a column as finite numbers.

        Raises:
            SpecError: there is no such column, or a cell is no finite number.
        """
        return [self._number(text, column, number) for number, text in enumerate(self.texts(column, option), start=2)]

    def problem(self, number: int, message: str) -> SpecError:
        """What is wrong with the row of that number."""
        return SpecError(f"{self.path}, row {number}", message)

    def _number(self, text: str, column: str, number: int) -> float:
        try:
            value = float(text)
        except ValueError:
            value = math.nan
        if not math.isfinite(value):
            if _DECIMAL_COMMA.fullmatch(text):
                message = f"{column} is {text!r:.80}: write numbers with a decimal point, {text.replace(',', '.'):.80}"
                raise self.problem(number, message)
            raise self.problem(number, f"{column} is {text!r:.80}, not a finite number: mend or remove the row")
        return value


def _read(text: str) -> tuple[list[str], list[list[str]]]:
    """Columns and rows, by the first separator that gives each row as many cells as the header, if any does."""
    header = text.partition("\n")[0]
    found = [_separated(text, each) for each in ",;\t" if each in header] or [_separated(text, ",")]
    return next((one for one in found if all(len(row) == len(one[0]) for row in one[1])), found[0])


def _separated(text: str, delimiter: str) -> tuple[list[str], list[list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter)
    return [name.strip() for name in next(reader, [])], [row for row in reader if row]


def listed(columns: str) -> tuple[str, ...]:
    """Names in a list that is separated by commas."""
    return tuple(name for name in (part.strip() for part in columns.split(",")) if name)


def unique(names: Sequence[str], option: str) -> tuple[str, ...]:
    """The names as they are.

    Raises:
        SpecError: there is none, or one is there twice.
    """
    if not names:
        raise SpecError(option, "is empty: name at least one")
    for index, name in enumerate(names):
        if name in names[:index]:
            raise SpecError(option, f"{name!r} is there twice")
    return tuple(names)
