"""NASExperiment: what a user asks for, and how far it has come."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Final, Literal

from pydantic import Field

from kubenas.api.base import API_VERSION, Duration, Metadata, Model, Ruled
from kubenas.api.budget import Budget
from kubenas.api.evaluation import MAX_CANDIDATES, Evaluation
from kubenas.api.fidelity import Fidelity
from kubenas.api.objective import MAX_OBJECTIVES, Objective
from kubenas.api.queue import QueueObjectName
from kubenas.api.rule import ItemRule, Rule, Transition, Unique
from kubenas.api.search import Search
from kubenas.api.space import SearchSpace
from kubenas.api.stage import MAX_STAGES, STAGE_RULES, Stage
from kubenas.api.status import MAX_WARM_STARTS, ExperimentStatus
from kubenas.api.storage import Storage
from kubenas.api.task import Task
from kubenas.api.template import TrialTemplate

# A pod is named EXPERIMENT-NUMBER-ATTEMPT, and its name must fit in a label's 63 characters.
MAX_NAME_LENGTH: Final = 52
_DNS_LABEL: Final = "[a-z0-9]([-a-z0-9]*[a-z0-9])?"


def _immutable(field: str, why: str, cel: str = "self == oldSelf") -> Transition:
    return Transition(cel=cel, message=f"{field} is immutable: {why}; start a new experiment")


class Autoscale(Ruled):
    """How many trials run at the same time follows the nodes that there are for them."""

    rules: ClassVar[Sequence[Rule[Autoscale]]] = [
        Rule(
            cel="self.min <= self.max",
            subject="min",
            message="is greater than max: lower it, or raise max",
            field="min",
            holds=lambda autoscale: autoscale.min <= autoscale.max,
        )
    ]

    min: int = Field(default=1, ge=1, le=10_000, description="Slots that there are even while no node is to be had.")
    max: int = Field(ge=1, le=10_000, description="Trials that run at the same time at most.")
    max_pending: int = Field(
        default=1,
        ge=1,
        le=1000,
        description="Pods that wait for a node at most, which a cluster autoscaler adds nodes for, or for their queue.",
    )


class Trials(Model):
    """How many trials, and what happens when one fails."""

    max: int = Field(default=100, ge=1, le=100_000, description="Trials in the whole search.")
    parallelism: int = Field(
        default=1,
        ge=0,
        le=10_000,
        description="Trials that run at the same time; 0 pauses. What kubectl scale and a HorizontalPodAutoscaler set. "
        "With autoscale, only whether it is 0 counts.",
    )
    autoscale: Autoscale | None = Field(
        default=None, description="Has the operator follow the cluster, in place of parallelism."
    )
    scale_down: Literal["Finish", "Pause"] = Field(
        default="Finish",
        description="What happens when more trials run than may: Finish starts no others until enough have ended; "
        "Pause stops the newest ones, which go on from their checkpoints once there are slots, and counts no failure.",
    )
    max_failures: int = Field(
        default=20, ge=0, le=100_000, description="The experiment fails once more trials than this have failed."
    )
    retries: int = Field(
        default=3, ge=0, le=100, description="Further attempts after a failed one. Disrupted pods do not count."
    )
    timeout: Duration | None = Field(default=None, description="Longest run time of one attempt, for example 2h.")
    candidates_per_trial: int | None = Field(
        default=None,
        ge=1,
        le=MAX_CANDIDATES,
        description="Architectures that one pod evaluates, one after another: 1 if absent, 64 where evaluation.method "
        "is zero-cost or supernet; others have at most 16.",
    )

    @property
    def most_at_once(self) -> int:
        """Trials that may run at the same time, whatever the cluster has."""
        return self.autoscale.max if self.autoscale is not None and self.parallelism else self.parallelism


class WarmStart(Model):
    """An experiment whose results are known to the search from its beginning."""

    experiment: str = Field(
        min_length=1,
        max_length=MAX_NAME_LENGTH,
        description="Name of an experiment in the same namespace with the same searchSpace; to kubenas run, of a state "
        "folder beside its own.",
    )


class Metrics(Model):
    """Where values of running trials are read."""

    source: Literal["Prometheus", "Pod"] = Field(
        default="Prometheus",
        description="Prometheus: one query for the whole experiment. Pod: the operator scrapes each trial's pod.",
    )
    interval: Duration = Field(default="15s", description="Time between two readings.")


class ExperimentSpec(Ruled):
    """What is searched, how, and for how long."""

    rules: ClassVar[Sequence[ItemRule[Any] | Rule[ExperimentSpec] | Unique]] = [
        Unique("objectives", "metric"),
        ItemRule[Objective](
            items="objectives",
            cel="self.exists(o, !has(o.measuredOn))",
            subject="measuredOn",
            message="is of every objective: one at least must be what trials report",
            field="measuredOn",
            holds=lambda objectives, index: index > 0 or any(one.measured_on is None for one in objectives),
        ),
        Rule(
            cel="has(self.storage) || !self.objectives.exists(o, has(o.measuredOn))",
            subject="storage",
            message="is required by objectives with measuredOn, as devices read the exported networks from there",
            field="storage",
            holds=lambda spec: spec.storage is not None or all(one.measured_on is None for one in spec.objectives),
        ),
        *STAGE_RULES,
        Unique("stages", "name"),
        Unique("warmStart", "experiment"),
        Rule(
            cel="(!has(self.budget.cost) && self.budget.prices.size() == 0) || "
            "(self.trialTemplate.priceClass in self.budget.prices && "
            "self.trialTemplate.alternatives.all(a, a.priceClass in self.budget.prices) && "
            "self.objectives.all(o, !has(o.measuredOn) || !has(o.measuredOn.priceClass) || "
            "o.measuredOn.priceClass in self.budget.prices))",
            subject="budget.prices",
            message="must have a price for the priceClass of trialTemplate (default if absent), and for those of "
            "its alternatives and of measuredOn",
            field="budget.prices",
            holds=lambda spec: (
                (spec.budget.cost is None and not spec.budget.prices)
                or all(name in spec.budget.prices for name in spec.price_classes)
            ),
        ),
        Rule(
            cel="!has(self.workloadPriorityClass) || has(self.queueName) || "
            "self.trialTemplate.alternatives.exists(a, has(a.queueName))",
            message="has no meaning without queueName: remove it, or name a queue",
            subject="workloadPriorityClass",
            field="workloadPriorityClass",
            holds=lambda spec: (
                spec.workload_priority_class is None
                or spec.queue_name is not None
                or any(one.queue_name is not None for one in spec.trial_template.alternatives)
            ),
        ),
    ]

    objectives: Annotated[
        list[Objective],
        # The equality of keyed lists overlooks their order, and the first objective is the primary one.
        _immutable(
            "objectives",
            "past trials were judged by it",
            cel="self == oldSelf && self.map(o, o.metric) == oldSelf.map(o, o.metric)",
        ),
    ] = Field(
        min_length=1,
        max_length=MAX_OBJECTIVES,
        description="What is improved; the first is the primary one, by which the best is chosen.",
    )
    task: Annotated[Task, _immutable("task", "past trials learned it")] = Field(description="What each trial learns.")
    search_space: Annotated[SearchSpace, _immutable("searchSpace", "past trials belong to it")] = Field(
        description="The architectures to choose from."
    )
    search: Search = Field(default_factory=Search, description="Which architecture is tried next.")
    evaluation: Annotated[Evaluation, _immutable("evaluation", "past trials were judged by it")] = Field(
        default_factory=Evaluation, description="How an architecture is judged."
    )
    fidelity: Annotated[Fidelity, _immutable("fidelity", "past trials were stopped by it")] = Field(
        default_factory=Fidelity,
        description="How far candidates are trained before they are judged or stopped, in stages with "
        "evaluation.method train.",
    )
    stages: Annotated[
        list[Stage],
        _immutable(
            "stages",
            "past trials were run by it",
            cel="self == oldSelf && self.map(s, s.name) == oldSelf.map(s, s.name)",
        ),
    ] = Field(
        default_factory=list,
        max_length=MAX_STAGES,
        description="Stages that follow one another, each with its own search, evaluation and number of trials. "
        "The first one searches; a later one takes what the one before has kept, or searches with what is known by "
        "then. Each is judged by the objectives that its method measures; the last one must measure all. Before one "
        "that judges by a supernet, one trial trains that, in a stage called NAME-supernet. Without stages the whole "
        "experiment is one.",
    )
    trials: Trials = Field(default_factory=Trials, description="How many trials, and what happens when one fails.")
    warm_start: Annotated[list[WarmStart], _immutable("warmStart", "past trials were proposed with it")] = Field(
        default_factory=list,
        max_length=MAX_WARM_STARTS,
        description="Results that are known to the search from its beginning: of each experiment, those of its stage "
        "with the most. They are recorded in the status when the search begins.",
    )
    budget: Budget = Field(default_factory=Budget, description="When to stop, whatever has been found.")
    metrics: Metrics = Field(default_factory=Metrics, description="Where values of running trials are read.")
    storage: (
        Annotated[
            Storage,
            _immutable(
                "the place of storage",
                "trials go on from the checkpoints of past ones there",
                cel="has(self.url) == has(oldSelf.url) && (!has(self.url) || self.url == oldSelf.url) && "
                "(!has(self.volumeClaim) || !has(oldSelf.volumeClaim) || self.volumeClaim == oldSelf.volumeClaim)",
            ),
        ]
        | None
    ) = Field(default=None, description="Where checkpoints live.")
    queue_name: QueueObjectName | None = Field(
        default=None,
        description="LocalQueue of Kueue in the experiment's namespace that each trial's pod goes through, where no "
        "alternative of trialTemplate names another. A change holds for pods that are not admitted yet, and for all "
        "later ones.",
    )
    workload_priority_class: QueueObjectName | None = Field(
        default=None,
        description="WorkloadPriorityClass of Kueue, by which trials are admitted before others and may preempt them; "
        "the pods' own priorityClassName if absent.",
    )
    trial_template: TrialTemplate = Field(
        default_factory=TrialTemplate, description="Pod template merged over the operator's own."
    )
    suspend: bool = Field(
        default=False, description="Stop the running trials and start none until it is false again; results stay."
    )
    ttl_seconds_after_finished: int | None = Field(
        default=None, ge=0, le=2**31 - 1, description="Delete the experiment this long after its end; never if absent."
    )

    @property
    def price_classes(self) -> set[str]:
        """What the hours of its pods count as."""
        devices = (one.measured_on.price_class for one in self.objectives if one.measured_on is not None)
        return {one.price_class for one in self.trial_template.all} | {name for name in devices if name is not None}


class NASExperiment(Ruled):
    """A neural architecture search: many trials, one best architecture."""

    rules: ClassVar[Sequence[Rule[NASExperiment]]] = [
        Rule(
            cel=f"self.metadata.name.size() <= {MAX_NAME_LENGTH} && self.metadata.name.matches('^{_DNS_LABEL}$')",
            subject="metadata.name",
            message=f"must be at most {MAX_NAME_LENGTH} lower case letters, digits and hyphens, "
            "with no hyphen at its ends",
            field="metadata.name",
            holds=lambda experiment: (
                len(experiment.metadata.name) <= MAX_NAME_LENGTH
                and re.fullmatch(_DNS_LABEL, experiment.metadata.name) is not None
            ),
        )
    ]

    api_version: Literal["kubenas.io/v1alpha1"] = API_VERSION
    kind: Literal["NASExperiment"] = "NASExperiment"
    metadata: Metadata
    spec: ExperimentSpec
    status: ExperimentStatus = Field(default_factory=ExperimentStatus)
