"""The pod that measures a candidate on a device."""

from __future__ import annotations

from typing import Any

from kubenas.api.base import duration_seconds
from kubenas.api.experiment import NASExperiment
from kubenas.cluster.names import (
    ATTEMPT_LABEL,
    BENCHMARK,
    BENCHMARK_LABEL,
    EXPERIMENT_LABEL,
    EXPERIMENT_UID_LABEL,
    MANAGED_BY,
    PRICE_CLASS_LABEL,
    TRIAL_LABEL,
)
from kubenas.cluster.pods import (
    RESTRICTED_CONTAINER,
    RESTRICTED_POD,
    PodDefaults,
    checkpoints_at,
    owner_reference,
    storage_parts,
)
from kubenas.experiment.benchmarks import Benchmark
from kubenas.experiment.contract import (
    CANDIDATE_VARIABLE,
    METRIC_VARIABLE,
    MODEL_VARIABLE,
    candidate_document,
    escaped,
)

# What the trial image has: onnxruntime on the CPU, one example at a time.
_COMMAND = ("python", "-m", "kubenas_trial.cli.main", "latency", "onnx", f"$({MODEL_VARIABLE})")
# The disk of a board is small, and others measure there next; a network of a bucket is copied there, too.
_MOST_WRITTEN = "4Gi"
# That a pod may be given.
_LONGEST_SECONDS = 2**31 - 1
# Of a benchmark that says nothing else: without a limit on CPU time, which would slow it down in steps.
_GRACE_SECONDS = 5
_RESOURCES = {"requests": {"cpu": "500m", "memory": "256Mi"}, "limits": {"memory": "2Gi"}}


def benchmark_manifest(experiment: NASExperiment, made: Benchmark, defaults: PodDefaults) -> dict[str, Any]:
    """The pod to create: restricted, without a token, and alone among benchmarks on its node."""
    device = made.objective.measured_on
    assert device is not None  # noqa: S101 - only such objectives are measured
    volume, mount, credentials = storage_parts(experiment)
    model = f"{checkpoints_at(experiment)}/{made.trial.name}/{made.candidate}.onnx"
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": made.name,
            "namespace": experiment.metadata.namespace,
            "labels": {
                **MANAGED_BY,
                EXPERIMENT_LABEL: experiment.metadata.name,
                EXPERIMENT_UID_LABEL: experiment.metadata.uid,
                TRIAL_LABEL: made.trial.name,
                ATTEMPT_LABEL: str(made.attempt),
                BENCHMARK_LABEL: str(made.number),
                **({PRICE_CLASS_LABEL: device.price_class} if device.price_class else {}),
            },
            "ownerReferences": [owner_reference("NASTrial", made.trial.name, made.trial.uid)],
        },
        "spec": {
            "restartPolicy": "Never",
            "activeDeadlineSeconds": min(duration_seconds(device.timeout), _LONGEST_SECONDS),
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "terminationGracePeriodSeconds": _GRACE_SECONDS,
            "nodeSelector": device.node_selector,
            "affinity": {"podAntiAffinity": {"requiredDuringSchedulingIgnoredDuringExecution": [_alone()]}},
            **({"tolerations": device.tolerations} if device.tolerations else {}),
            "securityContext": RESTRICTED_POD,
            "containers": [
                {
                    "name": BENCHMARK,
                    "image": device.image or defaults.image,
                    "command": [*(device.command or _COMMAND)],
                    "env": [
                        {"name": MODEL_VARIABLE, "value": model},
                        {"name": METRIC_VARIABLE, "value": made.objective.metric},
                        {"name": CANDIDATE_VARIABLE, "value": escaped(candidate_document(made.trial, made.candidate))},
                        {"name": "HOME", "value": "/tmp"},  # noqa: S108 - the pod's own emptyDir
                    ],
                    **credentials,
                    "resources": device.resources or _RESOURCES,
                    "securityContext": RESTRICTED_CONTAINER,
                    # The end of the log says why a benchmark without a message has failed.
                    "terminationMessagePolicy": "FallbackToLogsOnError",
                    "volumeMounts": [
                        {"name": "tmp", "mountPath": "/tmp"},  # noqa: S108
                        {**mount, "readOnly": True},
                    ],
                }
            ],
            "volumes": [{"name": "tmp", "emptyDir": {"sizeLimit": _MOST_WRITTEN}}, volume],
        },
    }


def _alone() -> dict[str, Any]:
    """No other benchmark on the node, of whatever experiment: each would slow the other down."""
    return {
        "labelSelector": {"matchExpressions": [{"key": BENCHMARK_LABEL, "operator": "Exists"}]},
        "namespaceSelector": {},
        "topologyKey": "kubernetes.io/hostname",
    }
