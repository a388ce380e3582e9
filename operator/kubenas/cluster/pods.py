"""The pod of one attempt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from kubenas.api.base import API_VERSION, duration_seconds
from kubenas.api.experiment import NASExperiment
from kubenas.api.trial import TrialSpec
from kubenas.cluster.names import (
    ATTEMPT_LABEL,
    EXPERIMENT_LABEL,
    EXPERIMENT_UID_LABEL,
    KUEUE_GATE,
    MANAGED_BY,
    PRICE_CLASS_LABEL,
    QUEUE_ANNOTATION,
    TRAINER,
    TRIAL_LABEL,
)
from kubenas.experiment.admission import queue_labels, queue_of
from kubenas.experiment.contract import (
    CHECKPOINT_VARIABLE,
    DATA_VARIABLE,
    METRICS_PORT,
    SCRAPE_LIMIT_VARIABLE,
    STOP_TOKEN_VARIABLE,
    TRIAL_VARIABLE,
    escaped,
    trial_document,
)
from kubenas.experiment.merge import merged
from kubenas.experiment.placeholders import substitute
from kubenas.experiment.stages import ResolvedStage
from kubenas.experiment.state import Trial

# The user of the trial image; fsGroup gives it the volumes.
_USER = 65532
RESTRICTED_POD = {
    "runAsNonRoot": True,
    "runAsUser": _USER,
    "runAsGroup": _USER,
    "fsGroup": _USER,
    "seccompProfile": {"type": "RuntimeDefault"},
}
RESTRICTED_CONTAINER = {
    "allowPrivilegeEscalation": False,
    "capabilities": {"drop": ["ALL"]},
    "readOnlyRootFilesystem": True,
}
_CHECKPOINTS = "/checkpoints"
_DATA = "/data"
_GRACE_SECONDS = 60
# A bound, not a reservation: what is used counts as memory of the container.
_SHARED_MEMORY = "8Gi"


@dataclass(frozen=True, slots=True)
class PodDefaults:
    """What a trial's pod is made of where the experiment's template says nothing."""

    image: str
    gpu_resource: str = "nvidia.com/gpu"


def trial_manifest(experiment: NASExperiment, name: str, spec: TrialSpec) -> dict[str, Any]:
    """The NASTrial to create."""
    return {
        "apiVersion": API_VERSION,
        "kind": "NASTrial",
        "metadata": {
            "name": name,
            "namespace": experiment.metadata.namespace,
            "labels": {
                **MANAGED_BY,
                EXPERIMENT_LABEL: experiment.metadata.name,
                EXPERIMENT_UID_LABEL: experiment.metadata.uid,
            },
            "ownerReferences": [owner_reference("NASExperiment", experiment.metadata.name, experiment.metadata.uid)],
        },
        "spec": spec.dump(),
    }


def pod_manifest(
    experiment: NASExperiment, stage: ResolvedStage, trial: Trial, defaults: PodDefaults, token: str
) -> dict[str, Any]:
    """The pod to create for the trial's current attempt: restricted by default, the user's template over it.

    `token` is a secret of the attempt, by which the operator proves itself to its trainer.
    """
    disruptions = trial.status.disruptions
    patches, queue = experiment.spec.trial_template.after(disruptions), queue_of(experiment.spec, disruptions)
    document = trial_document(experiment.metadata.name, experiment.spec, stage, trial, checkpoints_at(experiment))
    spec = _pod_spec(
        experiment, defaults, trial, document, token if stage.rungs and len(trial.candidates) > 1 else None
    )
    for patch in patches:
        spec = merged(spec, substitute(patch.spec, trial.candidates))
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": trial.attempt_name,
            "namespace": experiment.metadata.namespace,
            "labels": {
                **{key: value for patch in patches for key, value in patch.metadata.labels.items()},
                **MANAGED_BY,
                **queue_labels(experiment.spec, disruptions),
                EXPERIMENT_LABEL: experiment.metadata.name,
                EXPERIMENT_UID_LABEL: experiment.metadata.uid,
                TRIAL_LABEL: trial.name,
                ATTEMPT_LABEL: str(trial.status.attempt),
                PRICE_CLASS_LABEL: patches[-1].price_class,
            },
            "annotations": {
                # A trial is cheaper to wait for than to repeat.
                "cluster-autoscaler.kubernetes.io/safe-to-evict": "false",
                "karpenter.sh/do-not-disrupt": "true",
                **{key: value for patch in patches for key, value in patch.metadata.annotations.items()},
                **({QUEUE_ANNOTATION: queue} if queue else {}),
            },
            "ownerReferences": [owner_reference("NASTrial", trial.name, trial.uid)],
        },
        "spec": spec,
    }


def _pod_spec(
    experiment: NASExperiment, defaults: PodDefaults, trial: Trial, document: str, token: str | None
) -> dict[str, Any]:
    # Prometheus scrapes the port that is called metrics.
    port = "results" if trial.is_batch else "metrics"
    waits = [{"name": SCRAPE_LIMIT_VARIABLE, "value": str(_scrape_limit(experiment))}] if trial.is_batch else []
    proof = [] if token is None else [{"name": STOP_TOKEN_VARIABLE, "value": token}]
    volume, mount, credentials = storage_parts(experiment)
    # Kueue adds it too: where it does not serve pods, they must not run beside the quota.
    queued = queue_of(experiment.spec, trial.status.disruptions) is not None
    gates = {"schedulingGates": [{"name": KUEUE_GATE}]} if queued else {}
    return {
        **gates,
        "restartPolicy": "Never",
        "automountServiceAccountToken": False,
        "enableServiceLinks": False,
        "terminationGracePeriodSeconds": _GRACE_SECONDS,
        "securityContext": RESTRICTED_POD,
        "containers": [
            {
                "name": TRAINER,
                "image": defaults.image,
                "env": [
                    {"name": TRIAL_VARIABLE, "value": escaped(document)},
                    {"name": CHECKPOINT_VARIABLE, "value": f"{checkpoints_at(experiment)}/{trial.name}"},
                    {"name": DATA_VARIABLE, "value": _DATA},
                    {"name": "HOME", "value": "/tmp"},  # noqa: S108 - the pod's own emptyDir
                    *waits,
                    *proof,
                ],
                **credentials,
                "ports": [{"name": port, "containerPort": METRICS_PORT}],
                "resources": {"limits": {defaults.gpu_resource: 1}},
                "securityContext": RESTRICTED_CONTAINER,
                # The end of the log says why a trainer without a message has failed.
                "terminationMessagePolicy": "FallbackToLogsOnError",
                "volumeMounts": [
                    {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
                    {"name": "shm", "mountPath": "/dev/shm"},  # noqa: S108
                    mount,
                ],
            }
        ],
        "volumes": [
            {"name": "tmp", "emptyDir": {}},
            # The runtime's own has 64 MB, which ends readers (a bus error) and NCCL.
            {"name": "shm", "emptyDir": {"medium": "Memory", "sizeLimit": _SHARED_MEMORY}},
            volume,
        ],
    }


def storage_parts(experiment: NASExperiment) -> tuple[dict[str, Any], dict[str, Any], dict[str, Any]]:
    """What a pod reaches checkpoints by: its volume, the mount of its container, and more fields of that."""
    storage = experiment.spec.storage
    volume: dict[str, Any] = {"name": "checkpoints"}
    mount = {"name": "checkpoints", "mountPath": _CHECKPOINTS}
    if storage and storage.volume_claim:
        volume["persistentVolumeClaim"] = {"claimName": storage.volume_claim}
        mount["subPath"] = _own_folder(experiment)
    else:
        volume["emptyDir"] = {}
    # Of the bucket alone: what is in `env` cannot be changed by it.
    credentials = {"envFrom": [{"secretRef": {"name": storage.secret}}]} if storage and storage.secret else {}
    return volume, mount, credentials


def _own_folder(experiment: NASExperiment) -> str:
    """Others share the claim or the bucket, as may a deleted experiment of the same name have done."""
    return f"{experiment.metadata.name}-{experiment.metadata.uid[:8]}"


def checkpoints_at(experiment: NASExperiment) -> str:
    """Where the folders of all its trials are, as a trial sees it."""
    storage = experiment.spec.storage
    return f"{storage.url}/{_own_folder(experiment)}" if storage and storage.url else _CHECKPOINTS


def _scrape_limit(experiment: NASExperiment) -> int:
    """How long a batch's pod shows its results at most: until two readings may have failed."""
    return 60 + 3 * duration_seconds(experiment.spec.metrics.interval)


def owner_reference(kind: str, name: str, uid: str) -> dict[str, Any]:
    """The reference of what belongs to that object, and goes with it."""
    return {"apiVersion": API_VERSION, "kind": kind, "name": name, "uid": uid, "controller": True}
