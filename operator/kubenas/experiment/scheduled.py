"""Whether the cluster takes the trials' pods: the condition TrialsScheduled."""

from __future__ import annotations

from collections.abc import Sequence

from kubenas.experiment.finding import Finding
from kubenas.experiment.state import Attempt

_CLAIMS = (
    "Compare the pod's resourceClaims (spec.trialTemplate) with the devices that drivers publish: `kubectl get "
    "resourceslices,deviceclasses`; where there are none, no driver serves them."
)


def scheduled(refusal: str | None, unschedulable: Sequence[Attempt], without_nodes: int) -> Finding:
    """Whether trials get nodes.

    Args:
        refusal: what the apiserver said when it refused a trial or its pod.
        unschedulable: attempts that no node has taken for a while.
        without_nodes: pods for which no node is to be had, where trials follow the cluster.
    """
    if refusal is not None:
        message = f"A trial or its pod was refused and is tried again; see spec.trialTemplate: {refusal}"
        return Finding(False, "PodRefused", message[:32768])
    if not unschedulable:
        return Finding(True, "Scheduled", "No pod waits for a node for long.")
    first = min(unschedulable, key=lambda a: a.name)
    message = first.waiting.message if first.waiting else ""
    more = len(unschedulable) - 1
    others = f" (and {more} more)" if more else ""
    said = f"No node takes pod {first.name}{others}: {message}"
    waits_for_devices = "claim" in message.lower() and bool(first.claims or "ResourceClaimTemplate" in message)
    if waits_for_devices:
        said = f"{said} {_CLAIMS}"
    if without_nodes:
        said = f"No further trials are started until there are nodes for those that wait. {said}"
        return Finding(False, "NodesUnavailable", said[:32768])
    if waits_for_devices:
        return Finding(False, "ClaimNotAllocated", said[:32768])
    return Finding(False, "Unschedulable", said[:32768])
