"""Files of formats that are not read, which would be missing without a word beside those that are."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

_LOG: Final = logging.getLogger("kubenas_trial")
_PACKED: Final = frozenset({".bz2", ".gz", ".xz", ".zst"})


class Unread(NamedTuple):
    """Suffixes of formats of one kind that are not read, and what to do with such files."""

    suffixes: frozenset[str]
    advice: str


PICTURES: Final = Unread(
    frozenset(
        {".arw", ".avif", ".cr2", ".cr3", ".dcm", ".dng", ".exr", ".hdr", ".heic", ".heif", ".j2k", ".jfif", ".jp2"}
        | {".jpe", ".jxl", ".nef", ".orf", ".pbm", ".pcx", ".pnm", ".psd", ".raf", ".rw2", ".svg", ".tga"}
    ),
    "convert them to PNG or JPEG",
)
SOUNDS: Final = Unread(
    frozenset(
        {".aac", ".aif", ".aifc", ".aiff", ".amr", ".ape", ".au", ".caf", ".flac", ".m4a", ".mka", ".mp3", ".mp4"}
        | {".oga", ".ogg", ".opus", ".snd", ".sph", ".w64", ".wave", ".weba", ".webm", ".wma", ".wv"}
    ),
    "convert them to WAV",
)
TEXTS: Final = Unread(
    frozenset({".arrow", ".avro", ".doc", ".docx", ".feather", ".ods", ".orc", ".parquet", ".pdf", ".xls", ".xlsx"})
    | _PACKED,
    "convert them to TSV, CSV, JSON lines or plain text, unpacked",
)
_ALL: Final = (PICTURES, SOUNDS, TEXTS)


def tell_unread(path: Path, kind: Unread, *, below: bool) -> None:
    """Log how many files of `kind` lie in the folder `path`, and `below` it at any depth; says nothing of none."""
    if found := _found(path, kind, below=below):
        _LOG.warning("%s: files of formats that are not read are left out: %s: %s", path, found, kind.advice)


def why_unread(path: Path) -> str:
    """What to do with the files of formats that are not read, at any depth; empty where there are none."""
    each = [f"has {found}: {kind.advice}" for kind in _ALL if (found := _found(path, kind, below=True))]
    return "; ".join(each)


def _found(path: Path, kind: Unread, *, below: bool) -> str:
    counts = Counter(suffix for suffix in _suffixes(path, below=below) if suffix in kind.suffixes)
    return ", ".join(f"{count:,} {suffix}" for suffix, count in sorted(counts.items()))


def _suffixes(path: Path, *, below: bool) -> Iterator[str]:
    """Of each file but hidden ones, and archives and packed files that lie there unpacked too."""
    for _, folders, names in os.walk(path) if path.is_dir() else [(path.parent, [], [path.name])]:
        folders[:] = [name for name in folders if below and not name.startswith((".", "__MACOSX"))]
        known = frozenset(names)
        for name in names:
            stem, suffix = os.path.splitext(name)
            packed = suffix.lower() in _PACKED
            if not name.startswith(".") and not (packed and (stem in known or stem.lower().endswith(".tar"))):
                yield suffix.lower()
