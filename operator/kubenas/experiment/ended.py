"""What is kept of an ended trial."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from kubenas.api.trial import TrialStatus
from kubenas.experiment.judged import Judged
from kubenas.experiment.measurements import Measurements
from kubenas.experiment.spending import Spent
from kubenas.experiment.state import Fault, Trial
from kubenas.fidelity.base import RungCurve, Training


@dataclass(frozen=True, slots=True)
class Measured:
    """What came of a measurement on a device; without a fault there is a value."""

    metric: str
    at: float
    fault: Fault | None
    count: Measurements


@dataclass(frozen=True, slots=True)
class Ended:
    """What is kept of an ended trial."""

    number: int
    # Of the trial that has begun its training, and up to how many epochs it was trained.
    begun_by: int
    epochs: int | None
    seed: int
    order: int
    results_seen: int
    phase: str
    stage: str | None
    spent: Spent
    completed: float | None
    resource_version: str
    fault: Fault | None
    candidates: tuple[Judged, ...]
    rung_curves: Mapping[Training, RungCurve] = field(default_factory=dict)
    measurements: tuple[Measured, ...] = ()


def shortened(trial: Trial, candidates: tuple[Judged, ...], curves: Mapping[Training, RungCurve]) -> Ended:
    """What is kept of an ended trial."""
    status = trial.status
    fault = None
    if status.phase != "Succeeded" and status.conditions:
        fault = Fault(status.conditions[0].reason, f"{trial.name}: {status.conditions[0].message}")
    return Ended(
        number=trial.number,
        begun_by=trial.begun_by,
        epochs=trial.candidates[0].epochs,
        seed=trial.seed,
        order=status.order or 0,
        results_seen=trial.results_seen,
        phase=status.phase or "Failed",
        stage=trial.stage,
        spent=Spent.of(status),
        completed=status.completion_time.timestamp() if status.completion_time else None,
        resource_version=trial.resource_version,
        fault=fault,
        candidates=candidates,
        rung_curves=curves,
        measurements=tuple(_measurements(status)),
    )


def _measurements(status: TrialStatus) -> Iterator[Measured]:
    for one in status.measurements:
        if one.completion_time is not None:
            why = one.last_failure
            fault = Fault(why.reason, why.message) if why else None
            yield Measured(one.metric, one.completion_time.timestamp(), fault, Measurements.of(one))
