"""plan(): from all that is known of an experiment to all that is to be done."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from kubenas.api.base import duration_seconds
from kubenas.api.errors import SpecError
from kubenas.api.experiment import NASExperiment
from kubenas.api.trial import TrialStatus
from kubenas.experiment.actions import Announcement, NewTrial, Plan, WriteTrial
from kubenas.experiment.attempts import LOST_SECONDS, Rules, advance, prune, release, retry_at
from kubenas.experiment.ledger import Ledger
from kubenas.experiment.objectives import best_value
from kubenas.experiment.stages import StagePlan, current_stage, next_trials, open_places, stage_plans
from kubenas.experiment.state import Attempt, AttemptPhase, Fault, Readings, Trial, earliest
from kubenas.experiment.status import UNSCHEDULABLE_SECONDS, Seen, announcements, experiment_status
from kubenas.experiment.verdict import Verdict, budget_ends_at, verdict
from kubenas.search.base import History, Preparation, Strategy

# Trials that one look writes or makes at most. The next look waits for all of its answers, so that a crowd of endings
# is worked off in small groups, each followed by what takes its place.
MOST_AT_ONCE = 12


@dataclass(frozen=True, slots=True)
class Observed:
    """Everything known of one experiment.

    Attributes:
        attempts: by name; those that exist now.
        problems: what is wrong with the specification; nothing new is started while there are any.
        refusal: why the backend does not take attempts at present.
        unreadable: what is wrong with objects of the experiment that had to be left out.
    """

    experiment: NASExperiment
    ledger: Ledger
    strategy: Strategy | None
    attempts: Mapping[str, Attempt]
    readings: Readings
    problems: Sequence[SpecError] = ()
    refusal: str | None = None
    unreadable: Sequence[str] = ()


def plan(observed: Observed, now: float) -> Plan:
    """Decide what to do now.

    Everything is decided from what is written down, nothing from what is about to be: an ending counts once its
    write was answered. A strategy is thus only ever asked with a history that can be read back. Asked twice with
    the same state, the answer is the same.

    Args:
        now: seconds since the epoch.
    """
    experiment, ledger = observed.experiment, observed.ledger
    if experiment.metadata.deletion_timestamp is not None:
        return Plan()
    plans = stage_plans(experiment.spec)
    rules = _rules(experiment)
    spent, running_gpus = _spending(observed, now)
    end = verdict(experiment, plans, ledger, spent, False, now)
    writes, wakes, read_now = _look_at_trials(observed, rules, end, now)
    start: list[Trial] = []
    create: list[NewTrial] = []
    exhausted = False
    if end is None and not experiment.spec.suspend and not observed.problems:
        start, create, exhausted, wake = _fill(observed, plans, now)
        wakes.append(wake)
        if exhausted:
            end = verdict(experiment, plans, ledger, spent, True, now)
    wakes.append(budget_ends_at(experiment, running_gpus, spent, now) if end is None else None)
    seen = Seen(
        stage=plans[current_stage(plans, ledger, searched=exhausted)].name,
        plans=plans,
        end=None if ledger.unfinished else end,
        problems=observed.problems,
        readings=observed.readings,
        unschedulable=_unschedulable(observed, wakes, now),
        proposals=observed.strategy.fault if observed.strategy is not None else None,
        refusal=observed.refusal if end is None and not experiment.spec.suspend else None,
        unreadable=observed.unreadable,
        starting=bool(start or create),
        running=sum(_runs(observed, trial) for trial in ledger.unfinished.values()),
    )
    status = experiment_status(experiment, ledger, seen, now)
    delete = _expired(experiment, status.completion_time, wakes, now)
    return Plan(
        write=tuple(writes),
        stop=_leftover(observed),
        start=tuple(start),
        create=tuple(create),
        status=status if status != experiment.status else None,
        announce=tuple(announcements(experiment.status, status)),
        delete=delete,
        reading=seen.running > 0,
        read_now=read_now,
        wake_at=earliest(*wakes),
    )


def preparation(observed: Observed, now: float) -> Preparation | None:
    """What should be done elsewhere before `plan` is called, since its proposals would take long over it.

    None where nothing is to be proposed, or nothing takes long.
    """
    experiment, ledger, strategy = observed.experiment, observed.ledger, observed.strategy
    idle = experiment.spec.suspend or observed.problems or experiment.metadata.deletion_timestamp is not None
    if strategy is None or idle:
        return None
    plans = stage_plans(experiment.spec)
    index = current_stage(plans, ledger)
    places = min(
        experiment.spec.trials.parallelism - len(ledger.unfinished), open_places(experiment.spec, plans, index, ledger)
    )
    asked = _asked(observed, plans, index, min(places, MOST_AT_ONCE)) if places > 0 else None
    if asked is None:
        return None
    work = strategy.preparation(*asked)
    # Most strategies take long over nothing: the end is only looked for where one does.
    if work is None or verdict(experiment, plans, ledger, _spending(observed, now)[0], False, now) is not None:
        return None
    return work


def _asked(observed: Observed, plans: list[StagePlan], index: int, trials: int) -> tuple[History, int] | None:
    """What the strategy is asked with for so many trials, and for how many candidates; None where it is not asked."""
    if plans[index].takes is not None:
        return None
    ledger, each = observed.ledger, observed.experiment.spec.trials.candidates_per_trial
    number = ledger.next_number()
    if (above := ledger.after(number)) is None:
        return ledger.history(), trials * each
    # A number is missing below others: it is proposed again with what those above it were proposed with.
    return ledger.history_at(number, above[0]), each


def _rules(experiment: NASExperiment) -> Rules:
    trials = experiment.spec.trials
    return Rules(
        retries=trials.retries,
        timeout=duration_seconds(trials.timeout) if trials.timeout else None,
        required=tuple(o.metric for o in experiment.spec.objectives),
        shares=experiment.spec.budget.device_shares,
    )


def _spending(observed: Observed, now: float) -> tuple[float, float]:
    """GPU seconds spent so far, and GPUs in use."""
    spent, gpus = observed.ledger.gpu_seconds, 0.0
    shares = observed.experiment.spec.budget.device_shares
    for trial in observed.ledger.unfinished.values():
        spent += trial.status.gpu_seconds
        attempt = observed.attempts.get(trial.attempt_name)
        if attempt:
            spent += attempt.gpu_seconds(now, shares)
            gpus += attempt.gpus(shares) if attempt.phase is AttemptPhase.RUNNING else 0.0
    return spent, gpus


def _look_at_trials(
    observed: Observed, rules: Rules, end: Verdict | None, now: float
) -> tuple[list[WriteTrial], list[float | None], bool]:
    """Statuses to write, when to look again, and whether values must be read now."""
    order = observed.ledger.last_order
    writes: list[WriteTrial] = []
    wakes: list[float | None] = []
    read_now = False
    for trial in observed.ledger.unfinished.values():
        attempt = observed.attempts.get(trial.attempt_name)
        step = advance(trial, attempt, observed.readings, rules, now)
        status = step.status
        ended = status is not None and status.phase in ("Succeeded", "Failed")
        if end is not None and not ended and not step.read_now:
            fault = Fault(end.reason, f"The experiment has ended: {end.message}")
            status = prune(trial, attempt, observed.readings, fault, rules, now)
        elif observed.experiment.spec.suspend and not ended and not step.read_now:
            status = release(trial, attempt, observed.readings, rules, now) or status
        if status is not None and status.completion_time is not None:
            order += 1
            value = best_value(observed.experiment.spec.objectives, status.results)
            status = status.model_copy(update={"order": order, "value": value})
        if status is not None:
            writes.append(WriteTrial(trial, status, _failure_of(trial, status)))
        wakes.append(step.wake_at)
        read_now = read_now or step.read_now
    if len(writes) > MOST_AT_ONCE:
        wakes.append(now)
    return writes[:MOST_AT_ONCE], wakes, read_now


def _fill(
    observed: Observed, plans: list[StagePlan], now: float
) -> tuple[list[Trial], list[NewTrial], bool, float | None]:
    """Attempts to start, trials to create, whether the space is used up, and when a retry is due."""
    experiment, ledger = observed.experiment, observed.ledger
    leaving = _leaving(observed, now)
    places = experiment.spec.trials.parallelism - len(leaving)
    # The attempts of a trial share its checkpoints: one at a time.
    held = {attempt.trial for attempt in leaving}
    waiting: list[Trial] = []
    for _, trial in sorted(ledger.unfinished.items()):
        if trial.attempt_name in observed.attempts:
            places -= 1
        else:
            waiting.append(trial)
    due = [trial for trial in waiting if retry_at(trial.status) <= now and trial.name not in held]
    wakes = [retry_at(trial.status) for trial in waiting if retry_at(trial.status) > now]
    wakes += [attempt.gone_by + LOST_SECONDS for attempt in leaving if attempt.gone_by is not None]
    wake = min(wakes, default=None)
    start = due[: max(0, places)]
    # A trial that waits for its retry keeps its place, or failures would pile up more of them.
    places -= sum(trial.name not in held for trial in waiting)
    exhausted = False
    for index in dict.fromkeys(current_stage(plans, ledger, searched=searched) for searched in (False, True)):
        count = min(places, open_places(experiment.spec, plans, index, ledger))
        if count <= 0 or observed.strategy is None:
            break
        if count > MOST_AT_ONCE:
            count, wake = MOST_AT_ONCE, now
        asked = _asked(observed, plans, index, count)
        if asked is not None and observed.strategy.waits(*asked):
            return start, [], False, wake
        made = next_trials(experiment.spec, experiment.metadata.name, plans, index, ledger, observed.strategy, count)
        if made:
            return start, [NewTrial(name, spec) for name, spec in made], exhausted, wake
        exhausted = True
    return start, [], exhausted, wake


def _leaving(observed: Observed, now: float) -> list[Attempt]:
    """Attempts that no trial needs any more, but that still run, on a node that is not lost."""
    current = {trial.attempt_name for trial in observed.ledger.unfinished.values()}
    return [
        attempt
        for name, attempt in observed.attempts.items()
        if name not in current
        and attempt.holds_devices
        and (attempt.gone_by is None or now < attempt.gone_by + LOST_SECONDS)
    ]


def _leftover(observed: Observed) -> tuple[Attempt, ...]:
    """Attempts that no trial needs any more; what has become of them is written down already.

    The pod of a failed trial is kept for its log, if it has ended: it holds no GPU.
    """
    current = {trial.attempt_name for trial in observed.ledger.unfinished.values()}
    return tuple(
        attempt
        for name, attempt in observed.attempts.items()
        if name not in current
        and attempt.gone_by is None
        and (attempt.holds_devices or not observed.ledger.has_failed(attempt.trial))
    )


def _unschedulable(observed: Observed, wakes: list[float | None], now: float) -> list[Attempt]:
    """Attempts that no node has taken for a minute."""
    found = []
    for attempt in observed.attempts.values():
        if attempt.waiting is None or attempt.waiting.reason != "Unschedulable":
            continue
        due = attempt.waiting.since + UNSCHEDULABLE_SECONDS
        if due <= now:
            found.append(attempt)
        else:
            wakes.append(due)
    return found


def _expired(experiment: NASExperiment, completed: datetime | None, wakes: list[float | None], now: float) -> bool:
    ttl = experiment.spec.ttl_seconds_after_finished
    if ttl is None or completed is None:
        return False
    due = completed.timestamp() + ttl
    if now < due:
        wakes.append(due)
    return now >= due


def _runs(observed: Observed, trial: Trial) -> bool:
    attempt = observed.attempts.get(trial.attempt_name)
    return attempt is not None and attempt.phase is AttemptPhase.RUNNING


def _failure_of(trial: Trial, status: TrialStatus) -> Announcement | None:
    """A word on a trial that failed for good."""
    failure = status.last_failure
    if status.phase != "Failed" or failure is None:
        return None
    attempts = "1 attempt" if status.failures == 1 else f"{status.failures} attempts"
    message = f"{trial.name} failed after {attempts}: {failure.reason}: {failure.message}"
    return Announcement("Warning", "TrialFailed", message)
