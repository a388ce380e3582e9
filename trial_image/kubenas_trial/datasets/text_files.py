"""Texts in files."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TextIO

from kubenas_trial.errors import InvalidDatasetError


@contextmanager
def open_text(path: Path, newline: str | None = None) -> Iterator[TextIO]:
    """A file of UTF-8, with or without a byte order mark, to be read within a `with`.

    Args:
        path: the file.
        newline: what ends a line, as of `open`.

    Raises:
        InvalidDatasetError: it cannot be read, or is of another encoding; the message names the line.
    """
    try:
        with path.open(encoding="utf-8-sig", newline=newline) as file:
            yield file
    except UnicodeDecodeError as error:
        raise InvalidDatasetError(
            f"{path}, line {_wrong_line(path)}: is not UTF-8 ({error.reason}): convert it, for example by "
            "iconv -f WINDOWS-1252 -t UTF-8"
        ) from None
    except OSError as error:
        raise InvalidDatasetError(f"{path}: cannot be read: {error}") from None


def _wrong_line(path: Path) -> int:
    """Number of the first line that is not UTF-8; a decoder, which reads ahead, does not tell."""
    with path.open("rb") as file:
        return next(number for number, line in enumerate(file, start=1) if not _is_utf8(line))


def _is_utf8(line: bytes) -> bool:
    try:
        line.decode()
    except UnicodeDecodeError:
        return False
    return True
