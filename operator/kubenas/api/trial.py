"""NASTrial: one pod's worth of candidates, and what came of them."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field

from kubenas.api.base import (
    API_VERSION,
    ArchitectureName,
    Condition,
    FreeObject,
    Message,
    Metadata,
    MetricName,
    MetricValue,
    Model,
    Name,
    Time,
)
from kubenas.api.evaluation import MAX_CANDIDATES, MAX_SEEDS, MAX_TRAINED
from kubenas.api.objective import MAX_OBJECTIVES
from kubenas.api.rule import WHOLE, Transition, keyed

Phase = Literal["Pending", "Queued", "Running", "Measuring", "Succeeded", "Pruned", "Failed"]
Source = Literal["TerminationMessage", "Prometheus", "Pod"]

# Points of a learning curve that are thinned out as it grows, and those at rungs, which are kept.
MAX_CURVE_POINTS = 32
MAX_RUNGS = 16
MAX_RUNG_POINTS = MAX_RUNGS * MAX_TRAINED
MAX_METRICS = 64
MAX_MEASUREMENTS = MAX_TRAINED * (MAX_OBJECTIVES - 1)
# Price classes, however often an experiment's template was changed.
MAX_CLASSES = 32
# Of all candidates together: more could not be read in one turn of the operator's event loop.
MAX_VALUES = 14 * MAX_CANDIDATES
# The largest whole number that every JSON reader takes for what it is.
MAX_STEP = 2**53 - 1


def most_metrics(candidates: int) -> int:
    """How many metrics each of so many candidates of a trial may have."""
    return min(MAX_METRICS, MAX_VALUES // candidates)


class Candidate(Model):
    """One candidate to evaluate: what the stage's evaluation needs of it, and no more."""

    id: str = Field(min_length=1, max_length=63, description="Its number within the trial, from 0.")
    name: ArchitectureName | None = None
    architecture: FreeObject | None = Field(
        default=None,
        description="The architecture, decision by decision; absent where the evaluation itself finds one.",
    )
    epochs: int | None = Field(
        default=None, ge=1, le=1_000_000, description="Epochs to train; absent where it is scored."
    )
    resume_from: str | None = Field(
        default=None, max_length=1024, description="Checkpoint of the same architecture to go on from."
    )


class TrialSpec(Model):
    """What the trial evaluates; never changed."""

    number: int = Field(ge=0, le=1_000_000, description="Its number in the experiment, from 0.")
    results_seen: int = Field(
        ge=0,
        le=1_000_000,
        description="Results known when it was proposed (those whose status.order is at most this): with the seed "
        "and the trials of smaller number they determine the proposal.",
    )
    stage: str | None = Field(default=None, max_length=63, description="The stage that it belongs to.")
    seed: int = Field(
        default=0,
        ge=0,
        le=MAX_SEEDS - 1,
        description="Which of the evaluation's seeds it trains with, from 0. Trials of the same candidates follow one "
        "another by number.",
    )
    continues: int | None = Field(
        default=None,
        ge=0,
        le=1_000_000,
        description="Number of the trial that has begun this training, where it goes on here: it draws what that one "
        "would have drawn.",
    )
    supernet: str | None = Field(
        default=None,
        max_length=1024,
        description="Checkpoint of the supernet that its candidates are judged by, or begin from.",
    )
    candidates: list[Candidate] = Field(
        min_length=1,
        max_length=MAX_CANDIDATES,
        description="The candidates, each with an id of its own.",
        json_schema_extra=WHOLE,
    )


class Result(Model):
    """The final values of one candidate."""

    candidate: str = Field(max_length=63, description="Its id.")
    step: int = Field(ge=0, le=MAX_STEP, description="The step that the values belong to, for example an epoch.")
    metrics: list[MetricValue] = Field(
        max_length=MAX_METRICS, description="The values.", json_schema_extra=keyed("name")
    )
    architecture: FreeObject | None = Field(
        default=None, description="The architecture that was found, where the candidate has none."
    )
    source: Source = Field(
        description="Where they were read: the pod's termination message is exact, else what it had shown."
    )


class FailedCandidate(Model):
    """Why one candidate has no result although its trial may have."""

    candidate: str = Field(max_length=63, description="Its id.")
    reason: str = Field(max_length=63, description="One CamelCase word for programs.")
    message: Message = Field(max_length=1024, description="What happened, for people.")


class StoppedCandidate(Model):
    """A candidate whose training was stopped early although its trial goes on."""

    candidate: str = Field(max_length=63, description="Its id.")
    epoch: int = Field(ge=1, le=1_000_000, description="The rung at which it lost.")
    message: Message = Field(max_length=1024, description="Why, for people.")


class Point(Model):
    """One point of a learning curve."""

    candidate: str = Field(max_length=63, description="The candidate's id.")
    step: int = Field(ge=0, le=MAX_STEP, description="The step, for example an epoch.")
    metrics: list[MetricValue] = Field(
        max_length=MAX_OBJECTIVES + 1,
        description="The values of the objectives; and epoch, the epochs that are done, where steps count something "
        "else.",
        json_schema_extra=keyed("name"),
    )


class ClassSeconds(Model):
    """How long pods of one price class have run."""

    price_class: Name = Field(description="The class.")
    seconds: float = Field(ge=0, description="The time, of all of them together.")


class Failure(Model):
    """Why an attempt failed."""

    attempt: int = Field(ge=1, description="Which attempt.")
    reason: str = Field(max_length=1024, description="One CamelCase word for programs.")
    message: Message = Field(max_length=4096, description="What happened, for people.")
    time: Time = Field(description="When.")


class MeasurementFailure(Model):
    """Why a measurement failed."""

    reason: str = Field(max_length=63, description="One CamelCase word for programs.")
    message: Message = Field(max_length=200, description="What happened, for people.")
    time: Time = Field(description="When.")


class Measurement(Model):
    """One objective of one candidate that is measured on a device."""

    candidate: str = Field(max_length=63, description="The candidate's id.")
    metric: MetricName = Field(description="The objective's metric.")
    queued_time: Time = Field(description="When its training had ended.")
    attempt: int = Field(default=1, ge=1, description="The attempt that runs or ran last, from 1: a pod each.")
    failures: int = Field(default=0, ge=0, description="Attempts that failed; disrupted ones do not count.")
    seconds: float = Field(default=0.0, ge=0, description="How long the pods of its ended attempts have run.")
    node: str | None = Field(default=None, max_length=253, description="The node that has measured it.")
    completion_time: Time | None = Field(default=None, description="When it was measured, or given up.")
    last_failure: MeasurementFailure | None = Field(
        default=None, description="Why the last attempt failed; of one that was given up, why it has no value."
    )


class TrialStatus(Model):
    """How the trial goes; written by the operator only."""

    phase: Phase | None = Field(default=None, description="One word for people; programs read conditions.")
    conditions: list[Condition] = Field(
        default_factory=list, max_length=8, description="Finished.", json_schema_extra=keyed("type")
    )
    attempt: int = Field(default=1, ge=1, description="The attempt that runs or ran last, from 1.")
    failures: int = Field(default=0, ge=0, description="Attempts that failed; disrupted ones do not count.")
    pod: str | None = Field(default=None, max_length=253, description="The pod of this attempt.")
    node: str | None = Field(default=None, max_length=253, description="The node that it runs or ran on.")
    disruption: str | None = Field(
        default=None,
        max_length=1024,
        description="Why the cluster takes this attempt's pod away; it is then retried and not counted as a failure.",
    )
    start_time: Time | None = Field(default=None, description="When this attempt's pod began to run.")
    completion_time: Time | None = Field(default=None, description="When the trial ended.")
    disruptions: int = Field(
        default=0,
        ge=0,
        description="Attempts whose pods the cluster took away; by them trialTemplate.alternatives are chosen.",
    )
    price_class: Name | None = Field(default=None, description="What this attempt's hours count as in budget.prices.")
    gpus: float | None = Field(default=None, ge=0, description="GPUs that this attempt's devices count for.")
    gpu_seconds: float = Field(
        default=0.0, ge=0, description="GPU seconds of ended attempts, and of those to measure its candidates."
    )
    class_seconds: list[ClassSeconds] = Field(
        default_factory=list,
        max_length=MAX_CLASSES,
        description="Seconds that pods of ended attempts, and of those to measure its candidates, have run, by price "
        "class.",
        json_schema_extra=keyed("priceClass"),
    )
    order: int | None = Field(
        default=None, ge=1, description="Its number among the ended trials, in order of ending, from 1."
    )
    value: float | None = Field(
        default=None,
        description="Value of the primary objective, of its best candidate; absent where that is the score, which "
        "depends on other trials.",
    )
    results: list[Result] = Field(
        default_factory=list,
        max_length=MAX_CANDIDATES,
        description="Final values; of a trial that goes on, those of a batch that earlier attempts came to.",
        json_schema_extra=WHOLE,
    )
    failed_candidates: list[FailedCandidate] = Field(
        default_factory=list,
        max_length=MAX_CANDIDATES,
        description="Candidates without a result, as the trainer reported them; the others have theirs.",
        json_schema_extra=WHOLE,
    )
    stopped_candidates: list[StoppedCandidate] = Field(
        default_factory=list,
        max_length=MAX_TRAINED,
        description="Candidates that are stopped early while others of the trial go on; their results are what they "
        "came to.",
        json_schema_extra=keyed("candidate"),
    )
    measurements: list[Measurement] = Field(
        default_factory=list,
        max_length=MAX_MEASUREMENTS,
        description="Objectives that are measured on devices, where its training leaves its candidates a chance.",
        json_schema_extra=keyed("candidate", "metric"),
    )
    curve: list[Point] = Field(
        default_factory=list,
        max_length=MAX_CURVE_POINTS + MAX_RUNG_POINTS,
        description="A short learning curve of the objectives, with all that is known at rungs: of the last attempt, "
        "and of disrupted ones that it went on from.",
        json_schema_extra=keyed("candidate", "step"),
    )
    curve_time: Time | None = Field(default=None, description="When the learning curve was last read.")
    last_failure: Failure | None = Field(default=None, description="Why the last failed attempt failed.")


class NASTrial(Model):
    """One trial of an experiment: one pod that evaluates one or more architectures."""

    api_version: Literal["kubenas.io/v1alpha1"] = API_VERSION
    kind: Literal["NASTrial"] = "NASTrial"
    metadata: Metadata
    spec: Annotated[
        TrialSpec, Transition(cel="self == oldSelf", message="spec is immutable: a trial is never changed")
    ] = Field(description="What the trial evaluates; never changed.")
    status: TrialStatus = Field(default_factory=TrialStatus)
