"""What has become of the unfinished trials: the statuses to write."""

from __future__ import annotations

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
from kubenas.experiment.stages import ResolvedStage, stage_named
from kubenas.experiment.state import Attempt, Fault, Readings, Trial
from kubenas.experiment.verdict import Verdict
from kubenas.experiment.wakes import Wakes


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
    order = ledger.last_order
    writes: list[WriteTrial] = []
    read_now = False
    for trial in ledger.unfinished.values():
        rules = rules_of.get(trial.stage) or _rules(spec, None)
        attempt = attempts.get(trial.attempt_name)
        step = advance(trial, attempt, readings, rules, now)
        released = spec.suspend or trial.name in surplus
        step = _overruled(trial, attempt, step, readings, rules, end, released=released, now=now)
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


def _rules(spec: ExperimentSpec, stage: ResolvedStage | None) -> Rules:
    """What is demanded of a stage's trials."""
    return Rules(
        retries=spec.trials.retries,
        timeout=duration_seconds(spec.trials.timeout) if spec.trials.timeout else None,
        required=stage.required if stage else (),
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
    end: Verdict | None,
    *,
    released: bool,
    now: float,
) -> Step:
    """What a trial comes to where the experiment has ended or it has no slot, unless it has ended by itself."""
    ended = step.status is not None and step.status.phase in ("Succeeded", "Failed")
    if ended or step.read_now:
        return step
    if end is not None:
        fault = Fault(end.reason, f"The experiment has ended: {end.message}")
        return replace(step, status=prune(trial, attempt, readings, fault, rules, now))
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
