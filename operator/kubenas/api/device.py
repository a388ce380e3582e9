"""Where an objective is measured: on a device of its own, by a pod that runs the exported network."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from kubenas.api.base import Duration, FreeObject, LabelValue, Model, Name

_LabelKey = Annotated[str, Field(max_length=316)]
_Argument = Annotated[str, Field(max_length=4096)]


def counts_as_device(resource: str) -> bool:
    """Whether a container's resource is a device: Kubernetes' own resources have no domain, or its own one."""
    return "/" in resource and "kubernetes.io/" not in resource


class Device(Model):
    """The nodes that a metric is measured on, and what measures it there."""

    node_selector: dict[_LabelKey, LabelValue] = Field(
        min_length=1,
        max_length=16,
        description="Labels of the nodes. Two measurements never run on one node at the same time, whosever they are.",
    )
    tolerations: list[FreeObject] = Field(
        default_factory=list,
        max_length=16,
        description="Tolerations, as in a pod: nodes that measure should be tainted, so that nothing else runs there.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    image: str | None = Field(
        default=None,
        min_length=1,
        max_length=1024,
        description="Image of the benchmark, for the node's architecture; the operator's trial image if absent.",
    )
    command: list[_Argument] | None = Field(
        default=None,
        min_length=1,
        max_length=64,
        description="The benchmark: measures the ONNX file $(KUBENAS_MODEL), and leaves one JSON object with the "
        "metric in the termination message; the trial image's own if absent.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )
    resources: FreeObject = Field(
        default_factory=dict,
        description="Resources of the benchmark's container, as in a pod, for example {limits: {nvidia.com/gpu: 1}}; "
        "half a CPU and at most 2Gi of memory if absent.",
    )
    price_class: Name | None = Field(
        default=None,
        description="What the hours of its pods count as in budget.prices; they cost nothing if absent. In "
        "budget.gpuHours counts what resources ask for.",
    )
    parallelism: int = Field(
        default=1,
        ge=1,
        le=64,
        description="Measurements of this experiment at the same time, where several nodes have the labels.",
    )
    timeout: Duration = Field(default="10m", description="Longest run time of one measurement.")
    max_wait: Duration = Field(
        default="1h",
        description="How long a measurement waits while no node takes it; then its candidate has no value.",
    )

    @property
    def asked(self) -> set[str]:
        """The devices that a measurement's pod asks for, by resource."""
        amounts = (self.resources.get(field) for field in ("limits", "requests"))
        return {name for given in amounts if isinstance(given, dict) for name in given if counts_as_device(name)}
