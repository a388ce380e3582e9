"""Texts in files."""

from __future__ import annotations

from codecs import BOM_UTF16_BE, BOM_UTF16_LE, getincrementaldecoder
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TextIO

from kubenas_trial.errors import InvalidDatasetError

# Bytes that are looked at together.
_BLOCK: Final = 2**20


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
        line, encoding = _wrong_line(path)
        raise InvalidDatasetError(
            f"{path}, line {line}: is not UTF-8 ({error.reason}): convert it, for example by "
            f"iconv -f {encoding} -t UTF-8"
        ) from None
    except OSError as error:
        raise InvalidDatasetError(f"{path}: cannot be read: {error}") from None


def _wrong_line(path: Path) -> tuple[int, str]:
    """Number of the first line that is not UTF-8, which decoders that read ahead do not tell, and what it may be."""
    decoder, line = getincrementaldecoder("utf-8")(), 1
    with path.open("rb") as file:
        encoding = "UTF-16" if file.read(2) in {BOM_UTF16_LE, BOM_UTF16_BE} else "WINDOWS-1252"
        file.seek(0)
        while True:
            block = file.read(_BLOCK)
            try:
                decoder.decode(block, final=not block)
            except UnicodeDecodeError as error:
                return line + error.object[: error.start].count(b"\n"), encoding
            line += block.count(b"\n")
