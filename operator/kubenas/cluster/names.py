"""Paths, labels and annotations: every name that KubeNAS uses in a cluster."""

from __future__ import annotations

from kubenas.api.base import GROUP, VERSION
from kubenas.experiment.contract import BENCHMARK, TRAINER
from kubenas.experiment.status import EXPERIMENT_LABEL

TRIAL_LABEL = "kubenas.io/trial"
ATTEMPT_LABEL = "kubenas.io/attempt"
# Of a pod that measures a candidate on a device: the number of the objective.
BENCHMARK_LABEL = "kubenas.io/benchmark"
PRICE_CLASS_LABEL = "kubenas.io/price-class"
# What queue a pod was made for: its label may be written by others.
QUEUE_ANNOTATION = "kubenas.io/queue"
# Tells the objects of an experiment from those of a deleted one of the same name.
EXPERIMENT_UID_LABEL = "kubenas.io/experiment-uid"
# Kueue's: on pods that it has taken up, and what holds them until they are admitted.
KUEUE_MANAGED_LABEL = "kueue.x-k8s.io/managed"
KUEUE_GATE = "kueue.x-k8s.io/admission"
MANAGED_BY = {"app.kubernetes.io/managed-by": "kubenas"}

API = f"/apis/{GROUP}/{VERSION}"

__all__ = [
    "API",
    "ATTEMPT_LABEL",
    "BENCHMARK",
    "BENCHMARK_LABEL",
    "EXPERIMENT_LABEL",
    "EXPERIMENT_UID_LABEL",
    "KUEUE_GATE",
    "KUEUE_MANAGED_LABEL",
    "MANAGED_BY",
    "PRICE_CLASS_LABEL",
    "QUEUE_ANNOTATION",
    "TRAINER",
    "TRIAL_LABEL",
    "experiments",
    "pods",
    "trials",
]


def experiments(namespace: str | None = None, name: str = "") -> str:
    """Path of an experiment, of all in a namespace, or of all."""
    return _path(API, "nasexperiments", namespace, name)


def trials(namespace: str | None = None, name: str = "") -> str:
    """Path of a trial, of all in a namespace, or of all."""
    return _path(API, "nastrials", namespace, name)


def pods(namespace: str | None = None, name: str = "") -> str:
    """Path of a pod, of all in a namespace, or of all."""
    return _path("/api/v1", "pods", namespace, name)


def events(namespace: str) -> str:
    """Path of a namespace's events."""
    return _path("/api/v1", "events", namespace, "")


def _path(api: str, plural: str, namespace: str | None, name: str) -> str:
    where = f"/namespaces/{namespace}" if namespace else ""
    return f"{api}{where}/{plural}" + (f"/{name}" if name else "")
