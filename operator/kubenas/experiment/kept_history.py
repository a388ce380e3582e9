"""The history that a stage's strategy is asked with, kept between questions."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from kubenas.search.base import History, Observation, Strategy
from kubenas.space.base import Architecture


class KeptHistory:
    """Made anew where proposals did not become trials, or a trial came or went that was not proposed here."""

    def __init__(self) -> None:
        self._history: History | None = None
        # First numbers of what the history has as proposed, and proposals in it that no trial has been written for yet.
        self._proposed: set[int] = set()
        self._ahead: dict[int, list[Architecture]] = {}

    def get(self, make: Callable[[], History], numbers: Iterable[int]) -> History:
        """The history; `make` makes it of what is known, where trials with these first `numbers` are written."""
        if self._history is None or self._ahead:
            self._ahead.clear()
            self._proposed = set(numbers)
            self._history = make()
        return self._history

    def forget(self) -> None:
        """Make it anew when it is next asked for."""
        self._history = None

    def begin(self, number: int, architectures: list[Architecture]) -> None:
        """Take in that trials whose first number is `number` are written."""
        ahead = self._ahead.pop(number, None)
        if (ahead is not None and ahead != architectures) or number not in self._proposed:
            # By someone else, a leader before for example.
            self.forget()

    def observe(self, observations: Iterable[Observation]) -> None:
        """Take in results."""
        if self._history is not None:
            for observation in observations:
                self._history.observe(observation)

    def promote(self, number: int, architectures: list[Architecture]) -> None:
        """Take in that candidates are to be trained further, by trial `number`, which is not written yet."""
        if self._history is not None:
            self._history.propose(architectures)
            self._proposed.add(number)
            self._ahead[number] = architectures

    def propose(self, strategy: Strategy, number: int, count: int) -> list[Architecture]:
        """The candidates of trial `number`, as the strategy wants them by the history that was asked for last."""
        assert self._history is not None  # noqa: S101 - it was asked for before
        proposals = strategy.propose(self._history, count)
        if proposals:
            # The history has them now, and no trial does until it is written.
            self._proposed.add(number)
            self._ahead[number] = proposals
        return proposals
