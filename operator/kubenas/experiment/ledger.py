"""The trials of an experiment, kept so that each reconcile costs what has changed, not what there is."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from kubenas.api.metric_names import of_proxies
from kubenas.api.objective import Objective
from kubenas.experiment.ended import Ended, Measured, shortened
from kubenas.experiment.judged import Judged, distinct, judged, spread_evenly
from kubenas.experiment.judgements import Judgements, judgements
from kubenas.experiment.measurements import Measurements
from kubenas.experiment.objectives import stood_for
from kubenas.experiment.records import StageRecord
from kubenas.experiment.replicates import Replicates
from kubenas.experiment.rungs import ended_curves, whole_curves
from kubenas.experiment.spending import Spent
from kubenas.experiment.stages import ResolvedStage, stage_named
from kubenas.experiment.state import FINISHED, Fault, Trial, trial_number
from kubenas.experiment.trainings import ONLY, is_partway, promoter_of
from kubenas.fidelity.base import RungCurve, Training
from kubenas.search.base import History, Observation
from kubenas.space.base import Architecture, InvalidArchitectureError, Space


class Ledger:
    """All trials of one experiment: the unfinished as they are, the ended in short, and what follows from them.

    The same trials make an equal ledger, in whatever order they were put.

    Args:
        space: what is searched.
        stages: of them, only what never changes is used: names, objectives, seeds, what is kept.
    """

    def __init__(self, space: Space, stages: Sequence[ResolvedStage]) -> None:
        self.space = space
        self._stages = tuple(stages)
        # Results of other experiments, which the first stage's strategy knows.
        self._earlier: tuple[Observation, ...] = ()
        self.unfinished: dict[int, Trial] = {}
        self.ended: dict[int, Ended] = {}
        # What is wrong with trials whose architectures are not in the space, by number: they count, but teach nothing.
        self._unreadable: dict[int, str] = {}
        self._highest = -1
        self._forget()

    def learn(self, earlier: Sequence[Observation]) -> None:
        """Take in what other experiments have brought, before the first proposal."""
        self._earlier = tuple(earlier)
        for stage in self._stages:
            self.stage(stage.name).forget_history()

    def _forget(self) -> None:
        self._counts = dict.fromkeys(sorted(FINISHED), 0)
        self._records: dict[str | None, StageRecord] = {}
        self._last_failed: tuple[int, Fault] | None = None
        # By ended trials.
        self.spent = Spent()
        self.last_order = 0
        # When devices last gave a value, what their measurements come to, each by metric; the last one without a value.
        self.measured_at: dict[str, float] = {}
        self.measurements: dict[str, Measurements] = {}
        self.unmeasured: Measured | None = None
        # When a trial last ended, in seconds since the epoch.
        self.last_completed: float | None = None
        # Until another trial ends.
        self._judgements: Judgements | None = None

    def put(self, trial: Trial) -> None:
        """Take in a new or changed trial."""
        if trial.number in self.ended:
            if self.ended[trial.number].resource_version == trial.resource_version:
                return
            self.remove(trial.number)
        self._highest = max(self._highest, trial.number)
        new = trial.number not in self.unfinished
        if not (new or trial.finished):
            self.unfinished[trial.number] = trial
            return
        parsed = self._parsed(trial)
        if new:
            self._begin(trial, parsed)
        if trial.finished:
            self.unfinished.pop(trial.number, None)
            stage = stage_named(self._stages, trial.stage)
            # What cannot be read teaches nothing.
            curves = ended_curves(stage, trial) if parsed else {}
            candidates = self._judged(trial, stage, parsed, curves)
            self._end(shortened(trial, candidates, whole_curves(stage, trial, candidates, curves)))
        else:
            self.unfinished[trial.number] = trial

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
            self._begin(trial, self._parsed(trial))
        for old in ended:
            architectures = [one.architecture for one in old.candidates]
            self.stage(old.stage).begin(old.number, old.seed, old.results_seen, architectures)
            self._begin_training(old.stage, old.begun_by, old.epochs, old.number)
            self._end(old)

    def _begin(self, trial: Trial, parsed: Sequence[tuple[str, Architecture]]) -> None:
        architectures = [architecture for _, architecture in parsed]
        self.stage(trial.stage).begin(trial.number, trial.seed, trial.results_seen, architectures)
        self._begin_training(trial.stage, trial.begun_by, trial.candidates[0].epochs, trial.number)

    def _begin_training(self, stage: str | None, begun_by: int, epochs: int | None, trial: int) -> None:
        if epochs is not None and promoter_of(stage_named(self._stages, stage)):
            self.stage(stage).trainings.begin(Training(begun_by, ONLY), epochs, trial)

    def _end(self, ended: Ended) -> None:
        self.ended[ended.number] = ended
        self._judgements = None
        self._counts[ended.phase] += 1
        self.spent += ended.spent
        if ended.fault and ended.phase == "Failed" and ended.order >= (self._last_failed or (0,))[0]:
            self._last_failed = (ended.order, ended.fault)
        latest = ended.order >= self.last_order
        self.last_order = max(self.last_order, ended.order)
        if ended.completed is not None:
            self.last_completed = max(self.last_completed or 0.0, ended.completed)
        for one in ended.measurements:
            self.measurements[one.metric] = self.measurements.get(one.metric, Measurements()) + one.count
            if one.fault is None:
                self.measured_at[one.metric] = max(one.at, self.measured_at.get(one.metric, 0.0))
            elif self.unmeasured is None or one.at >= self.unmeasured.at:
                self.unmeasured = one
        self.stage(ended.stage).end(ended, latest=latest)

    def __len__(self) -> int:
        return len(self.unfinished) + len(self.ended)

    def count(self, phase: str) -> int:
        """Number of ended trials of a phase."""
        return self._counts[phase]

    def has_failed(self, name: str) -> bool:
        """Whether the trial of that name has failed for good."""
        ended = self.ended.get(trial_number(name))
        return ended is not None and ended.phase == "Failed"

    def stage(self, name: str | None) -> StageRecord:
        """What the trials of a stage come to."""
        record = self._records.get(name)
        if record is None:
            stage = stage_named(self._stages, name)
            record = StageRecord(stage.objectives, stage.seeds, stage.combination) if stage else StageRecord((), 1)
            self._records[name] = record
        return record

    def kept(self, stage: ResolvedStage) -> list[Judged]:
        """The candidates of a stage that go on, each architecture once, the best first."""
        candidates = self.stage(stage.name).ranked()
        keep = stage.keep
        if keep is None:
            return distinct(candidates)
        if keep.top is not None:
            return distinct(candidates, keep.top)
        # Where every candidate breaks a limit there is no front; the least bad one goes on.
        front = self.stage(stage.name).front.members or candidates[:1]
        return spread_evenly(distinct(front), keep.most)

    def ranked(self, stage: ResolvedStage, *, ended: bool) -> list[Judged]:
        """Candidates of a stage with a score, the best first: those with all their seeds, and all once it has ended."""
        record = self.stage(stage.name)
        return record.ranked_at_end() if ended else record.ranked()

    def judgements(self, objective: Objective) -> Judgements:
        """What is known of the experiment's ways to judge, by its primary objective."""
        if self._judgements is None:
            self._judgements = judgements(objective, self._stages, self)
        return self._judgements

    def next_number(self, stage: ResolvedStage) -> int:
        """The number of a stage's next trial: the smallest that is missing among its own, else one above all others.

        Other seeds of candidates come first. Where a trial of a stage before was deleted, its number stays free, as
        numbers below are proposed again with what those above them were proposed with.
        """
        missing = self.stage(stage.name).first_missing()
        if missing is not None:
            return missing
        above = self._highest + 1
        if above == len(self):
            return above
        before = (self.stage(one.name).highest for one in self._stages[: stage.index])
        numbers = range(max(before, default=-1) + 1, above)
        return next((n for n in numbers if all(map(self._is_free, range(n, n + stage.seeds)))), above)

    def _is_free(self, number: int) -> bool:
        """Whether no trial has a number, nor will have it to complete others."""
        there = number in self.ended or number in self.unfinished
        return not there and all(self.stage(one.name).of(number) is None for one in self._stages)

    def last_fault(self) -> Fault | None:
        """Why the trial that failed last has failed."""
        return self._last_failed[1] if self._last_failed else None

    def history(self, stage: ResolvedStage) -> History:
        """What the strategy of a stage may know now."""
        make = lambda: self._new_history(stage)  # noqa: E731
        return self.stage(stage.name).history(make, self._highest + 1, self.last_order)

    def history_at(self, stage: ResolvedStage, number: int, results_seen: int) -> History:
        """What the strategy of a stage has proposed trial `number` with."""
        return self.stage(stage.name).history_at(self._new_history(stage), number, results_seen)

    def _new_history(self, stage: ResolvedStage) -> History:
        pool = [] if stage.pool is None else self.stage(self._stages[stage.pool].name).observations(stage.objectives)
        compared = stage.combination.observations if stage.combination else None
        return History(self.space, self._known_before(stage), pool, compared, self._features(stage))

    def _features(self, stage: ResolvedStage) -> Mapping[Architecture, Sequence[float]]:
        """The zero-cost proxies of all that stages before this one have scored, kept or not."""
        before = [one for one in self._stages[: stage.index] if one.evaluation.method == "zero-cost"]
        names = dict.fromkeys(name for one in before for name in of_proxies(one.evaluation.proxies or ()))
        known: dict[Architecture, Mapping[str, float]] = {}
        for one in before:
            for candidate in self.stage(one.name).candidates():
                known[candidate.architecture] = {**known.get(candidate.architecture, {}), **candidate.metrics}
        rows = {one: tuple(metrics.get(name, math.nan) for name in names) for one, metrics in known.items()}
        return {one: row for one, row in rows.items() if not all(map(math.isnan, row))}

    def _known_before(self, stage: ResolvedStage) -> Sequence[Observation]:
        if stage.before is None:
            return self._earlier if stage.decides else [_judged_by(stage, one) for one in self._earlier]
        before = self._stages[stage.before]
        if before.keep is None:
            return self.stage(before.name).observations(stage.objectives)
        return [one.judged_before(stage.objectives) for one in self.kept(before)]

    def after(self, number: int) -> int | None:
        """The results that the next trial above a missing number was proposed with; None if there is none above."""
        if number > self._highest:
            return None
        above = min(n for n in (*self.ended, *self.unfinished) if n > number)
        return (self.unfinished.get(above) or self.ended[above]).results_seen

    def replicates(self, stage: ResolvedStage, number: int) -> Replicates | None:
        """The trials of a stage that the trial of that number belongs to, if one of them is there."""
        found = self.stage(stage.name).of(number)
        return found if found is not None and found.architectures else None

    def unreadable(self) -> list[str]:
        """What is wrong with trials whose architectures are not in the space, in order of their numbers."""
        return [self._unreadable[number] for number in sorted(self._unreadable)]

    def _parsed(self, trial: Trial) -> list[tuple[str, Architecture]]:
        """A trial's architectures by candidate, as far as they are known; none where one is not in the space."""
        found = {result.candidate: result.architecture for result in trial.status.results}
        written = {one.id: one.architecture or found.get(one.id) for one in trial.candidates}
        try:
            return [(name, self.space.parse(one)) for name, one in written.items() if one is not None]
        except InvalidArchitectureError as error:
            message = f"NASTrial {trial.name} has an architecture that is not in the space: {error}"
            self._unreadable[trial.number] = f"{message[:1000]}; it counts as a trial, but nothing is learned from it"
            return []

    def _judged(
        self,
        trial: Trial,
        stage: ResolvedStage | None,
        parsed: Sequence[tuple[str, Architecture]],
        curves: Mapping[Training, RungCurve],
    ) -> tuple[Judged, ...]:
        results = {result.candidate: result for result in trial.status.results}
        loses = stage is None or stage.scheduler is None or not stage.scheduler.completes
        stopped = {one.candidate for one in trial.status.stopped_candidates} if loses else set()
        objectives, combination = (stage.objectives, stage.combination) if stage else ((), None)
        found = []
        for name, architecture in parsed:
            result = results.get(name)
            metrics: Mapping[str, float] = {m.name: m.value for m in result.metrics} if result else {}
            metrics = combination.begun(metrics) if combination else metrics
            source = result.source if result else None
            succeeded = trial.status.phase == "Succeeded"
            cut_short = trial.status.phase == "Pruned" or name in stopped or (succeeded and is_partway(stage, trial))
            whole = succeeded and not cut_short
            known = curves.get(Training(trial.begun_by, name), {}) if whole or cut_short else {}
            curve = {epochs: value for epochs, value in known.items() if stage and epochs in stage.rungs}
            found.append(
                judged(objectives, trial.number, name, architecture, metrics, source, whole=whole, curve=curve)
            )
        return tuple(found)


def _judged_by(stage: ResolvedStage, one: Observation) -> Observation:
    """A result of another experiment, by a stage's own objectives."""
    found = stood_for(stage.objectives, one.metrics, one.known_score)
    return Observation(one.architecture, *found, one.metrics)
