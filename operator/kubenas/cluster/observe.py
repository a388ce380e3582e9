"""From what the apiserver says of trials and pods to what the core knows."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any

from kubenas.api.trial import Candidate, TrialStatus
from kubenas.cluster.client import Object
from kubenas.cluster.names import TRAINER, TRIAL_LABEL
from kubenas.experiment.state import Attempt, AttemptPhase, Fault, Trial, Waiting

_IMAGE_REASONS = frozenset({"ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"})
_START_REASONS = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
# Who deletes pods of lost nodes.
_NODE_LOST = frozenset({"DeletionByTaintManager", "DeletionByPodGC"})
# Conditions that say that the cluster takes the pod away (TerminationTarget: Kueue's preemption).
_DISRUPTIONS = ("DisruptionTarget", "TerminationTarget")


def version(document: Object) -> int:
    """Resource version as a number: greater is newer."""
    return int(document["metadata"].get("resourceVersion") or 0)


def trial_of(document: Object) -> Trial:
    """A NASTrial."""
    metadata, spec = document["metadata"], document["spec"]
    return Trial(
        name=metadata["name"],
        number=spec["number"],
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
        observed=spec["observed"],
        stage=spec.get("stage"),
        candidates=tuple(Candidate.model_validate(c) for c in spec["candidates"]),
        status=TrialStatus.model_validate(document.get("status") or {}),
    )


def attempt_of(pod: Object) -> Attempt:
    """A trial's pod."""
    metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
    container = _trainer(status.get("containerStatuses") or [])
    state = container.get("state") or {}
    terminated = state.get("terminated") or {}
    running = state.get("running") or {}
    phase = _phase(status.get("phase", "Pending"), running)
    disruption = _disruption(status.get("conditions") or [])
    return Attempt(
        name=metadata["name"],
        trial=metadata["labels"][TRIAL_LABEL],
        phase=phase,
        created=_seconds(metadata["creationTimestamp"]),
        waiting=_waiting(status.get("conditions") or []) if phase is AttemptPhase.WAITING else None,
        node=spec.get("nodeName"),
        address=status.get("podIP"),
        started=_optional(running.get("startedAt") or terminated.get("startedAt")),
        ended=_optional(terminated.get("finishedAt")) if phase is AttemptPhase.ENDED else None,
        exit_code=terminated.get("exitCode"),
        message=terminated.get("message") or "",
        fault=_fault(phase, status, state, terminated, disruption),
        disruption=disruption,
        gone_by=_optional(metadata.get("deletionTimestamp")),
        gpus=_gpus(spec["containers"]),
    )


def _phase(phase: str, running: Object) -> AttemptPhase:
    if phase in ("Succeeded", "Failed"):
        return AttemptPhase.ENDED
    return AttemptPhase.RUNNING if phase == "Running" and running else AttemptPhase.WAITING


def _trainer(statuses: list[Object]) -> Object:
    return next((s for s in statuses if s.get("name") == TRAINER), statuses[0] if statuses else {})


def _waiting(conditions: list[Object]) -> Waiting | None:
    for condition in conditions:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "False":
            # Held by a scheduling gate: queued on purpose, not without a place.
            gated = condition.get("reason") == "SchedulingGated"
            return Waiting(
                "Queued" if gated else "Unschedulable",
                condition.get("message", ""),
                _seconds(condition["lastTransitionTime"]),
            )
    return None


def _disruption(conditions: list[Object]) -> Fault | None:
    for condition in conditions:
        if condition.get("type") in _DISRUPTIONS and condition.get("status") == "True":
            reason = condition.get("reason") or "Disrupted"
            message = condition.get("message", "")
            return Fault("NodeLost" if reason in _NODE_LOST else reason, message)
    return None


def _fault(
    phase: AttemptPhase, status: Object, state: Object, terminated: Object, disruption: Fault | None
) -> Fault | None:
    """What only the cluster knows of a failure."""
    waiting = state.get("waiting") or {}
    reason, message = waiting.get("reason", ""), waiting.get("message", "")
    if phase is AttemptPhase.WAITING and reason in _IMAGE_REASONS:
        return Fault("ImagePullFailed", message or f"the image cannot be pulled ({reason})")
    if phase is AttemptPhase.WAITING and reason in _START_REASONS:
        return Fault("ContainerNotStarted", f"{reason}: {message}")
    if phase is not AttemptPhase.ENDED or disruption:
        return None
    if terminated.get("reason") == "OOMKilled":
        return Fault("OutOfMemory", "the trainer used more memory than its limit: raise resources.limits.memory")
    if status.get("reason") == "DeadlineExceeded":
        return Fault("Timeout", "the pod ran longer than its activeDeadlineSeconds")
    if status.get("reason") and not terminated:
        return Fault("PodRejected", f"{status['reason']}: {status.get('message', '')}")
    return None


def _gpus(containers: Iterable[Object]) -> float:
    total = 0.0
    for container in containers:
        for resource, amount in ((container.get("resources") or {}).get("limits") or {}).items():
            if resource.endswith("/gpu") or resource.startswith("nvidia.com/mig-"):
                total += float(amount)
    return total


def _optional(text: Any) -> float | None:
    return _seconds(text) if text else None


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
