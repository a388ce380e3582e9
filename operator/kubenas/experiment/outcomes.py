"""What has become of the unfinished trials: the statuses to write."""

from __future__ import annotations

from collections import ChainMap
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace

from kubenas.api.base import duration_seconds
from kubenas.api.experiment import ExperimentSpec
from kubenas.api.objective import Objective
from kubenas.api.trial import TrialStatus
from kubenas.experiment.actions import Announcement, WriteTrial
from kubenas.experiment.ledger import Ledger
from kubenas.experiment.lifecycle import Rules, Step, advance, prune, release
from kubenas.experiment.objectives import best_value
from kubenas.experiment.rungs import rung_curves
from kubenas.experiment.stages import ResolvedStage, stage_named
from kubenas.experiment.state import Attempt, Fault, Readings, Trial
from kubenas.experiment.verdict import Verdict
from kubenas.experiment.wakes import Wakes
from kubenas.fidelity.base import RungCurve, Stop, Training


@dataclass(frozen=True, slots=True)
class Outcomes:
    """Statuses to write, and whether values must be read now before more is known."""

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
    now: float,
    wakes: Wakes,
) -> Outcomes:
    """What has become of each unfinished trial, in order of their numbers; endings are numbered on.

    Args:
        end: the experiment's, if it has ended: trials that still run are then stopped.
        surplus: names of trials that have no slot any more.
        now: seconds since the epoch.
        wakes: is told when something is due for a trial.
    """
    rules_of = {stage.name: _rules(spec, stage) for stage in stages}
    order, stops = ledger.last_order, _stops(stages, ledger, readings)
    writes: list[WriteTrial] = []
    read_now = False
    for trial in ledger.unfinished.values():
        rules = rules_of.get(trial.stage) or _rules(spec, None)
        attempt = attempts.get(trial.attempt_name)
        step = advance(trial, attempt, readings, rules, now)
        why = _fault(trial, stops) if end is None else Fault(end.reason, f"The experiment has ended: {end.message}")
        released = spec.suspend or trial.name in surplus
        step = _overruled(trial, attempt, step, readings, rules, why, released=released, now=now)
        wakes.at(step.wake_at)
        read_now = read_now or step.read_now
        status = step.status
        if status is None:
            continue
        if status.completion_time is not None:
            order += 1
            value = best_value(_comparable(stage_named(stages, trial.stage)), status.results)
            status = status.model_copy(update={"order": order, "value": value})
        writes.append(WriteTrial(trial, status, _failure(trial, status)))
    return Outcomes(tuple(writes), read_now)


def _stops(stages: Sequence[ResolvedStage], ledger: Ledger, readings: Readings) -> dict[Training, Stop]:
    """Trainings that their stages' schedulers stop."""
    found: dict[Training, Stop] = {}
    for stage in stages:
        if stage.scheduler is None:
            continue
        running: dict[Training, RungCurve] = {}
        for trial in ledger.unfinished.values():
            if trial.stage == stage.name:
                running |= rung_curves(stage, trial, readings.curves.get(trial.attempt_name))
        if running:
            known = ChainMap(running, ledger.stage(stage.name).rung_curves)
            found |= stage.scheduler.stops(known, running.keys())
    return found


def _fault(trial: Trial, stops: Mapping[Training, Stop]) -> Fault | None:
    """Why a trial is pruned, all of whose candidates are stopped."""
    found = [stops.get(Training(trial.number, candidate.id)) for candidate in trial.candidates]
    told = [stop.why for stop in found if stop is not None]
    return Fault("StoppedEarly", "; ".join(told)) if len(told) == len(found) else None


def _rules(spec: ExperimentSpec, stage: ResolvedStage | None) -> Rules:
    """What is demanded of a stage's trials."""
    return Rules(
        retries=spec.trials.retries,
        timeout=duration_seconds(spec.trials.timeout) if spec.trials.timeout else None,
        required=stage.required if stage else (),
        rungs=stage.rungs if stage else (),
        shares=spec.budget.device_shares,
        finds=stage is not None and not stage.trains_supernet,
    )


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
        why: it is pruned; None where it is not.
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
