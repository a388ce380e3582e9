"""The pod that removes checkpoints, which the operator itself cannot reach."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from kubenas.api.experiment import NASExperiment
from kubenas.cluster.client import REFUSALS, ApiError, Client
from kubenas.cluster.events import announce
from kubenas.cluster.names import (
    ATTEMPT_LABEL,
    EXPERIMENT_LABEL,
    EXPERIMENT_UID_LABEL,
    MANAGED_BY,
    TRAINER,
    TRIAL_LABEL,
    pods,
)
from kubenas.cluster.ownership import controller_uid
from kubenas.cluster.pods import (
    RESTRICTED_CONTAINER,
    RESTRICTED_POD,
    PodDefaults,
    checkpoints_at,
    owner_reference,
    storage_parts,
)
from kubenas.experiment.actions import Announcement, Removal
from kubenas.experiment.merge import merged

# What of a user's template says by whom and where a pod may be run, not what it does. No node selector: a node with a
# GPU is not worth starting for it.
_OF_POD: Final = ("securityContext", "serviceAccountName", "imagePullSecrets", "tolerations")
_OF_TRAINER: Final = ("name", "envFrom", "securityContext")
_DEADLINE_SECONDS: Final = 3600


async def start_removal(client: Client, experiment: NASExperiment, removal: Removal, defaults: PodDefaults) -> None:
    """Start a pod that does it, in place of the one before: it removes what that one was to remove, too.

    Raises:
        ApiError: the apiserver refuses for a reason that may pass by itself.
    """
    namespace = experiment.metadata.namespace
    if removal.before:
        await _delete(client, experiment, removal.before)
    try:
        await client.create(pods(namespace), removal_manifest(experiment, removal, defaults), strict=True)
    except ApiError as error:
        if error.reason == "AlreadyExists":
            return
        if error.code not in REFUSALS:
            raise
        # The search goes on without it; the next one is for these trials, too.
        message = f"storage.keep: no checkpoints are removed, as their pod was refused: {error}"
        await announce(client, experiment, Announcement("Warning", "CheckpointsNotRemoved", message))


async def _delete(client: Client, experiment: NASExperiment, trials: int) -> None:
    path = pods(experiment.metadata.namespace, removal_pod_name(experiment, trials))
    try:
        there = await client.get(path)
    except ApiError as error:
        if error.code != 404:
            raise
        return
    if controller_uid(there, "NASExperiment") == experiment.metadata.uid:
        await client.delete(path, there["metadata"]["uid"])


def removal_pod_name(experiment: NASExperiment, trials: int) -> str:
    """Name of the pod that removes the checkpoints of so many trials."""
    return f"{experiment.metadata.name}-checkpoints-{trials}"


def removal_manifest(experiment: NASExperiment, removal: Removal, defaults: PodDefaults) -> dict[str, Any]:
    """The pod to create: restricted, with the experiment's own folder of the storage and nothing else.

    It has the labels of a trial's pod, so that the same network policies hold.
    """
    metadata = experiment.metadata
    template = experiment.spec.trial_template.spec
    containers = template.get("containers") or ()
    trainer: dict[str, Any] = next((one for one in containers if one.get("name") == TRAINER), {})
    ours: dict[str, Any] = {name: template[name] for name in _OF_POD if name in template}
    if trainer:
        ours["containers"] = [{name: trainer[name] for name in _OF_TRAINER if name in trainer}]
    volume, mount, credentials = storage_parts(experiment)
    base = {
        "restartPolicy": "OnFailure",
        "activeDeadlineSeconds": _DEADLINE_SECONDS,
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "securityContext": RESTRICTED_POD,
        "containers": [
            {
                "name": TRAINER,
                "image": defaults.image,
                "command": ["python", "-m", "kubenas_trial.storage.remove"],
                "args": [checkpoints_at(experiment), metadata.name, ranges(removal.trials)],
                **credentials,
                # Both, as quotas may ask for them.
                "resources": {
                    "requests": {"cpu": "100m", "memory": "128Mi"},
                    "limits": {"cpu": "1", "memory": "512Mi"},
                },
                "securityContext": RESTRICTED_CONTAINER,
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "volumeMounts": [mount],
            }
        ],
        "volumes": [volume],
    }
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": removal_pod_name(experiment, len(removal.trials)),
            "namespace": metadata.namespace,
            "labels": {
                **MANAGED_BY,
                EXPERIMENT_LABEL: metadata.name,
                EXPERIMENT_UID_LABEL: metadata.uid,
                TRIAL_LABEL: "",
                ATTEMPT_LABEL: "",
            },
            "ownerReferences": [owner_reference("NASExperiment", metadata.name, metadata.uid)],
        },
        "spec": merged(base, ours),
    }


def ranges(numbers: Sequence[int]) -> str:
    """Ascending numbers in short: `0-3,5`."""
    found: list[tuple[int, int]] = []
    for number in numbers:
        if found and number == found[-1][1] + 1:
            found[-1] = (found[-1][0], number)
        else:
            found.append((number, number))
    return ",".join(f"{first}" if first == last else f"{first}-{last}" for first, last in found)
