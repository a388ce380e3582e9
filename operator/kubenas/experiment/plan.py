"""plan(): from all that is known of an experiment to all that is to be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from kubenas.api.errors import SpecError
from kubenas.api.experiment import NASExperiment
from kubenas.api.status import Imported
from kubenas.experiment.actions import NewTrial, Plan, Removal
from kubenas.experiment.admission import QUEUED_SECONDS, QueueReason, is_queued
from kubenas.experiment.capacity import Capacity, capacity, unneeded
from kubenas.experiment.conditions import Seen
from kubenas.experiment.device_queues import Refusal, devices, due, needed
from kubenas.experiment.kept_checkpoints import removal
from kubenas.experiment.ledger import Ledger
from kubenas.experiment.outcomes import MOST_AT_ONCE, outcomes
from kubenas.experiment.promotions import promoted
from kubenas.experiment.proposals import asked, current_stage, next_trials, open_trials
from kubenas.experiment.spending import Spending, spending
from kubenas.experiment.stages import ResolvedStage
from kubenas.experiment.state import Attempt, AttemptPhase, Readings, Trial
from kubenas.experiment.status import UNSCHEDULABLE_SECONDS, announcements, experiment_status
from kubenas.experiment.verdict import budget_ends_at, verdict
from kubenas.experiment.waiting import waiting_for
from kubenas.experiment.wakes import Wakes
from kubenas.search.base import Strategy
from kubenas.search.preparation import Preparation


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything known of one experiment.

    Attributes:
        stages: resolved, with their strategies.
        attempts: by name; those that exist now.
        benchmarks: attempts to measure candidates on devices, by name; those that exist now.
        problems: what is wrong with the specification; nothing new is started while there are any.
        refusal: why the backend does not take attempts at trials at present.
        refusals: why it does not take benchmarks, by the number of the objective.
        unreadable: what is wrong with objects of the experiment that had to be left out.
        imported: what `warmStart` brings, until it is recorded.
        queue_reason: why an attempt is not admitted by its queue, if that is known.
    """

    experiment: NASExperiment
    stages: Sequence[ResolvedStage]
    ledger: Ledger
    attempts: Mapping[str, Attempt]
    readings: Readings
    benchmarks: Mapping[str, Attempt] = field(default_factory=dict)
    problems: Sequence[SpecError] = ()
    refusal: str | None = None
    refusals: Mapping[int, Refusal] = field(default_factory=dict)
    unreadable: Sequence[str] = ()
    imported: Sequence[Imported] = ()
    queue_reason: QueueReason | None = None

    @property
    def idle(self) -> bool:
        """Whether nothing new is to be started, whatever there is to do."""
        spec, status = self.experiment.spec, self.experiment.status
        return bool(spec.suspend or self.problems or (spec.warm_start and not status.warm_start))


@dataclass(frozen=True, slots=True)
class _Fill:
    """What takes free slots; `exhausted` is the stage whose strategy has nothing more to propose."""

    start: Sequence[Trial] = ()
    create: Sequence[NewTrial] = ()
    exhausted: ResolvedStage | None = None


def plan(observed: Observed, now: float) -> Plan:
    """Decide what to do now.

    Everything is decided from what is written down, nothing from what is about to be: an ending counts once its
    write was answered. A strategy is thus only ever asked with a history that can be read back. Asked twice with
    the same state, the answer is the same.

    Args:
        now: seconds since the epoch.
    """
    experiment, ledger, stages = observed.experiment, observed.ledger, observed.stages
    if experiment.metadata.deletion_timestamp is not None:
        return Plan()
    wakes = Wakes()
    spent = spending_of(observed, now)
    end = verdict(experiment, stages, ledger, spent.spent, None, now)
    slots = _capacity(observed, now, wakes)
    surplus = {trial.name for trial in slots.surplus}
    measured = [trial for trial in ledger.unfinished.values() if trial.measuring]
    known = devices(
        stages[-1],
        measured,
        observed.benchmarks,
        ledger.measured_at,
        _resumed(experiment),
        observed.refusals,
        experiment.spec.budget,
        spent.spent,
        now,
        wakes,
    )
    found = outcomes(
        experiment.spec, stages, ledger, observed.attempts, observed.readings, end, surplus, known, now, wakes
    )
    if len(found.writes) > MOST_AT_ONCE:
        wakes.at(now)
    fill = _Fill()
    if end is None and not observed.idle:
        fill = _fill(observed, slots, now, wakes)
        if fill.exhausted is not None:
            end = verdict(experiment, stages, ledger, spent.spent, fill.exhausted, now)
    changing = {write.trial.name for write in found.writes}
    crowd = len(found.writes) > MOST_AT_ONCE
    waiting = [] if observed.idle or crowd else [trial for trial in measured if trial.name not in changing]
    measure = tuple(due(waiting, known, now, wakes))
    if end is None:
        wakes.at(budget_ends_at(experiment, spent, now))
    stage = current_stage(stages, ledger, fill.exhausted)
    last = None if ledger.unfinished else end
    remove = _removal(observed, over=last is not None)
    current = [one for trial in ledger.unfinished.values() if (one := observed.attempts.get(trial.attempt_name))]
    seen = Seen(
        stage=stage,
        stages=stages,
        end=last,
        problems=observed.problems,
        readings=observed.readings,
        unschedulable=waiting_for(observed.attempts.values(), "Unschedulable", UNSCHEDULABLE_SECONDS, now, wakes),
        held=sum(is_queued(one) for one in current),
        queued=waiting_for(observed.attempts.values(), "Queued", QUEUED_SECONDS, now, wakes),
        queue_reason=observed.queue_reason,
        proposals=stage.strategy.fault if stage.strategy is not None else None,
        refusal=observed.refusal if end is None and not experiment.spec.suspend else None,
        unreadable=observed.unreadable,
        imported=observed.imported,
        starting=bool(fill.start or fill.create),
        running=sum(one.phase is AttemptPhase.RUNNING for one in current),
        measuring=measured,
        devices=known,
        slots=slots,
        removed=len(remove.trials) if remove else experiment.status.checkpoints_removed,
        spending=spent,
    )
    status = experiment_status(experiment, ledger, seen, now)
    delete = _expired(experiment, status.completion_time, now, wakes)
    return Plan(
        write=found.writes[:MOST_AT_ONCE],
        stop=(*_stopped(observed), *_unneeded_benchmarks(observed)),
        start=tuple(fill.start),
        create=tuple(fill.create),
        measure=measure,
        remove=remove,
        status=status if status != experiment.status else None,
        announce=tuple(announcements(experiment.status, status)),
        delete=delete,
        reading=seen.running > 0,
        read_now=found.read_now,
        wake_at=wakes.first,
    )


def preparation(observed: Observed, now: float) -> tuple[Strategy, Preparation] | None:
    """What should be done elsewhere before `plan` is called, since its proposals would take long over it.

    None where nothing is to be proposed, or nothing takes long.
    """
    experiment, ledger, stages = observed.experiment, observed.ledger, observed.stages
    if observed.idle or experiment.metadata.deletion_timestamp is not None:
        return None
    stage = current_stage(stages, ledger)
    if stage.strategy is None:
        return None
    trials = min(_capacity(observed, now, Wakes()).free, open_trials(stages, stage, ledger), MOST_AT_ONCE)
    question = asked(stages, stage, ledger, trials) if trials > 0 else None
    work = stage.strategy.preparation(*question) if question else None
    # Most strategies take long over nothing: whether the end has come is only asked where one does.
    if work is None or verdict(experiment, stages, ledger, spending_of(observed, now).spent, None, now) is not None:
        return None
    return stage.strategy, work


def spending_of(observed: Observed, now: float) -> Spending:
    """What has been spent so far by ended and running attempts."""
    ledger, budget = observed.ledger, observed.experiment.spec.budget
    measured = needed(observed.stages[-1], ledger.unfinished, observed.benchmarks)
    return spending(ledger.spent, ledger.unfinished.values(), observed.attempts, measured.values(), budget, now)


def _removal(observed: Observed, *, over: bool) -> Removal | None:
    storage = observed.experiment.spec.storage
    if storage is None or observed.problems:
        return None
    before = observed.experiment.status.checkpoints_removed or 0
    return removal(storage.keep, observed.stages, observed.ledger, before, over=over)


def _capacity(observed: Observed, now: float, wakes: Wakes) -> Capacity:
    return capacity(observed.experiment.spec.trials, observed.ledger.unfinished, observed.attempts, now, wakes)


def _fill(observed: Observed, slots: Capacity, now: float, wakes: Wakes) -> _Fill:
    """What takes the free slots: attempts that are due, then new trials."""
    stages, ledger = observed.stages, observed.ledger
    exhausted: ResolvedStage | None = None
    # Once more than there are stages: where nothing is left to propose, a training may go on.
    for _ in (*stages, None):
        stage = current_stage(stages, ledger, exhausted)
        count = min(slots.free, open_trials(stages, stage, ledger, exhausted))
        if count <= 0 or (stage is exhausted and not promoted(stage, ledger, 0)):
            break
        if count > MOST_AT_ONCE:
            count = MOST_AT_ONCE
            wakes.at(now)
        question = asked(stages, stage, ledger, count, exhausted)
        if question and stage.strategy is not None and stage.strategy.waits(*question):
            # Until the answer comes, only what was proposed before can be completed, or go on.
            count = min(count, ledger.stage(stage.name).missing + len(promoted(stage, ledger, count)))
            if count == 0:
                break
        create = next_trials(observed.experiment, stages, stage, ledger, count, exhausted)
        if create:
            return _Fill(slots.start, create, exhausted)
        exhausted = stage
    return _Fill(slots.start, exhausted=exhausted)


def _stopped(observed: Observed) -> tuple[Attempt, ...]:
    """Attempts to stop. The pod of a failed trial is kept for its log, if it has ended: it holds no GPU."""
    return tuple(
        attempt
        for attempt in unneeded(observed.ledger.unfinished, observed.attempts)
        if attempt.gone_by is None and (attempt.holds_devices or not observed.ledger.has_failed(attempt.trial))
    )


def _unneeded_benchmarks(observed: Observed) -> tuple[Attempt, ...]:
    wanted = needed(observed.stages[-1], observed.ledger.unfinished, observed.benchmarks)
    return tuple(one for name, one in observed.benchmarks.items() if name not in wanted and one.gone_by is None)


def _resumed(experiment: NASExperiment) -> float:
    """When the experiment was last seen not to be suspended any more."""
    found = (one for one in experiment.status.conditions if one.type == "Suspended" and one.status == "False")
    return max((one.last_transition_time.timestamp() for one in found), default=0.0)


def _expired(experiment: NASExperiment, completed: datetime | None, now: float, wakes: Wakes) -> bool:
    ttl = experiment.spec.ttl_seconds_after_finished
    if ttl is None or completed is None:
        return False
    due = completed.timestamp() + ttl
    if now < due:
        wakes.at(due)
    return now >= due
