"""What is observed of an experiment: its trials, their attempts, the values read while they run.

Times are seconds since the epoch.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from enum import StrEnum
from typing import TypeAlias

from kubenas.api.evaluation import MAX_TRAINED
from kubenas.api.trial import Candidate, Source, TrialSpec, TrialStatus

# Earlier attempts of a trial of which anything may still be remembered.
_PAST_ATTEMPTS = 8

FINISHED = frozenset({"Succeeded", "Pruned", "Failed"})

# step -> metric -> value, and that by candidate
Curve: TypeAlias = dict[int, dict[str, float]]
Curves: TypeAlias = dict[str, Curve]


@dataclass(frozen=True, slots=True)
class Fault:
    """Something that went wrong: a CamelCase word for programs, a sentence for people."""

    reason: str
    message: str


@dataclass(frozen=True, slots=True)
class Trial:
    """A trial as it is written down."""

    name: str
    number: int
    uid: str
    resource_version: str
    results_seen: int
    stage: str | None
    seed: int
    candidates: tuple[Candidate, ...]
    status: TrialStatus
    # Checkpoint of the supernet that it needs.
    supernet: str | None = None
    # Number of the trial that has begun its training, where that goes on here.
    continues: int | None = None

    @classmethod
    def new(cls, name: str, spec: TrialSpec, *, uid: str = "", resource_version: str = "0") -> Trial:
        """A trial that has just been written."""
        return cls.of(name, spec, TrialStatus(), uid=uid, resource_version=resource_version)

    @classmethod
    def of(cls, name: str, spec: TrialSpec, status: TrialStatus, *, uid: str, resource_version: str) -> Trial:
        """A trial as its resource has it."""
        return cls(
            name=name,
            number=spec.number,
            uid=uid,
            resource_version=resource_version,
            results_seen=spec.results_seen,
            stage=spec.stage,
            seed=spec.seed,
            candidates=tuple(spec.candidates),
            status=status,
            supernet=spec.supernet,
            continues=spec.continues,
        )

    @property
    def finished(self) -> bool:
        """Whether it has ended for good."""
        return self.status.phase in FINISHED

    @property
    def measuring(self) -> bool:
        """Whether its training has ended, and devices are to measure its candidates."""
        return self.status.phase == "Measuring"

    @property
    def begun_by(self) -> int:
        """Number of the trial that has begun its training: its own, unless that goes on here."""
        return self.number if self.continues is None else self.continues

    @property
    def is_batch(self) -> bool:
        """Whether it scores more candidates than a termination message has room for: `/metrics` shows the results."""
        return len(self.candidates) > MAX_TRAINED

    @property
    def remaining(self) -> tuple[Candidate, ...]:
        """The candidates that the current attempt evaluates: those without a result of an earlier one.

        Each failure puts the first of them to the end, as the attempt may have died of it.
        """
        done = {one.candidate for one in self.status.results} | {one.candidate for one in self.status.failed_candidates}
        left = [candidate for candidate in self.candidates if candidate.id not in done]
        first = self.status.failures % len(left) if self.is_batch and left else 0
        return (*left[first:], *left[:first])

    @property
    def attempt_name(self) -> str:
        """Name of the pod or process of the current attempt."""
        return attempt_name(self.name, self.status.attempt)


class AttemptPhase(StrEnum):
    """How far one attempt is."""

    WAITING = "Waiting"
    RUNNING = "Running"
    ENDED = "Ended"


@dataclass(frozen=True, slots=True)
class Waiting:
    """Why an attempt does not run yet."""

    reason: str
    message: str
    since: float


@dataclass(frozen=True, slots=True)
class Attempt:
    """One attempt at a trial, as its pod or process shows it."""

    name: str
    trial: str
    phase: AttemptPhase
    created: float
    waiting: Waiting | None = None
    node: str | None = None
    address: str | None = None
    scheduled: float | None = None
    started: float | None = None
    ended: float | None = None
    # By how much its node's clock is known to be ahead of the one that times are by.
    clock: float = 0.0
    exit_code: int | None = None
    message: str = ""
    # What only the backend can know: image not pulled, out of memory, evicted …
    fault: Fault | None = None
    # Why the cluster takes it away, if it does.
    disruption: Fault | None = None
    # When it should be gone, once its removal was asked for.
    gone_by: float | None = None
    # Whether it is no more, and this is what was last seen of it.
    gone: bool = False
    # Whether it still holds its devices although its trainer has ended.
    lingers: bool = False
    # How many it asks for, by resource or claim.
    devices: Mapping[str, float] = field(default_factory=dict)
    # What its hours count as in budget.prices; None where they cost nothing, as local ones do.
    price_class: str | None = None
    # Tell it, and the trial that it was made for, from others of the same name, where the backend can.
    uid: str = ""
    trial_uid: str = ""
    # Of one that measures a candidate on a device: which objective, by its number.
    benchmark: int | None = None
    # Names of the ResourceClaims that it has, by their names in the pod.
    claims: Mapping[str, str] = field(default_factory=dict)
    # What it was queued by when it was made (`queue_of`); whether a queueing controller has taken it up.
    queue: str | None = None
    managed: bool = False
    # What its trainer knows the operator by.
    token: str = field(default="", repr=False)

    def departed(self, now: float) -> Attempt:
        """The attempt once its pod was deleted."""
        ended, gone_by = self.ended or now, self.gone_by or now
        return replace(self, phase=AttemptPhase.ENDED, ended=ended, gone_by=gone_by, gone=True, lingers=False)

    @property
    def holds_devices(self) -> bool:
        """Whether others must wait for its devices."""
        return self.lingers or self.phase is not AttemptPhase.ENDED

    def gpus(self, shares: Mapping[str, float]) -> float:
        """GPUs that its devices count for; each one, where `shares` says nothing else."""
        return sum(count * shares.get(name, 1.0) for name, count in self.devices.items())

    def seconds(self, now: float) -> float:
        """How long it has run until its end, or until now."""
        return 0.0 if self.started is None else max(0.0, (self.ended or now) - self.started)


@dataclass(frozen=True, slots=True)
class Exposed:
    """What a trial's `/metrics` has shown beside values.

    Attributes:
        digest: SHA-256 of all of it, by which a message tells whether it was read whole.
        failures: reasons of candidates that have failed alone, by their ids.
    """

    digest: str
    failures: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Readings:
    """Values read from running attempts, by their names; `read_at` is when the last successful reading began.

    An attempt's curves are replaced where something new was read, and never change.

    `exposed` is what pods of batches have shown last, `told` the candidates that a pod knows to be stopped.
    """

    source: Source = "Prometheus"
    read_at: float | None = None
    fault: Fault | None = None
    curves: dict[str, Curves] = field(default_factory=dict)
    exposed: dict[str, Exposed] = field(default_factory=dict)
    told: dict[str, frozenset[str]] = field(default_factory=dict)

    def untold(self, trial: Trial) -> frozenset[str]:
        """Candidates that are stopped, where the pod of the current attempt does not know of all."""
        stopped = frozenset(one.candidate for one in trial.status.stopped_candidates)
        return frozenset() if self.told.get(trial.attempt_name, frozenset()) >= stopped else stopped

    def forget(self, trial: Trial) -> None:
        """Drop what no reconcile needs any more: a trial's earlier attempts, and the last of one that has ended."""
        for name in past_attempts(trial):
            self.forget_attempt(name)

    def forget_attempt(self, name: str) -> None:
        """Drop what was read of one attempt."""
        self.curves.pop(name, None)
        self.exposed.pop(name, None)
        self.told.pop(name, None)


def past_attempts(trial: Trial) -> list[str]:
    """Names of a trial's last earlier attempts, and of the last of one that has ended, or at least its training.

    Those before were forgotten as they became earlier ones; a status that somebody else has written may count any
    number.
    """
    over = trial.finished or trial.measuring
    end = trial.status.attempt + over
    return [attempt_name(trial.name, number) for number in range(max(1, end - _PAST_ATTEMPTS), end)]


def attempt_name(trial: str, attempt: int) -> str:
    """Name of an attempt's pod: the same whoever computes it, so that it is made once."""
    return f"{trial}-{attempt}"


def trial_name(experiment: str, number: int) -> str:
    """Name of a trial: the same whoever computes it, so that it is made once."""
    return f"{experiment}-{number}"


def checkpoint_of(experiment: str, number: int, candidate: str) -> str:
    """A candidate's checkpoint, below the folder that holds those of all trials."""
    return f"{trial_name(experiment, number)}/{candidate}.safetensors"


def trial_number(name: str) -> int:
    """The number in a trial's name."""
    return int(name.rpartition("-")[2])


def earliest(*times: float | None) -> float | None:
    """The earliest of times that may not be set."""
    return min((t for t in times if t is not None), default=None)


def moment(seconds: float) -> datetime:
    """A time as resources carry it, in whole microseconds."""
    return datetime.fromtimestamp(round(seconds, 6), UTC)


def metrics_of(values: Mapping[str, float]) -> list[tuple[str, float]]:
    """Metrics in one order, whatever order they were read in."""
    return sorted(values.items())
