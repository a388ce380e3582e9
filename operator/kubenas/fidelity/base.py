"""What every scheduler is given, and what it answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, NamedTuple, TypeAlias

if TYPE_CHECKING:
    from kubenas.fidelity.curves import RungCurves


class Training(NamedTuple):
    """One training of a candidate: the number of its trial, and the candidate's id there."""

    trial: int
    candidate: str


class Value(NamedTuple):
    """What a candidate has come to at a rung.

    Attributes:
        score: (-violation of the limits, primary objective with its sign): greater is better.
        values: the objectives that are traded off, with their signs; the primary one first.
    """

    score: tuple[float, float]
    values: tuple[float, ...]


# Rung, in epochs -> what the candidate has come to there, and after all epochs where it was trained so far; a rung that
# was not seen is not there.
RungCurve: TypeAlias = Mapping[int, Value]


@dataclass(frozen=True, slots=True)
class Stop:
    """Why a candidate is stopped: at which rung, and a phrase that says why."""

    epoch: int
    why: str


class Scheduler(ABC):
    """Which candidates of a stage are stopped: a pure function of their values at the rungs.

    It answers by what is known now, in whatever order it came to be known: a value that comes late changes the answer
    when it comes, and one that is missing is never guessed. A candidate that may go on by an early answer may thus be
    stopped by a later one, at the highest rung that it has reached.

    Attributes:
        rungs: after which epochs candidates are judged, ascending, below the stage's epochs.
        completes: whether what it stops has come as far as it gets, so that its last values are a result.
    """

    completes: ClassVar[bool] = False
    rungs: tuple[int, ...]

    @abstractmethod
    def stops(self, curves: RungCurves, running: Collection[Training]) -> dict[Training, Stop]:
        """Which of those that run are stopped.

        Args:
            curves: of all candidates of the stage: those that run, and those that have ended or were stopped.
            running: those that may be stopped.
        """


class Promotion(NamedTuple):
    """A training that goes on, up to so many epochs."""

    training: Training
    epochs: int


class Promoter(Scheduler):
    """Which trainings go on from the rung at which their trial has ended.

    Each is trained to the first rung, where its trial ends. One that is promoted goes on from its checkpoint in another
    trial, to a higher rung or to the end. Nothing is stopped while it runs.

    Attributes:
        epochs: of a whole training.
        top: how many trainings come to the end at least, if there are so many.
    """

    epochs: int
    top: int

    def stops(self, curves: RungCurves, running: Collection[Training]) -> dict[Training, Stop]:  # noqa: ARG002
        """Nobody: trials end at rungs."""
        return {}

    @abstractmethod
    def promotions(self, curves: RungCurves, begun: Mapping[Training, int]) -> list[Promotion]:
        """Which trainings go on now, the first one first: a pure function of what is known.

        Args:
            curves: of all trainings, at the rungs where their trials have ended.
            begun: epochs up to which each has been trained, or is being.
        """

    @abstractmethod
    def finals(self, curves: RungCurves, begun: Mapping[Training, int], ending: int) -> list[Promotion]:
        """Which trainings go on to the end once no others come, the first one first: so many that `top` come there.

        Args:
            curves: see `promotions`.
            begun: see `promotions`.
            ending: trainings that are on their way to the end.
        """


def highest(curve: RungCurve, rungs: Collection[int]) -> int | None:
    """The highest rung that a candidate was seen at; None where it was at none."""
    return max((rung for rung in rungs if rung in curve), default=None)


def geometric(first: int, eta: int, epochs: int) -> tuple[int, ...]:
    """Rungs from `first` on, each `eta` times as far, below `epochs`."""
    rungs = []
    while first < epochs:
        rungs.append(first)
        first *= eta
    return tuple(rungs)
