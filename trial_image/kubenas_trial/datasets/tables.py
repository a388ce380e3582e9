"""Tables of texts with labels: TSV, CSV and JSON lines."""

from __future__ import annotations

import csv
import json
import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain
from pathlib import Path
from typing import Any, Final

from kubenas_trial.datasets.problems import Problems
from kubenas_trial.datasets.text_files import open_text
from kubenas_trial.errors import InvalidDatasetError

# By name, where the settings name none; the first that a table has.
TEXT_COLUMNS: Final = (
    "text",
    "sentence",
    "review",
    "content",
    "body",
    "comment",
    "message",
    "tweet",
    "phrase",
    "description",
)
LABEL_COLUMNS: Final = ("label", "sentiment", "class", "category", "target", "polarity", "class index")
SUFFIXES: Final[Mapping[str, tuple[str, ...]]] = {
    "tsv": (".tsv",),
    "csv": (".csv",),
    "jsonl": (".jsonl", ".ndjson", ".json"),
}


# A text may be longer than what the module allows.
csv.field_size_limit(2**31 - 1)


class MissingColumnError(InvalidDatasetError):
    """A table lacks the column that `setting` names."""

    def __init__(self, setting: str, message: str) -> None:
        super().__init__(message)
        self.setting = setting


@dataclass(frozen=True, slots=True)
class Row:
    """A text, its label, and where both are from."""

    text: str
    label: str
    at: str


@dataclass(frozen=True)
class Table:
    """The rows of a file, read anew whenever they are gone through.

    Attributes:
        path: the file.
        kind: tsv, csv or jsonl.
        text, label: names of the columns; None for the first of the usual names. In a file without a header they are
            numbers, counted from 1.
    """

    path: Path
    kind: str
    text: str | None = None
    label: str | None = None

    def has_labels(self) -> bool:
        """Whether there are labels; published tables of tests lack them, or have nothing or -1 instead."""
        rows = self._rows()
        try:
            first = next(rows, None)
            return first is None or any(row.label not in {"", "-1"} for row in chain((first,), rows))
        except MissingColumnError as error:
            return error.setting != "labelColumn"

    def __iter__(self) -> Iterator[Row]:
        problems = Problems()
        with problems.noted():
            for row in self._rows():
                if row.label:
                    yield row
                else:
                    text = f"{row.at}: the label is empty: fill it in, or take the line out"
                    problems.add(InvalidDatasetError(text, "empty label"))
        problems.refuse()

    def _rows(self) -> Iterator[Row]:
        with open_text(self.path, newline="") as file:
            yield from self._json(file) if self.kind == "jsonl" else self._separated(file)

    @cached_property
    def _dialect(self) -> dict[str, Any]:
        """How fields are told apart, as options of `csv.reader`; to find out takes up to two readings of the file."""
        if self.kind == "csv":
            with open_text(self.path) as file:
                header = file.readline()
            # Programs write other separators where the comma is the decimal point, and texts have any of them.
            options = [{"strict": True, "delimiter": each} for each in ",;\t" if each in header] or [{"strict": True}]
            return next((each for each in options if len(options) == 1 or self._even(each)), options[0])
        # As registered with IANA: no quotes, except those that other programs put around a whole field; with tabs or
        # ends of lines inside only if the file makes no sense otherwise.
        plain = {"delimiter": "\t", "quoting": csv.QUOTE_NONE}
        quoted = {"delimiter": "\t", "strict": True}
        return quoted if not self._even(plain) and self._even(quoted) else plain

    def _even(self, dialect: dict[str, Any]) -> bool:
        """Whether all lines have as many fields."""
        try:
            with open_text(self.path, newline="") as file:
                return len({len(fields) for fields in csv.reader(file, **dialect) if any(fields)}) <= 1
        except csv.Error:
            return False

    def _fields(self, file: Iterable[str]) -> Iterator[tuple[int, list[str]]]:
        """The fields of each line that has some, and its number."""
        lines = csv.reader(file, **self._dialect)
        plain = "strict" not in self._dialect
        try:
            for fields in lines:
                if any(fields):
                    yield lines.line_num, [_unquoted(field) for field in fields] if plain else fields
        except csv.Error as error:
            raise InvalidDatasetError(
                f"{self.path}: cannot be read: {error}, in line {lines.line_num}: put quotes around a field that has "
                "some, and write those twice"
            ) from None

    def _separated(self, file: Iterable[str]) -> Iterator[Row]:
        header: list[str] | None = None
        columns: tuple[int, int] | None = None
        problems = Problems()
        for number, fields in self._fields(file):
            if columns is None or header is None:
                header = [field.strip() for field in fields]
                columns = self._numbered(header)
                if columns is None:
                    columns = header.index(self._text_in(header)), header.index(self._label_in(header))
                    continue
                text, label = (header[column].lower() for column in columns)
                if text in TEXT_COLUMNS and label in LABEL_COLUMNS:
                    continue
            if len(fields) != len(header):
                text = f"{self.path}, line {number}: {len(fields)} columns where the first line has {len(header)}"
                problems.add(InvalidDatasetError(text, "line of other columns"))
                continue
            yield self._row(fields[columns[0]], fields[columns[1]], number)
        problems.refuse()

    def _json(self, file: Iterable[str]) -> Iterator[Row]:
        columns: tuple[str, str] | None = None
        for number, line in enumerate(file, start=1):
            if not line.strip():
                continue
            try:
                document: Any = json.loads(line)
            except ValueError as error:
                raise InvalidDatasetError(f"{self.path}, line {number}: is no JSON: {error}") from None
            if not isinstance(document, dict):
                raise InvalidDatasetError(f"{self.path}, line {number}: is no JSON object")
            columns = columns or (self._text_in(list(document)), self._label_in(list(document)))
            text, label = (document.get(column) for column in columns)
            if not isinstance(text, str):
                raise InvalidDatasetError(f"{self.path}, line {number}: {columns[0]} is {text!r:.40}: give a string")
            if not isinstance(label, str | int | float | None):
                raise InvalidDatasetError(
                    f"{self.path}, line {number}: {columns[1]} is {label!r:.40}: give a string or a number"
                )
            yield self._row(text, "" if label is None else str(label), number)

    def _row(self, text: str, label: str, line: int) -> Row:
        return Row(text, label.strip(), f"{self.path}, line {line}")

    def _numbered(self, fields: Sequence[str]) -> tuple[int, int] | None:
        """Indices of text and label, from 0, where the settings give numbers that are no names."""
        wanted = self.text, self.label
        if not all(name and name.isdecimal() for name in wanted) or all(name in fields for name in wanted):
            return None
        text, label = (int(name or 0) - 1 for name in wanted)
        if not (0 <= text < len(fields) and 0 <= label < len(fields)):
            raise MissingColumnError(
                "labelColumn",
                f"{self.path}: has {len(fields)} columns, counted from 1; task.settings.textColumn is {self.text}, "
                f"labelColumn {self.label}",
            )
        return text, label

    def _text_in(self, header: Sequence[str]) -> str:
        return self._column(header, self.text, TEXT_COLUMNS, "textColumn")

    def _label_in(self, header: Sequence[str]) -> str:
        return self._column(header, self.label, LABEL_COLUMNS, "labelColumn")

    def _column(self, header: Sequence[str], wanted: str | None, usual: Sequence[str], setting: str) -> str:
        names = {name.lower(): name for name in reversed(header)}
        for name in usual if wanted is None else (wanted.lower(),):
            if name in names:
                return names[name]
        missing = " or ".join(usual) if wanted is None else wanted
        there = ", ".join(f"{name!r:.40}" for name in header)
        raise MissingColumnError(
            setting,
            f"{self.path}: has no column {missing}, only {there}: name one by task.settings.{setting}, "
            "or in a table without a header give the numbers of both, such as 1 and 2",
        )


def _unquoted(field: str) -> str:
    whole = re.fullmatch(r'"((?:[^"]|"")*)"', field, flags=re.DOTALL)
    return whole[1].replace('""', '"') if whole else field
