"""What is found of a search's results, as a condition says it."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Finding:
    """A condition: whether it holds, None where that is not known, and why."""

    holds: bool | None
    reason: str
    message: str
