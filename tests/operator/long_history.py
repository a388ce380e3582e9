"""Many ended trials, put where the apiserver keeps them."""

from __future__ import annotations

import base64
import json
from datetime import datetime
from random import Random
from typing import TYPE_CHECKING
from uuid import uuid4

import httpx

from kubenas.api.base import Condition, MetricValue
from kubenas.api.trial import Candidate, Result, TrialSpec, TrialStatus
from kubenas.cluster.pods import trial_manifest
from kubenas.space.load import build_space
from tests.cluster.fake_pods import drawn
from tests.operator import endings

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubenas.api.experiment import NASExperiment
    from tests.cluster.control_plane import ControlPlane
    from tests.operator.api import Object

OPERATIONS_AT_ONCE = 100  # of the 128 that etcd allows in a transaction
# More architectures than a preset has, so that a long history repeats none.
LARGE_SPACE = {
    "parameters": [
        {"name": "width", "type": "int", "min": 1, "max": 10**6},
        {"name": "depth", "type": "int", "min": 1, "max": 100},
    ]
}


def history(searched: NASExperiment, count: int) -> Iterator[Object]:
    """Trials of an experiment that have ended one after the other."""
    space, rng = build_space(searched.spec.search_space), Random(1)
    now = endings.moment()
    for number in range(count):
        architecture = space.sample(rng)
        value = drawn(architecture.to_json())
        candidate = Candidate(id="0", name=space.name(architecture), architecture=architecture.to_json(), epochs=3)
        spec = TrialSpec(number=number, results_seen=number, candidates=[candidate])
        status = TrialStatus(
            phase="Succeeded",
            order=number + 1,
            pod=f"nas-{number}-1",
            completion_time=datetime.fromisoformat(now),
            conditions=[
                Condition(
                    type="Finished",
                    status="True",
                    reason="Succeeded",
                    message="The trainer reported its results.",
                    observed_generation=1,
                    last_transition_time=datetime.fromisoformat(now),
                )
            ],
            results=[
                Result(
                    candidate="0",
                    step=3,
                    metrics=[MetricValue(name="accuracy", value=value)],
                    source="TerminationMessage",
                )
            ],
        )
        document = trial_manifest(searched, f"nas-{number}", spec) | {"status": status.dump()}
        document["metadata"] |= {"uid": str(uuid4()), "generation": 1, "creationTimestamp": now}
        yield document


def store(control_plane: ControlPlane, namespace: str, trials: list[Object]) -> None:
    """Write trials where the apiserver keeps them: by requests to it, two for each, this would take a minute."""
    folder = f"/registry/kubenas.io/nastrials/{namespace}"
    operations = []
    for trial in trials:
        put = {
            "key": base64.b64encode(f"{folder}/{trial['metadata']['name']}".encode()).decode(),
            "value": base64.b64encode(json.dumps(trial).encode()).decode(),
        }
        operations.append({"requestPut": put})
    with httpx.Client(base_url=control_plane.etcd, timeout=60, trust_env=False) as etcd:
        for first in range(0, len(operations), OPERATIONS_AT_ONCE):
            transaction = {"success": operations[first : first + OPERATIONS_AT_ONCE]}
            etcd.post("/v3/kv/txn", json=transaction).raise_for_status()
