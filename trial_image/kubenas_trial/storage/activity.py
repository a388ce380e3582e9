"""What this process has done with its checkpoints, for whoever watches it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Final, Literal, TypeAlias

Outcome: TypeAlias = Literal["written", "failed", "read"]


class Activity:
    """Counts since the process began; any thread may read them.

    Attributes:
        used: whether there are checkpoints at all.
        unreachable: whether a bucket is waited for that cannot be reached.
    """

    def __init__(self) -> None:
        self.used = self.unreachable = False
        self._checkpoints: dict[Outcome, int] = dict.fromkeys(("written", "failed", "read"), 0)

    @property
    def checkpoints(self) -> Mapping[Outcome, int]:
        """How many were written, could not be written, and were read, such as to go on from."""
        return dict(self._checkpoints)

    def count(self, outcome: Outcome) -> None:
        """Count a checkpoint."""
        self._checkpoints[outcome] += 1

    @contextmanager
    def request(self) -> Iterator[None]:
        """A request to a bucket, however often it is made: that it is `unreachable` ends with it."""
        try:
            yield
        finally:
            self.unreachable = False


ACTIVITY: Final = Activity()
