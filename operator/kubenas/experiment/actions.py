"""What a reconcile of an experiment leads to."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from kubenas.api.status import ExperimentStatus
from kubenas.api.text import clean
from kubenas.api.trial import TrialSpec, TrialStatus
from kubenas.experiment.benchmarks import Benchmark
from kubenas.experiment.state import Attempt, Trial

# Characters that an event of Kubernetes holds.
MAX_ANNOUNCEMENT: Final = 1024


@dataclass(frozen=True, slots=True)
class Announcement:
    """Something that a person would want to read."""

    kind: Literal["Normal", "Warning"]
    reason: str
    message: str

    def __post_init__(self) -> None:
        """Keep of the message what an event can show."""
        object.__setattr__(self, "message", clean(self.message)[:MAX_ANNOUNCEMENT])


@dataclass(frozen=True, slots=True)
class WriteTrial:
    """Write a trial's status, on condition that the trial is still as it was read; then say what it means."""

    trial: Trial
    status: TrialStatus
    announce: Announcement | None = None


@dataclass(frozen=True, slots=True)
class NewTrial:
    """Write a new trial, then start its first attempt."""

    name: str
    spec: TrialSpec


@dataclass(frozen=True, slots=True)
class Removal:
    """Remove the checkpoints of trials.

    Attributes:
        trials: numbers of all whose checkpoints nobody needs, those of earlier removals among them.
        before: how many there were at the last removal.
    """

    trials: tuple[int, ...]
    before: int


@dataclass(frozen=True, slots=True)
class Plan:
    """Everything to do now.

    No step depends on another one of the same plan, so they may be carried out at once and in part; only the
    status, which tells of them, comes last.
    """

    write: tuple[WriteTrial, ...] = ()
    stop: tuple[Attempt, ...] = ()
    start: tuple[Trial, ...] = ()
    create: tuple[NewTrial, ...] = ()
    measure: tuple[Benchmark, ...] = ()
    remove: Removal | None = None
    status: ExperimentStatus | None = None
    # To be said once the status is written.
    announce: tuple[Announcement, ...] = ()
    delete: bool = False
    # Whether trials run whose values are read at each interval, and whether one waits for its last values.
    reading: bool = False
    read_now: bool = False
    # When to reconcile again, if nothing happens before.
    wake_at: float | None = None
