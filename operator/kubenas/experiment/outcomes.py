"""What has become of the unfinished trials: the statuses to write."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from kubenas.api.base import duration_seconds
from kubenas.api.experiment import ExperimentSpec
from kubenas.api.objective import Objective
from kubenas.api.trial import StoppedCandidate, TrialStatus
from kubenas.experiment.actions import Announcement, WriteTrial
from kubenas.experiment.admission import in_another_queue
from kubenas.experiment.device_queues import Devices
from kubenas.experiment.ledger import Ledger
from kubenas.experiment.lifecycle import NO_IMPROVEMENT, Step, advance, prune, release
from kubenas.experiment.measuring import advance_measuring, queued
from kubenas.experiment.objectives import best_value
from kubenas.experiment.rules import Rules
from kubenas.experiment.stages import ResolvedStage, stage_named
from kubenas.experiment.state import Attempt, AttemptPhase, Fault, Readings, Trial
from kubenas.experiment.trainings import is_partway, promoter_of
from kubenas.experiment.verdict import Verdict
from kubenas.experiment.wakes import Wakes
from kubenas.fidelity.base import RungCurve, Stop, Training

# Trials that one reconcile writes or makes at most. The next one waits for all of its answers, so that a crowd of
# endings is worked off in small groups, each followed by what takes its slots.
MOST_AT_ONCE: Final = 12


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Statuses to write, and whether values must be read now before more is known.

    Of trials that are measured, which may be thousands where a device is away, only so many that there are more than
    `MOST_AT_ONCE`.
    """

    writes: tuple[WriteTrial, ...]
    read_now: bool


def outcomes(
    spec: ExperimentSpec,
    stages: Sequence[ResolvedStage],
    ledger: Ledger,
    attempts: Mapping[str, Attempt],
    readings: Readings,
    end: Verdict | None,
    surplus: Collection[str],
    devices: Devices,
    now: float,
    wakes: Wakes,
) -> Outcomes:
    """What has become of each unfinished trial, in order of their numbers; endings are numbered on.

    Args:
        end: the experiment's, if it has ended: trials that still run are then stopped.
        surplus: names of trials that have no slot any more.
        devices: what measures candidates whose training has ended.
        now: seconds since the epoch.
        wakes: is told when something is due for a trial.
    """
    rules_of = {stage.name: _rules(spec, stage) for stage in stages}
    order, stops = ledger.last_order, _stops(stages, ledger, readings)
    writes: list[WriteTrial] = []
    read_now = False
    over = None if end is None else Fault(end.reason, f"The experiment has ended: {end.message}")
    measures = end is None or end.measures
    for trial in ledger.unfinished.values():
        stage, rules = stage_named(stages, trial.stage), rules_of.get(trial.stage) or _rules(spec, None)
        attempt = attempts.get(trial.attempt_name)
        if trial.measuring:
            if len(writes) > MOST_AT_ONCE:
                continue
            why = None if measures else over
            status = advance_measuring(trial, devices, rules.retries, why, released=spec.suspend, now=now, wakes=wakes)
        else:
            step = advance(trial, attempt, readings, rules, now)
            stopped = _stopped(trial, stops)
            why = over or _fault(trial, stopped, rules)
            released = spec.suspend or trial.name in surplus or in_another_queue(spec, trial, attempt)
            step = _overruled(trial, attempt, step, readings, rules, why, released=released, now=now)
            step = _noted(trial, attempt, step, stopped)
            wakes.at(step.wake_at)
            read_now = read_now or step.read_now
            status = step.status
            measured = measures and not is_partway(stage, trial)
            if status is not None and status.phase == "Succeeded" and stage is not None and measured:
                status = queued(stage, ledger.stage(stage.name).front, status, now)
        if status is None:
            continue
        if status.completion_time is not None:
            order += 1
            status = status.model_copy(update={"order": order, "value": _value(stages, trial, status, rules)})
        writes.append(WriteTrial(trial, status, _failure(trial, status)))
    return Outcomes(tuple(writes), read_now)


def _stops(stages: Sequence[ResolvedStage], ledger: Ledger, readings: Readings) -> dict[Training, Stop]:
    """Trainings that their stages' schedulers stop."""
    found: dict[Training, Stop] = {}
    for stage in stages:
        if stage.scheduler is None or promoter_of(stage):
            continue
        record = ledger.stage(stage.name)
        trials = (trial for trial in ledger.unfinished.values() if trial.stage == stage.name)
        seen: dict[Training, RungCurve] = {}
        running, stopped = set[Training](), set[Training]()
        for shown in record.shown.of(stage, trials, readings):
            trial = shown.trial
            stopped |= {Training(trial.number, one.candidate) for one in trial.status.stopped_candidates}
            seen |= shown.curves
            if not trial.measuring:
                running |= {training for training in shown.curves if training.candidate not in shown.trained}
        if running:
            of_all = record.trainings.with_running(seen)
            stops = stage.scheduler.stops(of_all, running)
            go_on = seen.keys() - stops.keys() - stopped
            if not (go_on or record.phases["Succeeded"] or stage.scheduler.completes):
                stops = _but_the_best(stops, of_all, stopped)
            found |= stops
    return found


def _but_the_best(
    stops: Mapping[Training, Stop], curves: Mapping[Training, RungCurve], stopped: Collection[Training]
) -> dict[Training, Stop]:
    """All that are stopped but the best of those that have come farthest, or a stage might end without a result.

    It may have lost to one that was stopped at a lower rung, and was heard of once more before it ended.
    """

    def place(training: Training) -> tuple[int, tuple[float, float], Training]:
        epoch = stops[training].epoch
        return epoch, curves[training][epoch].score, training

    best = max(stops.keys() - stopped, key=place, default=None)
    return {training: stop for training, stop in stops.items() if training != best}


def _stopped(trial: Trial, stops: Mapping[Training, Stop]) -> list[StoppedCandidate]:
    """The candidates of a trial that are stopped: those of which it is written, which stays, and those by now."""
    found = {one.candidate: one for one in trial.status.stopped_candidates}
    for candidate in trial.candidates:
        stop = stops.get(Training(trial.number, candidate.id))
        if stop is not None and candidate.id not in found:
            found[candidate.id] = StoppedCandidate(candidate=candidate.id, epoch=stop.epoch, message=stop.why)
    return [found[candidate.id] for candidate in trial.candidates if candidate.id in found]


def _fault(trial: Trial, stopped: Sequence[StoppedCandidate], rules: Rules) -> Fault | None:
    """Why a trial ends, all of whose candidates are stopped."""
    if len(stopped) < len(trial.candidates):
        return None
    reason = NO_IMPROVEMENT if rules.stop_completes else "StoppedEarly"
    return Fault(reason, "; ".join(one.message for one in stopped))


def _noted(trial: Trial, attempt: Attempt | None, step: Step, stopped: Sequence[StoppedCandidate]) -> Step:
    """The trial's next status with the candidates that are stopped, as long as it runs."""
    status = step.status or trial.status
    running = attempt is not None and attempt.phase is AttemptPhase.RUNNING and status.completion_time is None
    if not running or list(stopped) == status.stopped_candidates:
        return step
    return replace(step, status=status.model_copy(update={"stopped_candidates": list(stopped)}))


def _rules(spec: ExperimentSpec, stage: ResolvedStage | None) -> Rules:
    """What is demanded of a stage's trials."""
    return Rules(
        retries=spec.trials.retries,
        timeout=duration_seconds(spec.trials.timeout) if spec.trials.timeout else None,
        required=stage.required if stage else (),
        rungs=stage.rungs if stage else (),
        stop_completes=stage is not None and stage.scheduler is not None and stage.scheduler.completes,
        shares=spec.budget.device_shares,
        finds=stage is not None and not stage.trains_supernet,
    )


def _value(stages: Sequence[ResolvedStage], trial: Trial, status: TrialStatus, rules: Rules) -> float | None:
    """What the best candidate of a trial has come to; of one with a result those that were stopped do not count."""
    lost = status.phase == "Succeeded" and not rules.stop_completes
    early = {one.candidate for one in status.stopped_candidates} if lost else ()
    whole = [result for result in status.results if result.candidate not in early]
    return best_value(_comparable(stage_named(stages, trial.stage)), whole)


def _comparable(stage: ResolvedStage | None) -> Sequence[Objective]:
    """The objectives that a trial's value can be told by; none where the primary one depends on other trials."""
    return stage.objectives if stage and stage.combination is None else ()


def _overruled(
    trial: Trial,
    attempt: Attempt | None,
    step: Step,
    readings: Readings,
    rules: Rules,
    why: Fault | None,
    *,
    released: bool,
    now: float,
) -> Step:
    """What a trial comes to where it is pruned, or has no slot, unless it has ended by itself.

    Args:
        why: it is stopped; None where it is not.
    """
    ended = step.status is not None and step.status.phase in ("Succeeded", "Failed")
    if ended or step.read_now:
        return step
    if why is not None:
        return replace(step, status=prune(trial, attempt, readings, why, rules, now))
    if released:
        return replace(step, status=release(trial, attempt, readings, rules, now) or step.status)
    return step


def _failure(trial: Trial, status: TrialStatus) -> Announcement | None:
    """A word on a trial that failed for good."""
    failure = status.last_failure
    if status.phase != "Failed" or failure is None:
        return None
    attempts = "1 attempt" if status.failures == 1 else f"{status.failures} attempts"
    message = f"{trial.name} failed after {attempts}: {failure.reason}: {failure.message}"
    return Announcement("Warning", "TrialFailed", message)
