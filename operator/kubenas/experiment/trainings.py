"""How far the trainings of a stage have come, over all trials that they go on in."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from kubenas.fidelity.base import Promoter
from kubenas.fidelity.curves import RungCurves
from kubenas.fidelity.ranks import AtRungs

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kubenas.experiment.stages import ResolvedStage
    from kubenas.experiment.state import Trial
    from kubenas.fidelity.base import Promotion, RungCurve, Training

# The one candidate of each trial of a stage that promotes.
ONLY: Final = "0"


@dataclass(frozen=True, slots=True)
class Promoted:
    """A training that is to go on.

    Attributes:
        training: which.
        epochs: up to how many.
        trial: number of the trial that has come farthest with it.
    """

    training: Training
    epochs: int
    trial: int


@dataclass(frozen=True, slots=True)
class RungCount:
    """How many candidates have come to a rung, and how many of them wait there to be promoted."""

    epochs: int
    reached: int
    paused: int


class Trainings:
    """Those of one stage.

    Attributes:
        curves: what they have come to at rungs in trials that have ended.
    """

    def __init__(self) -> None:
        self.curves: dict[Training, RungCurve] = {}
        # These, and of those that run what they had shown when that was asked for last.
        self._all = RungCurves()
        self._shown: Mapping[Training, RungCurve] = {}
        # Epochs up to which each is trained, and by which trial; of stages that promote alone.
        self._begun: dict[Training, int] = {}
        self._by: dict[Training, int] = {}
        # Epochs up to which trials train that have not ended.
        self._running: dict[int, int] = {}
        # How far each has come, and by which trial.
        self._come: dict[Training, tuple[int, int]] = {}
        # What became known, by the order of endings.
        self._ended: list[tuple[int, Mapping[Training, RungCurve]]] = []
        self._due: list[Promoted] | None = None
        # Trainings that have come as far as they were to, by epochs.
        self._paused = Counter[int]()

    def __len__(self) -> int:
        return len(self._begun)

    def begin(self, training: Training, epochs: int, trial: int) -> None:
        """Take in a trial that trains up to so many epochs."""
        before = self._begun.get(training, 0), self._by.get(training, 0)
        self._paused[self._paused_at(training)] -= 1
        self._begun[training], self._by[training] = max(before, (epochs, trial))
        self._paused[self._paused_at(training)] += 1
        self._running[trial] = epochs
        self._due = None

    def end(self, curves: Mapping[Training, RungCurve], order: int, trial: int) -> None:
        """Take in what an ended trial has come to."""
        self._running.pop(trial, None)
        for training, curve in curves.items():
            self.curves[training] = {**self.curves.get(training, {}), **curve}
            if training not in self._shown:
                self._all.put(training, self.curves[training])
        if self._begun:
            self._ended.append((order, curves))
            for training, curve in curves.items():
                self._paused[self._paused_at(training)] -= 1
                self._come[training] = max(self._come.get(training, (0, 0)), (max(curve), trial))
                self._paused[self._paused_at(training)] += 1
            self._due = None

    def with_running(self, shown: Mapping[Training, RungCurve]) -> RungCurves:
        """The curves of all, to be read before the next call.

        Args:
            shown: what those that run have shown at rungs.
        """
        for training in self._shown.keys() - shown.keys():
            self._all.put(training, self.curves.get(training, {}))
        for training, curve in shown.items():
            if curve is not self._shown.get(training):
                self._all.put(training, curve)
        self._shown = shown
        return self._all

    def waiting(self, promoter: Promoter) -> set[int]:
        """Numbers of the trials that trainings would go on from: of those that have not come to the end."""
        return {trial for epochs, trial in self._come.values() if epochs < promoter.epochs}

    def rungs(self, promoter: Promoter) -> list[RungCount]:
        """How many have come to each rung, the lowest first."""
        reached = self._all.order(AtRungs(promoter.rungs))
        return [RungCount(one, len(reached.get(one, ())), self._paused[one]) for one in promoter.rungs]

    def _paused_at(self, training: Training) -> int:
        """The epochs at which one has ended and from which it does not go on; 0 where it does."""
        come, _ = self._come.get(training, (0, 0))
        return come if come == self._begun.get(training) else 0

    def due(self, promoter: Promoter, results_seen: int | None = None) -> list[Promoted]:
        """Those that are to go on, the first one first.

        Args:
            promoter: who decides it.
            results_seen: by so many endings; by all where it is None.
        """
        if results_seen is not None:
            return self._promoted(promoter, self._known(results_seen))
        if self._due is None:
            self._due = self._promoted(promoter, self._all)
        return self._due

    def finals(self, promoter: Promoter) -> list[Promoted]:
        """Those that go on to the end where nothing else is left to do; none while another may still be promoted."""
        if any(epochs < promoter.epochs for epochs in self._running.values()):
            return []
        return self._going_on(promoter.finals(self._all, self._begun, len(self._running)))

    def _promoted(self, promoter: Promoter, curves: RungCurves) -> list[Promoted]:
        return self._going_on(promoter.promotions(curves, self._begun))

    def _going_on(self, promotions: Iterable[Promotion]) -> list[Promoted]:
        return [Promoted(one.training, one.epochs, self._by[one.training]) for one in promotions]

    def _known(self, results_seen: int) -> RungCurves:
        known: dict[Training, RungCurve] = {}
        for order, curves in self._ended:
            for training, curve in curves.items() if order <= results_seen else ():
                known[training] = {**known.get(training, {}), **curve}
        return RungCurves(known)


def promoter_of(stage: ResolvedStage | None) -> Promoter | None:
    """What promotes a stage's trainings; None where each is one trial."""
    return stage.scheduler if stage is not None and isinstance(stage.scheduler, Promoter) else None


def first_epochs(stage: ResolvedStage) -> int | None:
    """Epochs that a new candidate of a stage is trained before it is judged or ends; None where it is only scored."""
    promoter = promoter_of(stage)
    return promoter.rungs[0] if promoter and promoter.rungs else stage.epochs


def is_partway(stage: ResolvedStage | None, trial: Trial) -> bool:
    """Whether a trial ends at a rung, from which its training may go on."""
    return stage is not None and promoter_of(stage) is not None and trial.candidates[0].epochs != stage.epochs
