"""Quasi-random search."""

from __future__ import annotations

from random import Random
from typing import Final

from scipy.stats import qmc

from kubenas.search.base import History, Strategy
from kubenas.search.points import architecture_at
from kubenas.search.unseen import draw_unseen, first_unseen
from kubenas.space.base import Architecture, Space

# Points gone on for after one that was proposed before or that constraints refuse.
SKIPPED: Final = 64
# As many dimensions as SciPy has direction numbers for.
DIMENSIONS: Final = 21_201


class SobolSearch(Strategy):
    """The points of a scrambled Sobol' sequence: as random search, but without clusters and gaps.

    Sobol' 1967; scrambled as by Owen 1998; for hyperparameters Bousquet et al., arXiv:1706.03200. Each decision has a
    dimension, which is divided evenly among its values. In place of a point that was proposed before or that
    constraints refuse, the next ones are tried, then a random draw.
    """

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__(space, seed)
        self._points: list[list[float]] = []
        dimensions = len(space.decisions)
        self._sequence = qmc.Sobol(dimensions, scramble=True, rng=seed) if 0 < dimensions <= DIMENSIONS else None

    def next(self, history: History, rng: Random) -> Architecture | None:
        """The point with the number of the proposal, or one after it."""
        if self._sequence is None:
            return draw_unseen(self.space, history, rng)
        numbers = range(history.proposed, history.proposed + SKIPPED)
        asked = (architecture_at(self.space, self._point(number)) for number in numbers)
        return first_unseen(self.space, history, rng, asked, steps=0)

    def _point(self, number: int) -> list[float]:
        while number >= len(self._points) and self._sequence is not None:
            # in powers of two, as the sequence is balanced in those
            self._points += self._sequence.random(max(256, len(self._points))).tolist()
        return self._points[number]
