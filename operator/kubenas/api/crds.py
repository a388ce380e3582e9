"""The CustomResourceDefinitions of NASExperiment and NASTrial."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from kubenas.api.base import GROUP, VERSION
from kubenas.api.experiment import NASExperiment
from kubenas.api.schema import structural_schema
from kubenas.api.trial import NASTrial

if TYPE_CHECKING:
    from pydantic import BaseModel


def custom_resource_definitions() -> list[dict[str, Any]]:
    """Both CRDs, each as the object that the apiserver is given."""
    experiment = _definition(
        NASExperiment,
        short_name="nas",
        columns=[
            _column("Phase", "string", ".status.phase", "One word for how the experiment goes"),
            _column("Done", "string", ".status.progress", "Ended trials of all"),
            _column("Running", "integer", ".status.counts.running", "Trials whose pod runs"),
            _column("Best", "number", ".status.best.value", "Best value of the primary objective"),
            _column("Paused", "integer", ".status.counts.paused", "Candidates that wait at a rung", priority=1),
            _column("GPU Hours", "number", ".status.cost.gpuHours", "GPU hours that were spent", priority=1),
            _column("Cost", "number", ".status.cost.total", "What was spent by budget.prices", priority=1),
            _column("Age", "date", ".metadata.creationTimestamp", "Time since it was created"),
        ],
        subresources={
            "scale": {
                "specReplicasPath": ".spec.trials.parallelism",
                "statusReplicasPath": ".status.counts.running",
                "labelSelectorPath": ".status.selector",
            }
        },
    )
    trial = _definition(
        NASTrial,
        short_name="nastrial",
        columns=[
            _column("Phase", "string", ".status.phase", "One word for how the trial goes"),
            _column("Attempt", "integer", ".status.attempt", "The attempt that runs or ran last"),
            _column("Value", "number", ".status.value", "Value of the primary objective"),
            _column("Source", "string", ".status.results[0].source", "Where the value was read", priority=1),
            _column("Failure", "string", ".status.lastFailure.reason", "Why the last failed attempt failed"),
            _column("Disruptions", "integer", ".status.disruptions", "Pods that were taken away", priority=1),
            _column("Class", "string", ".status.priceClass", "Price class of its last pod", priority=1),
            _column("Node", "string", ".status.node", "The node that it runs or ran on", priority=1),
            _column("Age", "date", ".metadata.creationTimestamp", "Time since it was created"),
        ],
        subresources={},
    )
    return [experiment, trial]


def _definition(
    model: type[BaseModel], *, short_name: str, columns: list[dict[str, Any]], subresources: dict[str, Any]
) -> dict[str, Any]:
    kind = model.__name__
    singular = kind.lower()
    plural = f"{singular}s"
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {"name": f"{plural}.{GROUP}"},
        "spec": {
            "group": GROUP,
            "names": {
                "categories": ["kubenas"],
                "kind": kind,
                "listKind": f"{kind}List",
                "plural": plural,
                "shortNames": [short_name],
                "singular": singular,
            },
            "scope": "Namespaced",
            "versions": [
                {
                    "name": VERSION,
                    "served": True,
                    "storage": True,
                    "additionalPrinterColumns": columns,
                    "subresources": {"status": {}, **subresources},
                    "schema": {"openAPIV3Schema": _resource_schema(model)},
                }
            ],
        },
    }


def _resource_schema(model: type[BaseModel]) -> dict[str, Any]:
    """The schema of a whole resource, whose first three fields are the apiserver's own business."""
    schema = structural_schema(model)
    fields = schema["properties"]
    fields["apiVersion"] = {"description": "Version of the schema of this object.", "type": "string"}
    fields["kind"] = {"description": "Kind of this object, in CamelCase.", "type": "string"}
    fields["metadata"] = {"type": "object"}
    # A default would come before the operator's first visit and make it look done.
    del fields["status"]["default"]
    schema["required"] = ["spec"]
    return schema


def _column(name: str, kind: str, path: str, description: str, priority: int = 0) -> dict[str, Any]:
    column: dict[str, Any] = {"name": name, "type": kind, "jsonPath": path, "description": description}
    return column | ({"priority": priority} if priority else {})
