"""The trials of an experiment, kept so that each look at them costs what has changed, not what there is."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kubenas.api.objective import Objective
from kubenas.experiment.front import Front, Judged
from kubenas.experiment.objectives import feasible, score, values
from kubenas.experiment.state import FINISHED, Fault, Trial, trial_number
from kubenas.search.base import History, Observation, Strategy
from kubenas.space.base import Architecture, InvalidArchitectureError, Space


@dataclass(frozen=True, slots=True)
class Ended:
    """What is kept of an ended trial."""

    number: int
    name: str
    order: int
    observed: int
    phase: str
    stage: str | None
    gpu_seconds: float
    resource_version: str
    fault: Fault | None
    candidates: tuple[Judged, ...]


class Ledger:
    """All trials of one experiment: the unfinished as they are, the ended in short, and what follows from them.

    The same trials make an equal ledger, in whatever order they were put.
    """

    def __init__(self, space: Space, objectives: Sequence[Objective], searching: str | None) -> None:
        self.space = space
        self._objectives = tuple(objectives)
        # The stage whose trials come from the strategy; None where there are no stages.
        self._searching = searching
        self.unfinished: dict[int, Trial] = {}
        self.ended: dict[int, Ended] = {}
        # What is wrong with trials whose architectures are not in the space, by number: they count, but teach nothing.
        self._unreadable: dict[int, str] = {}
        self._highest = -1
        self._forget()

    def _forget(self) -> None:
        self._counts = dict.fromkeys(sorted(FINISHED), 0)
        self._created: dict[str | None, int] = {}
        self._best: dict[str | None, Judged] = {}
        self._fronts: dict[str | None, Front] = {}
        self._last_failed: tuple[int, Fault] | None = None
        # Whole milliseconds, as statuses have them: their sum does not depend on the order.
        self._gpu_milliseconds = 0
        self.last_order = 0
        self._history: History | None = None
        # Numbers that the history knows, and proposals in it that no trial has been written for yet.
        self._told: set[int] = set()
        self._ahead: dict[int, list[Architecture]] = {}

    def put(self, trial: Trial) -> None:
        """Take in a new or changed trial."""
        if trial.number in self.ended:
            if self.ended[trial.number].resource_version == trial.resource_version:
                return
            self.remove(trial.number)
        self._highest = max(self._highest, trial.number)
        architectures = self._parsed(trial)
        proposed = self._ahead.pop(trial.number, None)
        if proposed is not None and [a.to_json() for a in proposed] != [c.architecture for c in trial.candidates]:
            # Written by someone else, a leader before for example.
            self._history = None
        if trial.number not in self.unfinished:
            self._created[trial.stage] = self._created.get(trial.stage, 0) + 1
        if not trial.finished:
            self.unfinished[trial.number] = trial
            if trial.number not in self._told and trial.stage == self._searching:
                self._history = None
            return
        self.unfinished.pop(trial.number, None)
        self._end(_shortened(trial, architectures, self._objectives))

    def remove(self, number: int) -> None:
        """Forget a deleted trial; what followed from it is worked out anew."""
        self.unfinished.pop(number, None)
        self.ended.pop(number, None)
        self._unreadable.pop(number, None)
        ended = sorted(self.ended.values(), key=lambda e: e.order)
        self._highest = max((*self.unfinished, *self.ended), default=-1)
        self.ended = {}
        self._forget()
        for trial in self.unfinished.values():
            self._created[trial.stage] = self._created.get(trial.stage, 0) + 1
        for old in ended:
            self._created[old.stage] = self._created.get(old.stage, 0) + 1
            self._end(old)

    def _end(self, ended: Ended) -> None:
        self.ended[ended.number] = ended
        self._counts[ended.phase] += 1
        self._gpu_milliseconds += round(ended.gpu_seconds * 1000)
        if ended.fault and ended.phase == "Failed" and ended.order >= (self._last_failed or (0,))[0]:
            self._last_failed = (ended.order, ended.fault)
        for judged in ended.candidates:
            best = self._best.get(ended.stage)
            good = judged.score is not None and feasible(judged.score)
            if good and (best is None or judged.rank > best.rank):
                self._best[ended.stage] = judged
            if good:
                self._fronts[ended.stage] = self.front(ended.stage).joined_by(judged)
        if ended.order < self.last_order or ended.number not in self._told:
            self._history = None
        self.last_order = max(self.last_order, ended.order)
        if self._history is not None and ended.stage == self._searching:
            for judged in ended.candidates:
                self._history.observe(Observation(judged.architecture, judged.score, judged.values))

    def __len__(self) -> int:
        return len(self.unfinished) + len(self.ended)

    @property
    def gpu_seconds(self) -> float:
        """GPU seconds of ended trials."""
        return self._gpu_milliseconds / 1000

    def count(self, phase: str) -> int:
        """Number of ended trials of a phase."""
        return self._counts[phase]

    def has_failed(self, name: str) -> bool:
        """Whether the trial of that name has failed for good."""
        ended = self.ended.get(trial_number(name))
        return ended is not None and ended.phase == "Failed"

    def created(self, stage: str | None) -> int:
        """Number of trials of a stage."""
        return self._created.get(stage, 0)

    def best(self, stage: str | None) -> Judged | None:
        """The best candidate of a stage within every limit; of equal ones the earliest proposed."""
        return self._best.get(stage)

    def front(self, stage: str | None) -> Front:
        """The Pareto front of a stage within every limit."""
        return self._fronts.get(stage) or Front(self._objectives)

    def next_number(self) -> int:
        """The smallest number that no trial has."""
        count = len(self)
        if self._highest == count - 1:
            return count
        return next(n for n in range(count) if n not in self.ended and n not in self.unfinished)

    def ranked(self, stage: str | None) -> list[Judged]:
        """Candidates of a stage that have values, the best first."""
        judged = [c for e in self.ended.values() if e.stage == stage for c in e.candidates if c.score is not None]
        return sorted(judged, key=lambda one: one.rank, reverse=True)

    def architectures(self, stage: str | None) -> set[Architecture]:
        """What the trials of a stage evaluate or have evaluated."""
        numbers = (number for number in (*self.ended, *self.unfinished) if self._stage_of(number) == stage)
        return {architecture for number in numbers for architecture in self._architectures(number)}

    def last_fault(self) -> Fault | None:
        """Why the trial that failed last has failed."""
        return self._last_failed[1] if self._last_failed else None

    def history(self) -> History:
        """What the strategy may know: the searching stage's trials in order of ending, then the unfinished.

        Kept between calls; made anew where proposals did not become trials, or a trial came or went
        that was not proposed here.
        """
        if self._history is not None and not self._ahead:
            return self._history
        self._ahead.clear()
        self._told = {*self.ended, *self.unfinished}
        self._history = self.history_at(self._highest + 1, self.last_order)
        return self._history

    def history_at(self, number: int, observed: int) -> History:
        """The history that trial `number` was proposed with: `observed` endings, and smaller numbers as pending."""
        history = History(self.space)
        known: set[int] = set()
        for ended in sorted(self.ended.values(), key=lambda e: e.order):
            if ended.stage == self._searching and ended.order <= observed:
                known.add(ended.number)
                history.propose(c.architecture for c in ended.candidates)
                for judged in ended.candidates:
                    history.observe(Observation(judged.architecture, judged.score, judged.values))
        for earlier in sorted({*self.ended, *self.unfinished} - known):
            if earlier < number and self._stage_of(earlier) == self._searching:
                history.propose(self._architectures(earlier))
        return history

    def after(self, number: int) -> tuple[int, str | None] | None:
        """What the next trial above a missing number was proposed with, and its stage; None if there is none above."""
        if number > self._highest:
            return None
        above = min(n for n in (*self.ended, *self.unfinished) if n > number)
        trial = self.unfinished.get(above) or self.ended[above]
        return trial.observed, trial.stage

    def _stage_of(self, number: int) -> str | None:
        return (self.unfinished.get(number) or self.ended[number]).stage

    def _architectures(self, number: int) -> list[Architecture]:
        if number in self.ended:
            return [c.architecture for c in self.ended[number].candidates]
        return self._parsed(self.unfinished[number])

    def unreadable(self) -> list[str]:
        """What is wrong with trials whose architectures are not in the space, in order of their numbers."""
        return [self._unreadable[number] for number in sorted(self._unreadable)]

    def _parsed(self, trial: Trial) -> list[Architecture]:
        """A trial's architectures; none where one of them is not in the space."""
        try:
            return [self.space.parse(c.architecture) for c in trial.candidates]
        except InvalidArchitectureError as error:
            message = f"NASTrial {trial.name} has an architecture that is not in the space: {error}"
            self._unreadable[trial.number] = f"{message[:1000]}; it counts as a trial, but nothing is learned from it"
            return []

    def propose(self, strategy: Strategy, number: int, count: int) -> list[Architecture]:
        """The candidates of the searching stage's trial `number`, as the strategy wants them."""
        assert self._history is not None  # noqa: S101 - callers have asked for the history in the same look
        proposals = strategy.propose(self._history, count)
        if proposals:
            self._told.add(number)
            self._ahead[number] = proposals
        return proposals


def _shortened(trial: Trial, architectures: Sequence[Architecture], objectives: Sequence[Objective]) -> Ended:
    """What is kept of an ended trial; no candidates where its architectures could not be read."""
    status = trial.status
    results = {r.candidate: r for r in status.results}
    fault = None
    if status.phase != "Succeeded" and status.conditions:
        fault = Fault(status.conditions[0].reason, f"{trial.name}: {status.conditions[0].message}")
    candidates = []
    for candidate, architecture in zip(trial.candidates, architectures, strict=bool(architectures)):
        result = results.get(candidate.id)
        metrics = {m.name: m.value for m in result.metrics} if result else {}
        whole = status.phase == "Succeeded" and all(o.metric in metrics for o in objectives)
        candidates.append(
            Judged(
                trial=trial.number,
                candidate=candidate.id,
                architecture=architecture,
                metrics=metrics,
                score=score(objectives, metrics) if whole else None,
                source=result.source if result else None,
                values=values(objectives, metrics) if whole else (),
            )
        )
    return Ended(
        number=trial.number,
        name=trial.name,
        order=status.order or 0,
        observed=trial.observed,
        phase=status.phase or "Failed",
        stage=trial.stage,
        gpu_seconds=status.gpu_seconds,
        resource_version=trial.resource_version,
        fault=fault,
        candidates=tuple(candidates),
    )
