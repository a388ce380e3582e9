"""What one search on a table came to."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Run:
    """One search.

    A trial in which a training goes on from a checkpoint is no further evaluation.

    Attributes:
        rows: of the evaluated architectures, in order of ending; None for one that the table lacks, or that was
            stopped.
        proposing: seconds that each proposal took, in order.
        stopped: rows of the architectures that were stopped early, by their place in the order of ending.
        epochs: that all trials together were trained by each ending; empty where the table has no curve.
        ends: seconds on the simulated clock from the begin to each ending.
        continued: places of the trials in which a training has gone on.
        early: epochs after which those have their result that got it before the last one, by place.
    """

    rows: Sequence[int | None]
    proposing: Sequence[float]
    stopped: Mapping[int, int] = field(default_factory=dict)
    epochs: Sequence[float] = ()
    ends: Sequence[float] = ()
    continued: Collection[int] = ()
    early: Mapping[int, int] = field(default_factory=dict)

    def until(self, evaluations: int) -> int:
        """How many trials have ended before one more evaluation has."""
        begun = [place for place in range(len(self.rows)) if place not in self.continued]
        return begun[evaluations] if evaluations < len(begun) else len(self.rows)

    def evaluations_by(self, place: int) -> int:
        """How many evaluations have ended by that place, the one there included."""
        return place + 1 - sum(other <= place for other in self.continued)
