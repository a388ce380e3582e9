"""What tests wait for, and what they ask of the machine."""

from __future__ import annotations

import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable


T = TypeVar("T")


def until(condition: Callable[[], T | Literal[False] | None], seconds: float = 120) -> T:
    """What a condition gives, once that is true; the limit is only there so that a test that fails ends."""
    deadline = time.monotonic() + seconds
    while not (found := condition()):
        assert time.monotonic() < deadline, f"not so after {seconds} s"
        time.sleep(0.1)
    return found


def processes_of(folder: Path) -> list[str]:
    """The command lines of this machine that name something in a folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        with suppress(OSError):
            if str(folder) in (command := file.read_text().replace("\0", " ")):
                found.append(command)
    return found
