"""What every strategy is given, and what it answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from random import Random
from types import MappingProxyType
from typing import Any, Final, TypeAlias

from kubenas.search.preparation import Preparation
from kubenas.search.refit_schedule import fits_between
from kubenas.space.base import Architecture, Space

# Values beyond count as this, so that models can take differences and squares of what diverged.
LARGEST: Final = 1e150
# (negative violation of the limits, primary objective with its sign): greater is better, the
# feasible before the infeasible (Deb 2000, constraint domination).
Score = tuple[float, float]
NO_FEATURES: Final[Mapping[Architecture, Sequence[float]]] = MappingProxyType({})


@dataclass(frozen=True, slots=True)
class Observation:
    """What came of one architecture.

    Attributes:
        score: None where its trial failed or was stopped without values; it never holds NaN, which has no order.
        values: every objective that is to be improved, with its sign so that greater is better; the primary first.
            Limits are not among them: they are in the score. Empty stands for the primary alone.
        metrics: all that is known of it.
        epochs: after how many epochs score and values are what it had come to, where it was stopped early; None where
            it was trained to the end. Those of one that was stopped are, in general, worse than they would have become.
        rungs: score and values after so many epochs, where it was judged by a scheduler.
    """

    architecture: Architecture
    score: Score | None
    values: tuple[float, ...] = ()
    metrics: Mapping[str, float] = field(default_factory=dict, hash=False)
    epochs: int | None = None
    rungs: Mapping[int, tuple[Score, tuple[float, ...]]] = field(default_factory=dict, hash=False)

    @property
    def objectives(self) -> tuple[float, ...]:
        """All values to be improved, at most `LARGEST` in size.

        Raises:
            ValueError: there is no score.
        """
        primary = self.known_score[1]
        return tuple(min(max(value, -LARGEST), LARGEST) for value in self.values or (primary,))

    @property
    def known_score(self) -> Score:
        """The score of one that has a score.

        Raises:
            ValueError: there is none.
        """
        if self.score is None:
            raise ValueError(f"{self.architecture!r} has no score")
        return self.score

    @property
    def feasible(self) -> bool:
        """Whether there is a score within every limit."""
        return self.score is not None and self.score[0] == 0.0


# From candidates that have a score to the same ones with the scores that they have among each other.
Comparison: TypeAlias = Callable[[Sequence[Observation]], Sequence[Observation]]


class History:
    """All that a strategy may look at: ended candidates in order of ending, those that still run, and earlier results.

    Grows at the end only, so a restart that reads the same trials makes an equal history. Where scores are relative,
    as ranks are, each new result changes those of the others: what is computed once for many proposals then asks for
    the first so many results as they are among themselves, by `first` or `first_scored`.

    Args:
        space: of the search.
        earlier: see the property; those without a score are left out by the caller.
        pool: see the property.
        compared: what makes relative scores; None where each candidate has its own.
        features: see the property.

    Raises:
        ValueError: an earlier result has no score, or architectures differ in the number of features.
    """

    def __init__(
        self,
        space: Space,
        earlier: Sequence[Observation] = (),
        pool: Sequence[Observation] = (),
        compared: Comparison | None = None,
        features: Mapping[Architecture, Sequence[float]] = NO_FEATURES,
    ) -> None:
        self._space = space
        self._earlier = tuple(earlier)
        self._pool = tuple(pool)
        for observation in self._earlier:
            _ = observation.known_score
        if len(counts := {len(row) for row in features.values()}) > 1:
            raise ValueError(f"architectures differ in the number of features: {sorted(counts)}")
        self._features = features
        self._compared = compared
        # By number of results; the latest alone is kept, and that of `first`.
        self._relative: dict[int, Sequence[Observation]] = {}
        self._observations: list[Observation] = []
        self._scored: list[Observation] = []
        # By number, so that one that ends leaves the others in order at no cost.
        self._pending: dict[int, Architecture] = {}
        self._numbers: dict[Architecture, deque[int]] = {}
        self._keys: set[str] = set()

    @property
    def earlier(self) -> Sequence[Observation]:
        """Results known before the search began: of earlier stages, or of another experiment.

        In a fixed order, each architecture once, with as many objectives as this search has. They were judged in
        another way, such as with fewer epochs: their scores can be compared with each other, but not with those of
        `observations`. None of them counts as proposed, seen or observed, so an architecture of theirs may be proposed.
        """
        return self._earlier

    @property
    def features(self) -> Mapping[Architecture, Sequence[float]]:
        """Zero-cost proxies of architectures that an earlier stage has scored, as many numbers for each.

        NaN stands for one that is not known. They are as measured: of any scale, with outliers, infinite ones too.
        """
        return self._features

    @property
    def pool(self) -> Sequence[Observation]:
        """What the search is to choose from, with the training-free scores of each; empty where that is the space."""
        return self._pool

    @property
    def observations(self) -> Sequence[Observation]:
        """Ended candidates, the earliest first."""
        return self._observations if self._compared is None else self.first(len(self._observations))

    @property
    def scored(self) -> Sequence[Observation]:
        """Ended candidates that have a score, the earliest first."""
        return self._scored if self._compared is None else self.first_scored(len(self._scored))

    @property
    def ended(self) -> Sequence[Observation]:
        """Ended candidates, the earliest first; where scores are relative, these have none that mean anything."""
        return self._observations

    @property
    def ended_scored(self) -> Sequence[Observation]:
        """Those of `ended` that have a score."""
        return self._scored

    def learnt_at(self, known: int, results: int) -> Iterable[int]:
        """At which numbers of results to learn, step by step, from those behind the first `known`, up to `results`.

        At all of them; where scores are relative at those that models are fitted at, and from each by its score among
        the first so many, as `first` and `first_scored` have it. So what was learnt stays, however many results follow.
        """
        if self._compared is not None:
            return fits_between(known, results)
        return [results] if results > known else []

    def first(self, count: int) -> Sequence[Observation]:
        """The first `count` ended candidates, by the scores that they have among themselves."""
        observations = self._observations[:count]
        if self._compared is None:
            return observations
        scored = iter(self.first_scored(sum(one.score is not None for one in observations)))
        return [one if one.score is None else next(scored) for one in observations]

    def first_scored(self, count: int) -> Sequence[Observation]:
        """The first `count` ended candidates with a score, by the scores that they have among themselves."""
        scored = self._scored[:count]
        if self._compared is None:
            return scored
        known = len(scored)
        if known not in self._relative:
            # A model is fitted to fewer than all: two numbers of results are asked for in turns.
            self._relative = {**dict([*self._relative.items()][-1:]), known: self._compared(scored)}
        return self._relative[known]

    @property
    def pending(self) -> Sequence[Architecture]:
        """Proposed candidates without an outcome, the earliest first."""
        return tuple(self._pending.values())

    @property
    def proposed(self) -> int:
        """Number of all candidates proposed so far: the index of the next one."""
        return len(self._observations) + len(self._pending)

    @property
    def unfailed(self) -> int:
        """Number of candidates proposed so far that have a score or may still get one."""
        return len(self._scored) + len(self._pending)

    def seen(self, architecture: Architecture) -> bool:
        """Whether it, or one that computes the same, was proposed before."""
        return self._space.key(architecture) in self._keys

    @property
    def distinct(self) -> int:
        """Number of architectures proposed so far that differ by key."""
        return len(self._keys)

    def propose(self, architectures: Iterable[Architecture]) -> None:
        """Add candidates that now run."""
        for architecture in architectures:
            number = self.proposed
            self._pending[number] = architecture
            self._numbers.setdefault(architecture, deque()).append(number)
            self._keys.add(self._space.key(architecture))

    def observe(self, observation: Observation) -> None:
        """Turn a pending candidate into an ended one, the earliest where it is pending more than once.

        Raises:
            ValueError: the architecture is not pending.
        """
        numbers = self._numbers.get(observation.architecture)
        if numbers is None:
            raise ValueError(f"{observation.architecture!r} ended but is not pending")
        del self._pending[numbers.popleft()]
        if not numbers:
            del self._numbers[observation.architecture]
        self._observations.append(observation)
        if observation.score is not None:
            self._scored.append(observation)


class Strategy(ABC):
    """A search strategy: a pure function of (space, history, seed).

    Asked again with an equal history it answers the same, whether it has lived through that history or
    was made a moment ago; anything kept between calls only makes it faster.
    """

    def __init__(self, space: Space, seed: int) -> None:
        self.space = space
        self.seed = seed
        # Why proposals come from a fallback, in words for a condition; None while all is well.
        self.fault: str | None = None

    def propose(self, history: History, count: int) -> list[Architecture]:
        """Up to `count` architectures to try next, added to `history` as pending.

        Fewer where the space has no more that were not proposed before. Asking for n at once answers the
        same as asking n times for one.
        """
        proposals: list[Architecture] = []
        for _ in range(count):
            proposal = self.next(history, self.draws(history))
            if proposal is None:
                break
            history.propose([proposal])
            proposals.append(proposal)
        return proposals

    def preparation(self, history: History, count: int) -> Preparation | None:  # noqa: ARG002 - for subclasses
        """What `propose` for `count` would take long over; None where it is quick, or once its result was `accept`ed.

        A computation may be done elsewhere first; otherwise `propose` does it on its own. A request is never made by
        `propose`: where its answer is not there, proposals come from a fallback.
        """
        return None

    def waits(self, history: History, count: int) -> bool:  # noqa: ARG002 - for subclasses
        """Whether the answer to a request for `count` candidates should be waited for."""
        return False

    def accept(self, preparation: Preparation, result: Any) -> None:  # noqa: B027 - for subclasses
        """Take in what `preparation` has come to; the answers of `propose` are the same, only sooner."""

    def draws(self, history: History) -> Random:
        """The random numbers of the next candidate: by its index, so that they do not depend on earlier draws."""
        return Random(f"{self.seed}/{history.proposed}")

    @abstractmethod
    def next(self, history: History, rng: Random) -> Architecture | None:
        """One architecture that was not proposed before, or None where there is none left."""
