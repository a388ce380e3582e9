"""The devices that an experiment's candidates are measured on: which are away, and what they measure next."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from kubenas.api.budget import Budget
from kubenas.api.device import Device
from kubenas.api.objective import Objective
from kubenas.api.trial import Measurement
from kubenas.experiment.benchmarks import Benchmark, awaited
from kubenas.experiment.lifecycle import LOST_SECONDS
from kubenas.experiment.spending import Spent, spent_on
from kubenas.experiment.stages import ResolvedStage
from kubenas.experiment.state import Attempt, AttemptPhase, Trial, trial_number
from kubenas.experiment.statuses import MAX_RETRY_SECONDS
from kubenas.experiment.wakes import Wakes

# A device that takes no pod for so long is away.
AWAY_SECONDS: Final = 60.0
# Between two benchmarks that the backend does not take.
_LONGEST_PAUSE_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why the backend has not taken a benchmark.

    Attributes:
        times: how often in a row.
        until: when it is asked again, in seconds since the epoch.
    """

    message: str
    times: int
    until: float

    @classmethod
    def after(cls, before: Refusal | None, message: str, now: float) -> Refusal:
        """The next one, after another pause that doubles each time."""
        times = before.times + 1 if before else 1
        return cls(message, times, now + min(2.0**times, _LONGEST_PAUSE_SECONDS))


@dataclass(frozen=True, slots=True)
class Devices:
    """The devices of an experiment, by the number of the objective that is measured there.

    Attributes:
        stage: the one whose objectives are measured there: the last.
        benchmarks: by name; those that exist now.
        free: how many further benchmarks may be started.
        away: why nothing is measured there: no node has taken a benchmark for `AWAY_SECONDS`, or it is refused.
        since: when a measurement last had a value, or the experiment was resumed; waiting counts from then at the
            earliest.
        spent: which budget is spent that a measurement there would take more of.
        shares: what devices count for in `budget.gpuHours`.
    """

    stage: ResolvedStage
    benchmarks: Mapping[str, Attempt]
    free: Mapping[int, int]
    away: Mapping[int, str]
    since: Mapping[int, float]
    spent: Mapping[int, str]
    shares: Mapping[str, float]


def on_devices(stage: ResolvedStage) -> list[tuple[int, Objective, Device]]:
    """A stage's objectives that are measured on devices, with their numbers among all."""
    own = stage.objectives
    return [(number, one, one.measured_on) for number, one in enumerate(own) if one.measured_on is not None]


def devices(
    stage: ResolvedStage,
    trials: Iterable[Trial],
    benchmarks: Mapping[str, Attempt],
    measured_at: Mapping[str, float],
    resumed: float,
    refusals: Mapping[int, Refusal],
    budget: Budget,
    spent: Spent,
    now: float,
    wakes: Wakes,
) -> Devices:
    """What is known of the devices of a stage.

    Args:
        trials: those that are measured.
        benchmarks: by name; those that exist now.
        measured_at: when ended trials last had a value, by metric.
        resumed: when the experiment was last resumed.
        refusals: of benchmarks, by the number of the objective.
        budget: what may be spent.
        spent: by ended and running pods.
        wakes: is told when a device comes to be away.
    """
    free, away, since = dict[int, int](), dict[int, str](), dict[int, float]()
    done = [one for trial in trials for one in trial.status.measurements if one.node is not None]
    for number, objective, device in on_devices(stage):
        own = [one for one in benchmarks.values() if one.benchmark == number]
        alive = [one for one in own if not has_ended(one, now)]
        free[number] = max(0, device.parallelism - len(alive))
        ended = [one.completion_time for one in done if one.metric == objective.metric and one.completion_time]
        times = [time.timestamp() for time in ended]
        since[number] = max([measured_at.get(objective.metric, 0.0), resumed, *times])
        waiting = [one for one in alive if one.node is None and one.gone_by is None]
        first = min(waiting, key=lambda one: (_waits_since(one), one.name), default=None)
        if first is not None and len(waiting) == len(alive):
            if now >= _waits_since(first) + AWAY_SECONDS:
                said = first.waiting.message if first.waiting is not None else ""
                away[number] = f"no node takes pod {first.name}{f': {said}' if said else ''}"
            else:
                wakes.at(_waits_since(first) + AWAY_SECONDS)
        elif not alive and number in refusals:
            away[number] = f"a pod is refused: {refusals[number].message}"
            if now < refusals[number].until:
                wakes.at(refusals[number].until)
                free[number] = 0
    over = {number: why for number, _, device in on_devices(stage) if (why := spent_on(device, budget, spent))}
    return Devices(stage, benchmarks, free, away, since, over, budget.device_shares)


def due(trials: Iterable[Trial], known: Devices, now: float, wakes: Wakes) -> Iterator[Benchmark]:
    """Benchmarks to be started, on each device those that have waited longest.

    Args:
        trials: those that are measured.
        wakes: is told when a retry comes due.
    """
    for number, objective, _ in on_devices(known.stage):
        waiting = list[tuple[float, int, Benchmark]]()
        for trial in trials:
            for one in trial.status.measurements:
                made = Benchmark.of(trial, one, objective, number)
                if one.metric != objective.metric or one.completion_time is not None or made.name in known.benchmarks:
                    continue
                if _retry_at(one) > now:
                    wakes.at(_retry_at(one))
                else:
                    waiting.append((one.queued_time.timestamp(), trial.number, made))
        for _, _, made in sorted(waiting, key=lambda entry: entry[:2])[: known.free[number]]:
            yield made


def needed(
    stage: ResolvedStage, unfinished: Mapping[int, Trial], benchmarks: Mapping[str, Attempt]
) -> dict[str, Attempt]:
    """The benchmarks that trials wait for, of those that exist now, by name."""
    metrics = {number: objective.metric for number, objective, _ in on_devices(stage)}
    found = dict[str, Attempt]()
    for name, one in benchmarks.items():
        trial = unfinished.get(trial_number(one.trial))
        if trial is not None and one.benchmark in metrics and awaited(trial, one, metrics[one.benchmark]):
            found[name] = one
    return found


def has_ended(attempt: Attempt, now: float) -> bool:
    """Whether a benchmark measures no more: it has ended, or its node was lost."""
    lost = attempt.gone_by is not None and now >= attempt.gone_by + LOST_SECONDS
    return lost or attempt.phase is AttemptPhase.ENDED


def _waits_since(attempt: Attempt) -> float:
    return attempt.waiting.since if attempt.waiting is not None else attempt.created


def _retry_at(one: Measurement) -> float:
    if one.last_failure is None:
        return 0.0
    return one.last_failure.time.timestamp() + min(2.0**one.failures, MAX_RETRY_SECONDS)
