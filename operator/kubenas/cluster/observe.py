"""From what the apiserver says of trials and pods to what the core knows."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError

from kubenas.api.base import Name
from kubenas.api.template import DEFAULT_CLASS
from kubenas.api.trial import TrialSpec, TrialStatus
from kubenas.cluster.client import Object
from kubenas.cluster.devices import claims, devices, unclaimed
from kubenas.cluster.names import (
    BENCHMARK,
    BENCHMARK_LABEL,
    KUEUE_MANAGED_LABEL,
    PRICE_CLASS_LABEL,
    QUEUE_ANNOTATION,
    TRAINER,
    TRIAL_LABEL,
)
from kubenas.cluster.ownership import controller_uid
from kubenas.experiment.contract import STOP_TOKEN_VARIABLE
from kubenas.experiment.state import Attempt, AttemptPhase, Fault, Trial, Waiting

_IMAGE_REASONS = frozenset({"ImagePullBackOff", "InvalidImageName", "ErrImageNeverPull", "ImageInspectError"})
_START_REASONS = frozenset({"CreateContainerConfigError", "CreateContainerError", "RunContainerError"})
# Who deletes pods of lost nodes.
_NODE_LOST = frozenset({"DeletionByTaintManager", "DeletionByPodGC"})
# The containers that decide how far a pod is.
_PROGRAMS = (TRAINER, BENCHMARK)
# Conditions that say that the cluster takes the pod away (TerminationTarget: Kueue's preemption).
_DISRUPTIONS = ("DisruptionTarget", "TerminationTarget")
# Reasons of a pod's failure that are its node's: shut down, as spot nodes are, lost, or needed for a critical pod.
_TAKEN_AWAY = {
    "Terminated": "NodeShutdown",
    "NodeShutdown": "NodeShutdown",
    "Shutdown": "NodeShutdown",
    "NodeLost": "NodeLost",
    "Preempting": "Preempting",
}
_CLASS: Final[TypeAdapter[str]] = TypeAdapter(Name)
# What is said of a container of which nobody knows how it ended, as after a restart of its node.
_UNKNOWN_ENDS = frozenset({"Unknown", "ContainerStatusUnknown"})


def version(document: Object) -> int:
    """Resource version as a number: greater is newer."""
    return int(document["metadata"].get("resourceVersion") or 0)


def trial_of(document: Object) -> Trial:
    """A NASTrial."""
    metadata = document["metadata"]
    return Trial.of(
        metadata["name"],
        TrialSpec.model_validate(document["spec"]),
        TrialStatus.model_validate(document.get("status") or {}),
        uid=metadata["uid"],
        resource_version=metadata["resourceVersion"],
    )


def attempt_of(pod: Object) -> Attempt:
    """A trial's pod. Its trainer's container decides how far it is: sidecars may go on for ever."""
    metadata, spec, status = pod["metadata"], pod["spec"], pod.get("status") or {}
    state = _state_of_trainer(status)
    terminated = state.get("terminated") or {}
    running = state.get("running") or {}
    over = status.get("phase") in ("Succeeded", "Failed")
    phase = AttemptPhase.ENDED if over or terminated else AttemptPhase.RUNNING if running else AttemptPhase.WAITING
    disruption, fault = _disruption(status, terminated), None
    benchmark = _benchmark(metadata["labels"])
    if phase is AttemptPhase.WAITING:
        fault = _start_fault(status, state)
    elif phase is AttemptPhase.ENDED and disruption is None:
        fault = _end_fault(status, terminated)
    return Attempt(
        name=metadata["name"],
        uid=metadata["uid"],
        trial=metadata["labels"][TRIAL_LABEL],
        trial_uid=controller_uid(pod, "NASTrial") or "",
        phase=phase,
        created=_seconds(metadata["creationTimestamp"]),
        waiting=_waiting(pod) if phase is AttemptPhase.WAITING else None,
        node=spec.get("nodeName"),
        address=status.get("podIP"),
        scheduled=_scheduled(status.get("conditions") or []),
        started=_optional(running.get("startedAt") or terminated.get("startedAt")),
        ended=_optional(terminated.get("finishedAt")),
        exit_code=terminated.get("exitCode"),
        message=terminated.get("message") or "",
        fault=fault,
        disruption=disruption,
        gone_by=_optional(metadata.get("deletionTimestamp")),
        lingers=phase is AttemptPhase.ENDED and not over and _others_go_on(status),
        devices=devices(spec),
        claims=claims(spec, status),
        benchmark=benchmark,
        price_class=_price_class(metadata["labels"], DEFAULT_CLASS if benchmark is None else None),
        queue=(metadata.get("annotations") or {}).get(QUEUE_ANNOTATION),
        managed=KUEUE_MANAGED_LABEL in metadata["labels"],
        token=_token(spec),
    )


def _benchmark(labels: Object) -> int | None:
    number = str(labels.get(BENCHMARK_LABEL, ""))
    return int(number) if number.isdecimal() else None


def _price_class(labels: Object, default: str | None) -> str | None:
    """What a pod's hours count as; who may change its labels may have written what is no class there."""
    try:
        return _CLASS.validate_python(labels.get(PRICE_CLASS_LABEL))
    except ValidationError:
        return default


def _token(spec: Object) -> str:
    """What the trainer knows the operator by; empty where it is told nothing."""
    trainer: Object = next((one for one in spec.get("containers") or [] if one.get("name") == TRAINER), {})
    given = (one.get("value") for one in trainer.get("env") or [] if one.get("name") == STOP_TOKEN_VARIABLE)
    return next(given, None) or ""


def _state_of_trainer(status: Object) -> Object:
    statuses = status.get("containerStatuses") or []
    return next((s.get("state") or {} for s in statuses if s.get("name") in _PROGRAMS), {})


def _others_go_on(status: Object) -> bool:
    """Whether sidecars hold the pod. A pod whose containers have all ended is over in a moment, and keeps its log."""
    statuses = status.get("containerStatuses") or []
    return any("terminated" not in (s.get("state") or {}) for s in statuses if s.get("name") not in _PROGRAMS)


def _waiting(pod: Object) -> Waiting | None:
    created, status = pod["metadata"]["creationTimestamp"], pod.get("status") or {}
    conditions = status.get("conditions") or []
    found: Object = next((one for one in conditions if one.get("type") == "PodScheduled"), {})
    # A condition that came with the pod's gates has no time.
    since = _seconds(found.get("lastTransitionTime") or created)
    if pod["spec"].get("schedulingGates"):
        return Waiting("Queued", found.get("message") or "a scheduling gate holds the pod", since)
    if found.get("status") == "True" or pod["spec"].get("nodeName"):
        return None
    # Until a scheduler looks at a pod whose gates are gone, its condition tells of them.
    if found.get("status") == "False" and found.get("reason") != "SchedulingGated":
        return Waiting("Unschedulable", found.get("message", ""), since)
    return Waiting("Unschedulable", _passed_over(pod["spec"], status), since)


def _passed_over(spec: Object, status: Object) -> str:
    """Why a pod may wait of which no scheduler says anything."""
    template = unclaimed(spec, status)
    if template is not None:
        made = f"no ResourceClaim was made of ResourceClaimTemplate {template}"
        return f"{made}: see that the namespace has it, and quota for ResourceClaims"
    if named := ", ".join(claims(spec, status).values()):
        return f"no scheduler takes it up: see that ResourceClaim {named} is there, and not being deleted"
    scheduler = spec.get("schedulerName") or "default-scheduler"
    return f"no scheduler has looked at it: see that the cluster has the one that it names, {scheduler}"


def _scheduled(conditions: list[Object]) -> float | None:
    for condition in conditions:
        if condition.get("type") == "PodScheduled" and condition.get("status") == "True":
            return _optional(condition.get("lastTransitionTime"))
    return None


def _disruption(status: Object, terminated: Object) -> Fault | None:
    """Why the cluster takes the pod away, or has done so."""
    for condition in status.get("conditions") or []:
        if condition.get("type") in _DISRUPTIONS and condition.get("status") == "True":
            reason = condition.get("reason") or "Disrupted"
            return Fault("NodeLost" if reason in _NODE_LOST else reason, condition.get("message", ""))
    # What the kubelet says without a condition.
    if status.get("phase") == "Failed" and status.get("reason") in _TAKEN_AWAY:
        return Fault(_TAKEN_AWAY[status["reason"]], status.get("message", ""))
    if terminated.get("reason") in _UNKNOWN_ENDS:
        return Fault("ContainerLost", terminated.get("message", ""))
    return None


def _start_fault(status: Object, state: Object) -> Fault | None:
    """Why the trainer cannot start: its own container, or one that comes before it."""
    before = [(f"init container {s.get('name')}: ", s.get("state") or {}) for s in _init_statuses(status)]
    for of, one in (*before, ("", state)):
        waiting = one.get("waiting") or {}
        reason, message = waiting.get("reason", ""), waiting.get("message", "")
        if reason in _IMAGE_REASONS:
            return Fault("ImagePullFailed", of + (message or f"the image cannot be pulled ({reason})"))
        if reason in _START_REASONS:
            return Fault("ContainerNotStarted", f"{of}{reason}: {message}")
    return None


def _end_fault(status: Object, terminated: Object) -> Fault | None:
    """What only the cluster knows of a failure."""
    if terminated.get("reason") == "OOMKilled":
        return Fault("OutOfMemory", "the trainer used more memory than its limit: raise resources.limits.memory")
    if status.get("reason") == "DeadlineExceeded":
        return Fault("Timeout", "the pod ran longer than its activeDeadlineSeconds")
    if status.get("reason") == "Evicted":
        # Without a condition that the node was short of it: the pod took more than its own limits.
        return Fault("Evicted", status.get("message", ""))
    if status.get("reason") and not terminated:
        return Fault("PodRejected", f"{status['reason']}: {status.get('message', '')}")
    if status.get("phase") == "Failed" and not terminated:
        for one in _init_statuses(status):
            ended = (one.get("state") or {}).get("terminated") or {}
            if ended.get("exitCode"):
                how = f"init container {one.get('name')} exited with {ended['exitCode']}"
                return Fault("InitContainerFailed", f"{how}: {ended['message']}" if ended.get("message") else how)
    return None


def _init_statuses(status: Object) -> list[Object]:
    return status.get("initContainerStatuses") or []


def _optional(text: Any) -> float | None:
    return _seconds(text) if text else None


def _seconds(text: str) -> float:
    return datetime.fromisoformat(text).timestamp()
