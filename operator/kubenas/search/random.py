"""Random search without repeats."""

from __future__ import annotations

from random import Random

from kubenas.search.base import History, Strategy
from kubenas.search.unseen import draw_unseen
from kubenas.space.base import Architecture


class RandomSearch(Strategy):
    """Independent draws from the space, each architecture at most once.

    The baseline that every other strategy must beat (Li & Talwalkar, UAI 2019, arXiv:1902.07638).
    """

    def next(self, history: History, rng: Random) -> Architecture | None:
        """One architecture that was not proposed before, or None where there is none left."""
        return draw_unseen(self.space, history, rng)
