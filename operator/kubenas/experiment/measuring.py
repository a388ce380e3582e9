"""Which candidates are measured on devices, and what comes of it: functions of what is written down.

A trial whose training has left a candidate a chance is Measuring, and holds no slot, until each of its measurements has
a value or is given up. Only then has it ended: a strategy sees its result once, and whole.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from kubenas.api.base import MetricValue, duration_seconds
from kubenas.api.device import Device
from kubenas.api.objective import Objective
from kubenas.api.trial import MAX_METRICS, Measurement, MeasurementFailure, Result, TrialStatus
from kubenas.experiment.benchmarks import Benchmark, read_benchmark
from kubenas.experiment.bounds import MESSAGE_BYTES, cut
from kubenas.experiment.device_queues import Devices, has_ended, on_devices
from kubenas.experiment.front import Front
from kubenas.experiment.lifecycle import LOST_SECONDS
from kubenas.experiment.objectives import improved, values, violation
from kubenas.experiment.spending import Spent
from kubenas.experiment.stages import ResolvedStage
from kubenas.experiment.state import Attempt, AttemptPhase, Fault, Trial, moment
from kubenas.experiment.verdict import BUDGET_EXHAUSTED
from kubenas.experiment.wakes import Wakes

# The kubelet ends a benchmark at its time limit; one that it cannot end is given up so much later.
_GRACE_SECONDS: Final = 30.0
# A trial may have a hundred.
_MESSAGE: Final = 200


def queued(stage: ResolvedStage, front: Front, status: TrialStatus, now: float) -> TrialStatus:
    """The status of a trial whose training has ended with results: to be measured, as far as that is worth it.

    Args:
        front: what the stage has found so far.
        status: the trial's, ended.
    """
    wanted = on_devices(stage)
    names = {objective.metric for _, objective, _ in wanted}
    results = [_without(result, names) for result in status.results]
    early = {one.candidate for one in status.stopped_candidates}
    measurements = [
        Measurement(candidate=result.candidate, metric=objective.metric, queued_time=moment(now))
        for result in results
        if result.candidate not in early
        # Of several seeds the mean decides: were those left out that cannot win by themselves, it would be the others'.
        and (stage.seeds > 1 or worth_measuring(stage.objectives, front, _metrics(result)))
        for _, objective, _ in wanted
    ]
    if not measurements:
        return status.model_copy(update={"results": results})
    conditions = [one.model_copy(update={"status": "False", "reason": "Measuring"}) for one in status.conditions]
    changes = {"phase": "Measuring", "completion_time": None, "results": results, "measurements": measurements}
    return status.model_copy(update={**changes, "conditions": conditions})


def worth_measuring(objectives: Sequence[Objective], front: Front, metrics: Mapping[str, float]) -> bool:
    """Whether a candidate could be on the front, or the best, whatever a device says of it.

    Not where it breaks a limit on what is known; nor, where devices only decide about limits, where another candidate
    is as good in all that is traded off.
    """
    known = [one for one in objectives if one.metric in metrics]
    if violation(known, metrics) > 0:
        return False
    if any(one.metric not in metrics for one in improved(objectives)):
        return True
    own = values(objectives, metrics)
    return not any(all(a >= b for a, b in zip(member.values, own, strict=True)) for member in front.members)


def advance_measuring(
    trial: Trial, known: Devices, retries: int, over: Fault | None, *, released: bool, now: float, wakes: Wakes
) -> TrialStatus | None:
    """The next status of a trial that is measured; None where it stays as it is.

    Args:
        retries: further attempts at a measurement after a failed one.
        over: why nothing is measured any more, if that is so; what is known of the candidates stays.
        released: whether benchmarks that run are to be stopped, and made again later.
        wakes: is told when something is due.
    """
    status, read, spent = trial.status, dict[str, dict[str, float]](), Spent.of(trial.status)
    numbers = {objective.metric: (number, objective, device) for number, objective, device in on_devices(known.stage)}
    measurements = list[Measurement]()
    for one in status.measurements:
        if one.completion_time is not None or one.metric not in numbers:
            measurements.append(one)
            continue
        number, objective, device = numbers[one.metric]
        attempt = known.benchmarks.get(Benchmark.of(trial, one, objective, number).name)
        after, values = _after(one, attempt, known, number, device, retries, released=released, now=now, wakes=wakes)
        if over is not None and after.completion_time is None:
            after = _given_up(after, over, now)
        if attempt is not None and (after.attempt, after.completion_time) != (one.attempt, one.completion_time):
            spent += Spent.by(attempt, known.shares, now)
            after = after.model_copy(update={"seconds": round(one.seconds + attempt.seconds(now), 3)})
        read.setdefault(one.candidate, {}).update(values)
        measurements.append(after)
    if measurements == status.measurements:
        return None
    changes = {
        "results": [_with(result, read.get(result.candidate, {})) for result in status.results],
        "measurements": measurements,
        "gpu_seconds": spent.gpu_seconds,
        "class_seconds": spent.class_seconds,
    }
    changed = status.model_copy(update=changes)
    return ended(changed, now) if all(one.completion_time for one in measurements) else changed


def _after(
    one: Measurement,
    attempt: Attempt | None,
    known: Devices,
    number: int,
    device: Device,
    retries: int,
    *,
    released: bool,
    now: float,
    wakes: Wakes,
) -> tuple[Measurement, Mapping[str, float]]:
    """What an open measurement has come to, and its values."""
    fault = _over(attempt, device, now, wakes)
    if attempt is not None and fault is None and has_ended(attempt, now):
        reading = read_benchmark(attempt, one.metric)
        if reading.fault is None:
            changes = {"node": attempt.node or "", "completion_time": moment(now), "last_failure": None}
            return one.model_copy(update=changes), reading.values
        if attempt.disruption is None and attempt.gone_by is None:
            fault = reading.fault
        else:
            return _again(one), {}
    if fault is not None:
        return _failed(one, fault, retries, now), {}
    if released:
        return (one if attempt is None else _again(one)), {}
    if number in known.spent and (attempt is None or attempt.started is None):
        return _given_up(one, Fault(BUDGET_EXHAUSTED, known.spent[number]), now), {}
    if number in known.away and (attempt is None or attempt.node is None):
        return _waited(one, known, number, device, now, wakes), {}
    return one, {}


def ended(status: TrialStatus, now: float) -> TrialStatus:
    """The end of a trial all of whose measurements have a value, or none for good."""
    failures = [(one, one.last_failure) for one in status.measurements if one.last_failure is not None]
    told = [
        f"{one.metric} of candidate {one.candidate} was not measured: {failure.message}" for one, failure in failures
    ]
    why = Fault("NotMeasured", " ".join(told)) if told else Fault("Succeeded", "")
    conditions = [
        one.model_copy(
            update={
                "status": "True",
                "reason": why.reason,
                "message": cut(f"{one.message} {why.message}".strip(), MESSAGE_BYTES),
                "last_transition_time": moment(now),
            }
        )
        for one in status.conditions
    ]
    return status.model_copy(update={"phase": "Succeeded", "completion_time": moment(now), "conditions": conditions})


def _over(attempt: Attempt | None, device: Device, now: float, wakes: Wakes) -> Fault | None:
    """Why a benchmark that has not ended is given up, if it is."""
    if attempt is None or attempt.phase is AttemptPhase.ENDED:
        return None
    if attempt.gone_by is not None:
        if now < attempt.gone_by + LOST_SECONDS:
            wakes.at(attempt.gone_by + LOST_SECONDS)
        return None
    if attempt.fault is not None:
        return attempt.fault
    if attempt.started is None:
        return None
    deadline = attempt.started + duration_seconds(device.timeout) + _GRACE_SECONDS
    if now >= deadline:
        return Fault("Timeout", f"it ran longer than measuredOn.timeout ({device.timeout})")
    wakes.at(deadline)
    return None


def _failed(one: Measurement, fault: Fault, retries: int, now: float) -> Measurement:
    """A measurement after a failed attempt: another one if there are retries left, else it has no value."""
    failure = MeasurementFailure(reason=fault.reason[:63], message=cut(fault.message, _MESSAGE), time=moment(now))
    failed = one.model_copy(update={"failures": one.failures + 1, "last_failure": failure})
    return failed.model_copy(update={"completion_time": moment(now)}) if failed.failures > retries else _again(failed)


def _again(one: Measurement) -> Measurement:
    return one.model_copy(update={"attempt": one.attempt + 1})


def _given_up(one: Measurement, why: Fault, now: float) -> Measurement:
    failure = MeasurementFailure(reason=why.reason[:63], message=cut(why.message, _MESSAGE), time=moment(now))
    return one.model_copy(update={"completion_time": moment(now), "last_failure": failure})


def _waited(one: Measurement, known: Devices, number: int, device: Device, now: float, wakes: Wakes) -> Measurement:
    """A measurement whose device is away, and which is given up once that has been so for too long."""
    until = max(one.queued_time.timestamp(), known.since[number]) + duration_seconds(device.max_wait)
    if now < until:
        wakes.at(until)
        return one
    said = f"it has waited longer than measuredOn.maxWait ({device.max_wait}): {known.away[number]}"
    return _given_up(one, Fault("DeviceUnavailable", said), now)


def _metrics(result: Result) -> dict[str, float]:
    return {one.name: one.value for one in result.metrics}


def _without(result: Result, names: set[str]) -> Result:
    """A result without what the trainer says of the devices' metrics."""
    kept = [one for one in result.metrics if one.name not in names]
    return result if len(kept) == len(result.metrics) else result.model_copy(update={"metrics": kept})


def _with(result: Result, read: Mapping[str, float]) -> Result:
    """A result with what a device has measured, the objective's metric first where there is not room for all."""
    if not read:
        return result
    known = [one for one in result.metrics if one.name not in read][: MAX_METRICS - 1]
    more = [MetricValue(name=name, value=value) for name, value in read.items()][: MAX_METRICS - len(known)]
    return result.model_copy(update={"metrics": sorted([*known, *more], key=lambda one: one.name)})
