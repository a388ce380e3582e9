"""What an experiment says of its trials' pods, and what becomes of them once they are disrupted."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Final

from pydantic import Field

from kubenas.api.base import FreeObject, LabelValue, Model, Name, Ruled
from kubenas.api.queue import QueueObjectName
from kubenas.api.rule import Unique

AnnotationValue = Annotated[str, Field(max_length=65_536)]

MAX_ALTERNATIVES: Final = 8
DEFAULT_CLASS: Final = "default"


class TemplateMetadata(Model):
    """Labels and annotations added to each trial's pod."""

    labels: dict[str, LabelValue] = Field(
        default_factory=dict, max_length=64, description="Labels, for example team: vision."
    )
    annotations: dict[str, AnnotationValue] = Field(default_factory=dict, max_length=64, description="Annotations.")


class Alternative(Model):
    """What is merged over the template once the cluster has taken a trial's pods away."""

    after_disruptions: int = Field(
        ge=1,
        le=1000,
        description="How many of the trial's pods were taken away by then: drained, preempted, on a spot node that was "
        "taken back, or lost with their node. Of several alternatives the one with the most that have come holds.",
    )
    price_class: Name = Field(default=DEFAULT_CLASS, description="What the pod's hours count as in budget.prices.")
    queue_name: QueueObjectName | None = Field(
        default=None, description="LocalQueue of Kueue that the pods go through; the experiment's queueName if absent."
    )
    metadata: TemplateMetadata = Field(
        default_factory=TemplateMetadata, description="Labels and annotations, over the template's."
    )
    spec: FreeObject = Field(default_factory=dict, description="Part of a PodSpec, merged over the template's.")


class TrialTemplate(Ruled):
    """A pod template that is merged over the operator's own (strategic merge: containers by name)."""

    rules: ClassVar[Sequence[Unique]] = [Unique("alternatives", "afterDisruptions")]

    price_class: Name = Field(
        default=DEFAULT_CLASS, description="What the pods' hours count as in budget.prices, for example spot."
    )
    metadata: TemplateMetadata = Field(default_factory=TemplateMetadata, description="Labels and annotations.")
    spec: FreeObject = Field(
        default_factory=dict,
        description="Part of a PodSpec. The trainer's container is called trainer: give its image, resources, "
        "args or env there; nodeSelector, tolerations and all else as in any pod.",
    )
    alternatives: list[Alternative] = Field(
        default_factory=list,
        max_length=MAX_ALTERNATIVES,
        description="Other pods for trials whose pods were taken away, for example on-demand nodes after spot nodes.",
    )

    def after(self, disruptions: int) -> Sequence[TrialTemplate | Alternative]:
        """What pods are made by after so many disruptions: the template, and the alternative over it if one holds."""
        come = [one for one in self.alternatives if one.after_disruptions <= disruptions]
        return [self, *sorted(come, key=lambda one: one.after_disruptions)[-1:]]

    @property
    def all(self) -> Sequence[TrialTemplate | Alternative]:
        """The template and its alternatives."""
        return [self, *self.alternatives]
