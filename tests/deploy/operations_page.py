"""docs/operations.md, read for tests."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Final

PAGE: Final = Path(__file__).parents[2] / "docs/operations.md"

_HEADING: Final = re.compile(r"(#+) (.+)")
# `- **`Word`, `Another`** …`: what is explained.
_ENTRY: Final = re.compile(r"- \*\*((?:`[\w-]+`(?:, )?)+)\*\*")


def entries() -> dict[str, dict[str, set[str]]]:
    """By chapter and section ("" before the first) what is explained there."""
    found: dict[str, dict[str, set[str]]] = {}
    chapter = section = ""
    for line in PAGE.read_text().splitlines():
        if heading := _HEADING.fullmatch(line):
            if len(heading[1]) == 2:
                chapter, section = heading[2], ""
            elif len(heading[1]) == 3:
                section = heading[2]
            found.setdefault(chapter, {}).setdefault(section, set())
        elif entry := _ENTRY.match(line):
            found[chapter][section] |= set(re.findall(r"`([\w-]+)`", entry[1]))
    return found


def anchors() -> set[str]:
    """What `#…` may name, as GitHub makes it from headings."""
    titles = [heading[2] for line in PAGE.read_text().splitlines() if (heading := _HEADING.fullmatch(line))]
    return {re.sub(r"[^\w -]", "", title.lower()).replace(" ", "-") for title in titles}
