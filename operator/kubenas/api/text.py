"""Text of others made fit for a status, an event or a terminal."""

from __future__ import annotations

import re
from typing import Final

# Sequences that move a terminal's cursor, colour its text or set its title.
_ESCAPES: Final = re.compile(r"\x1b(?:\[[0-?]*[ -/]*[@-~]|\][^\x07\x1b]*(?:\x07|\x1b\\)?|[@-Z\\^_])")
# Control characters, those that turn the direction of text, and halves of surrogate pairs, which UTF-8 has not.
_UNSHOWN: Final = re.compile(
    r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u061c\u200e\u200f\u2028\u2029\u202a-\u202e\u2066-\u2069\ud800-\udfff\ufeff]"
)
_PYDANTIC_LINK: Final = re.compile(r"\s{0,8}For further information visit https://errors\.pydantic\.dev/\S*")


def clean(text: str) -> str:
    """`text` without what is not meant to be read; cleaned once more, it stays as it is."""
    text = _ESCAPES.sub("", text).replace("\r\n", "\n")
    text = _UNSHOWN.sub("", "\n".join(map(_shown, text.split("\n"))))
    # Not by nothing: what stood on both sides must not make a link together.
    return _PYDANTIC_LINK.sub("…", text)


def _shown(line: str) -> str:
    """What a line shows in the end: progress bars write over it again and again."""
    return line[line.rfind("\r", 0, len(line) - 1) + 1 :]
