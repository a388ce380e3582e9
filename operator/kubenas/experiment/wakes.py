"""When to reconcile again, if nothing happens before."""

from __future__ import annotations

from kubenas.experiment.state import earliest


class Wakes:
    """Collects times that something is due; seconds since the epoch.

    Attributes:
        first: the earliest of them; None where nothing is due.
    """

    def __init__(self) -> None:
        self.first: float | None = None

    def at(self, when: float | None) -> None:
        """Something is due then; None where it is not."""
        self.first = earliest(self.first, when)
