"""How far an experiment has come; written by the operator only."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Final, Literal

from pydantic import Field

from kubenas.api.base import ArchitectureName, Condition, FreeObject, MetricValue, Model, Name, Time
from kubenas.api.objective import MAX_OBJECTIVES
from kubenas.api.rule import keyed
from kubenas.api.trial import MAX_CLASSES, MAX_RUNGS, Source

MAX_FRONT: Final = 32
MAX_FINALISTS: Final = 16
MAX_WARM_STARTS: Final = 4


class Counts(Model):
    """Trials by phase."""

    pending: int = Field(default=0, ge=0, description="Trials whose pod does not run yet.")
    queued: int = Field(default=0, ge=0, description="Of the pending ones, those whose pod a queue holds.")
    running: int = Field(default=0, ge=0, description="Trials whose pod runs.")
    measuring: int = Field(default=0, ge=0, description="Trials that wait for devices to measure their candidates.")
    succeeded: int = Field(default=0, ge=0, description="Trials with a result.")
    paused: int = Field(
        default=0, ge=0, description="Of the succeeded ones, those whose candidate waits at a rung to be promoted."
    )
    pruned: int = Field(default=0, ge=0, description="Trials stopped before their end.")
    failed: int = Field(default=0, ge=0, description="Trials that failed for good.")


class Measured(MetricValue):
    """A metric of a candidate, over all its trainings."""

    value: float = Field(description="In the metric's own unit; the mean where there were several trainings.")
    spread: float | None = Field(
        default=None, ge=0, description="Standard deviation over the trainings, where there were several."
    )


class Best(Model):
    """A candidate that stands out, with what is known of it."""

    trial: str = Field(max_length=253, description="Name of its trial; of several, of the first with a result.")
    candidate: str = Field(max_length=63, description="Which candidate of the trial.")
    value: float = Field(description="Its value of the primary objective.")
    seeds: int | None = Field(
        default=None, ge=1, description="Trainings with a result, where evaluation.seeds asks for several."
    )
    source: Source | None = Field(default=None, description="Where its values were read, as in its trial's results.")
    name: ArchitectureName
    architecture: FreeObject = Field(description="The architecture, decision by decision.")
    metrics: list[Measured] = Field(max_length=64, description="All its metrics.", json_schema_extra=keyed("name"))


class ImportedResult(Model):
    """A result that was known before the search began."""

    trial: str = Field(max_length=253, description="The trial that it is of.")
    candidate: str = Field(max_length=63, description="Which candidate of the trial.")
    architecture: FreeObject = Field(description="The architecture, decision by decision.")
    metrics: list[MetricValue] = Field(
        max_length=MAX_OBJECTIVES, description="Its objectives.", json_schema_extra=keyed("name")
    )


class Imported(Model):
    """The results that another experiment has brought, as it was when this one began."""

    experiment: str = Field(max_length=253, description="Its name.")
    uid: str = Field(default="", max_length=63, description="Its uid.")
    results: list[ImportedResult] = Field(
        max_length=256, description="Its results, the best first.", json_schema_extra=keyed("trial", "candidate")
    )
    left_out: list[Annotated[str, Field(max_length=512)]] = Field(
        default_factory=list,
        max_length=16,
        description="What is wrong with trials of it that could not be read, and so brought nothing.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )


def imported_bytes(results: Sequence[ImportedResult]) -> int:
    """What results take in a status, as JSON."""
    return sum(len(json.dumps(result.dump())) + 1 for result in results)


class Rung(Model):
    """How many candidates have come to a rung from which the best are promoted."""

    epochs: int = Field(ge=1, description="Epochs after which it is.")
    reached: int = Field(ge=0, description="Candidates that have come to it.")
    paused: int = Field(
        ge=0, description="Of these, those that wait there: each goes on once it is among the best of fidelity.eta."
    )


class ClassCost(Model):
    """What the pods of one price class have taken."""

    price_class: Name = Field(description="A priceClass of trialTemplate, its alternatives, or measuredOn.")
    hours: float = Field(ge=0, description="Hours that its pods have run.")
    cost: float | None = Field(default=None, ge=0, description="What they cost by budget.prices.")


class Cost(Model):
    """What has been spent by ended and running pods; written a few minutes late while they run."""

    gpu_hours: float = Field(default=0.0, ge=0, description="GPU hours, as budget.gpuHours counts them.")
    total: float | None = Field(default=None, ge=0, description="What it costs by budget.prices, where there are any.")
    classes: list[ClassCost] = Field(
        default_factory=list,
        max_length=MAX_CLASSES,
        description="By price class.",
        json_schema_extra=keyed("priceClass"),
    )


class ExperimentStatus(Model):
    """How far the experiment has come; written by the operator only."""

    observed_generation: int | None = Field(
        default=None, ge=0, description="The generation of the specification that was last acted on."
    )
    phase: Literal["Running", "Suspended", "Succeeded", "Failed", "Rejected"] | None = Field(
        default=None, description="One word for people; programs read conditions."
    )
    conditions: list[Condition] = Field(
        default_factory=list,
        max_length=16,
        description="Accepted, Running, MetricsAvailable, ProposalsAvailable, Reconciled, TrialsAdmitted, "
        "TrialsScheduled, Generalizes, Suspended, Succeeded, Failed; of cheap ways to judge ProxyUseful, "
        "RankingReliable, Converged; of objectives with measuredOn DevicesAvailable.",
        json_schema_extra=keyed("type"),
    )
    start_time: Time | None = Field(default=None, description="When the first trial was started.")
    completion_time: Time | None = Field(default=None, description="When the experiment ended.")
    progress: str | None = Field(default=None, max_length=32, description="Ended trials of all, for example 3/8.")
    counts: Counts | None = Field(default=None, description="Trials by phase.")
    best: Best | None = Field(
        default=None,
        description="The best so far of the last stage with results: within every limit, by the primary objective.",
    )
    pareto_front: list[Best] = Field(
        default_factory=list,
        max_length=MAX_FRONT,
        description="With several objectives: the architectures that no other one is better than in all of them, the "
        "best by the primary objective first; at most 32, spread evenly.",
        json_schema_extra=keyed("trial", "candidate"),
    )
    finalists: list[Best] = Field(
        default_factory=list,
        max_length=MAX_FINALISTS,
        description="Where the last stage trains its candidates with several seeds: its candidates, the best first; at "
        "most 16.",
        json_schema_extra=keyed("trial", "candidate"),
    )
    warm_start: list[Imported] = Field(
        default_factory=list,
        max_length=MAX_WARM_STARTS,
        description="What spec.warmStart has brought: with it and the trials, every proposal can be repeated.",
        json_schema_extra=keyed("experiment"),
    )
    hypervolume: float | None = Field(
        default=None, description="Hypervolume of the front, where each objective that is traded off has a reference."
    )
    stage: str | None = Field(default=None, max_length=63, description="The stage that now runs.")
    rungs: list[Rung] = Field(
        default_factory=list,
        max_length=MAX_RUNGS,
        description="Where fidelity promotes candidates from rung to rung: the rungs of the stage that now runs.",
        json_schema_extra=keyed("epochs"),
    )
    slots: int | None = Field(
        default=None, ge=0, description="Trials that may run at the same time now, where trials.autoscale decides it."
    )
    cost: Cost | None = Field(default=None, description="What has been spent.")
    checkpoints_removed: int | None = Field(
        default=None, ge=0, description="Trials whose checkpoints were removed, as storage.keep asks for."
    )
    selector: str | None = Field(
        default=None, max_length=1024, description="Label selector of the trials' pods, for autoscalers."
    )
