"""What a node would say of a trial's pod: statuses for tests to set themselves."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.operator.api import Object

TRAINER = "trainer"


def moment(seconds_ago: float = 0) -> str:
    return _written(datetime.now(UTC) - timedelta(seconds=seconds_ago))


def results(**metrics: float) -> str:
    """A termination message with the metrics of the only candidate."""
    return json.dumps({"results": [{"candidate": "0", "step": 3, "metrics": metrics}]})


def running(seconds: float = 0) -> Object:
    """The container has run for so long."""
    return {"phase": "Running", "containerStatuses": [_container({"running": {"startedAt": moment(seconds)}})]}


def waiting(reason: str, message: str) -> Object:
    """The container cannot start."""
    state = {"waiting": {"reason": reason, "message": message}}
    return {"phase": "Pending", "containerStatuses": [_container(state)]}


def exited(code: int, message: str = "", reason: str | None = None, seconds: int = 0) -> Object:
    """The container has ended after so long."""
    ended = datetime.now(UTC)
    terminated = {
        "exitCode": code,
        "reason": reason or ("Error" if code else "Completed"),
        "message": message,
        "startedAt": _written(ended - timedelta(seconds=seconds)),
        "finishedAt": _written(ended),
    }
    phase = "Failed" if code else "Succeeded"
    return {"phase": phase, "containerStatuses": [_container({"terminated": terminated})]}


def beside(status: Object, name: str) -> Object:
    """The same with a sidecar that goes on."""
    sidecar = {**_container({"running": {"startedAt": moment()}}), "name": name}
    return {**status, "phase": "Running", "containerStatuses": [sidecar, *status["containerStatuses"]]}


def unschedulable(message: str, seconds: float = 61) -> Object:
    """No node has taken the pod for so long."""
    condition = {
        "type": "PodScheduled",
        "status": "False",
        "reason": "Unschedulable",
        "message": message,
        "lastTransitionTime": moment(seconds),
    }
    return {"conditions": [condition]}


def disrupted(reason: str, message: str) -> Object:
    """The cluster takes the pod away."""
    condition = {
        "type": "DisruptionTarget",
        "status": "True",
        "reason": reason,
        "message": message,
        "lastTransitionTime": moment(),
    }
    return {"conditions": [condition]}


def _written(time: datetime) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%SZ")


def _container(state: dict[str, Any]) -> Object:
    return {
        "name": TRAINER,
        "image": "image",
        "imageID": "",
        "ready": "running" in state,
        "restartCount": 0,
        "state": state,
    }
