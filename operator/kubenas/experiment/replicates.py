"""Trials of the same candidates, each with another seed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from kubenas.api.objective import Objective
from kubenas.experiment.ended import Ended
from kubenas.experiment.judged import Judged, averaged
from kubenas.space.base import Architecture


@dataclass(slots=True)
class Replicates:
    """The trials that evaluate the same candidates, each with another seed; their numbers follow one another.

    Attributes:
        number: of the first.
        results_seen: when their candidates were proposed.
        architectures: of their candidates, as far as they are known.
        trials: by seed; None for one that has not ended.
    """

    number: int
    results_seen: int
    architectures: list[Architecture]
    trials: dict[int, Ended | None] = field(default_factory=dict)

    def complete(self, seeds: int) -> bool:
        """Whether all have ended."""
        return len(self.trials) >= seeds and None not in self.trials.values()

    @property
    def order(self) -> int:
        """When the last one ended, as a number of endings; only of complete ones."""
        return max(ended.order for ended in self.trials.values() if ended)

    def candidates(self, objectives: Sequence[Objective]) -> tuple[Judged, ...]:
        """The candidates over all seeds that have ended."""
        ended = [one for _, one in sorted(self.trials.items()) if one]
        if len(ended) == 1:
            return ended[0].candidates
        by_id: dict[str, list[Judged]] = {}
        for one in ended:
            for candidate in one.candidates:
                by_id.setdefault(candidate.candidate, []).append(candidate)
        return tuple(averaged(objectives, trainings) for trainings in by_id.values())
