"""The resources as a cluster serves them: defaults, status, scale, explanations, columns."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from kubenas.api.base import Condition, Metadata, MetricValue
from kubenas.api.evaluation import MAX_CANDIDATES
from kubenas.api.experiment import NASExperiment
from kubenas.api.status import Best, ClassCost, Cost, Counts, ExperimentStatus, Measured
from kubenas.api.trial import (
    Candidate,
    ClassSeconds,
    FailedCandidate,
    Failure,
    NASTrial,
    Point,
    Result,
    TrialSpec,
    TrialStatus,
)
from kubenas.api.validate import read_experiment
from kubenas.experiment.bounds import OBJECT_BYTES
from tests.api.conftest import ROOT
from tests.api.manifests import VALID

if TYPE_CHECKING:
    from tests.api.conftest import Api

pytestmark = pytest.mark.control_plane

BARE = {
    "apiVersion": "kubenas.io/v1alpha1",
    "kind": "NASExperiment",
    "metadata": {"name": "bare"},
    "spec": {"objectives": [{"metric": "accuracy"}], "task": {"name": "t"}, "searchSpace": {"preset": "nasbench201"}},
}
EXAMPLES = {
    f"{path.relative_to(ROOT)}": document
    for path in sorted((ROOT / "examples").rglob("*.yaml"))
    for document in yaml.safe_load_all(path.read_text())
    if document["kind"] == "NASExperiment"
}
NOW = datetime(2026, 3, 1, 12, 30, 15, 250_000, tzinfo=UTC)
VALUES = [MetricValue(name="accuracy", value=0.93), MetricValue(name="loss", value=1e-7)]
CONDITION = Condition(
    type="Succeeded",
    status="True",
    reason="BudgetSpent",
    message="8 of 8 trials ended",
    observed_generation=2,
    last_transition_time=NOW,
)


def test_there_are_examples() -> None:
    assert EXAMPLES


@pytest.mark.parametrize("document", [BARE, VALID, *EXAMPLES.values()], ids=["bare", "valid", *EXAMPLES])
def test_the_apiserver_and_the_models_give_the_same_defaults(
    document: dict[str, Any], namespace: str, api: Api
) -> None:
    created = api.create(document, namespace)
    assert created["spec"] == read_experiment(document).spec.dump()
    assert "status" not in created


def test_an_experiment_s_status_is_kept_as_written(namespace: str, api: Api) -> None:
    document = api.create(VALID, namespace)
    status = ExperimentStatus(
        observed_generation=1,
        phase="Succeeded",
        conditions=[CONDITION],
        start_time=NOW,
        completion_time=NOW,
        progress="8/8",
        counts=Counts(succeeded=7, failed=1),
        best=Best(
            trial="digits-4",
            candidate="0",
            value=0.93,
            name="relu, depth 3",
            architecture={"activation": "relu", "depth": 3, "width": 0.5},
            metrics=[Measured(name=v.name, value=v.value, spread=0.5) for v in VALUES],
        ),
        cost=Cost(gpu_hours=1.25, total=0.5, classes=[ClassCost(price_class="spot", hours=1.25, cost=0.5)]),
        selector="kubenas.io/experiment=digits",
    )
    kept = api.replace_status({**document, "status": status.dump()}, namespace)
    assert kept["status"] == status.dump()
    assert NASExperiment.model_validate(kept).status == status
    columns = api.kubectl("get", "nas", f"--namespace={namespace}", "--output=wide").splitlines()
    assert columns[0].split() == ["NAME", "PHASE", "DONE", "RUNNING", "BEST", "PAUSED", "GPU", "HOURS", "COST", "AGE"]
    assert columns[1].split()[:8] == ["digits", "Succeeded", "8/8", "0", "0.93", "0", "1.25", "0.5"]


def test_a_trial_is_kept_as_written(namespace: str, api: Api) -> None:
    trial = NASTrial(
        metadata=Metadata(name="digits-4"),
        spec=TrialSpec(
            number=4,
            results_seen=2,
            candidates=[Candidate(id="0", name="depth 3", architecture={"depth": 3}, epochs=12)],
        ),
        status=TrialStatus(
            phase="Failed",
            conditions=[CONDITION],
            attempt=2,
            failures=1,
            pod="digits-4-2",
            node="gpu-1",
            start_time=NOW,
            completion_time=NOW,
            disruptions=2,
            price_class="spot",
            gpus=1.0,
            gpu_seconds=12.5,
            class_seconds=[ClassSeconds(price_class="spot", seconds=12.5)],
            order=3,
            value=1e-7,  # the loss, where that is the primary objective
            results=[Result(candidate="0", step=12, metrics=VALUES, source="TerminationMessage")],
            curve=[Point(candidate="0", step=step, metrics=VALUES) for step in (1, 2)],
            last_failure=Failure(attempt=1, reason="OutOfMemory", message="killed at 2Gi", time=NOW),
        ),
    )
    document = trial.model_dump(mode="json", exclude_none=True, exclude={"metadata", "status"})
    created = api.create({**document, "metadata": {"name": "digits-4"}}, namespace)
    kept = api.replace_status({**created, "status": trial.status.dump()}, namespace)
    assert kept["spec"] == trial.spec.dump()
    assert kept["status"] == trial.status.dump()
    assert NASTrial.model_validate(kept).status == trial.status
    columns = api.kubectl("get", "nastrial", f"--namespace={namespace}", "--output=wide").splitlines()
    assert columns[0].split() == [
        "NAME",
        "PHASE",
        "ATTEMPT",
        "VALUE",
        "SOURCE",
        "FAILURE",
        "DISRUPTIONS",
        "CLASS",
        "NODE",
        "AGE",
    ]
    assert columns[1].split()[:6] == ["digits-4", "Failed", "2", "1e-07", "TerminationMessage", "OutOfMemory"]
    assert columns[1].split()[6:9] == ["2", "spot", "gpu-1"]


def test_a_trial_of_the_largest_batch_is_kept_as_written(namespace: str, api: Api) -> None:
    """As many values as a trial may have, in no more than etcd takes (1.5 MiB), managed fields included."""
    metrics = [MetricValue(name=f"az_expressivity_{n:02}", value=-123.45678901234567) for n in range(14)]
    ids = [str(n) for n in range(MAX_CANDIDATES)]
    architecture = {f"{a}-{b}": "nor_conv_3x3" for a, b in ((0, 1), (0, 2), (1, 2), (0, 3), (1, 3), (2, 3))}
    trial = NASTrial(
        metadata=Metadata(name="digits-5"),
        spec=TrialSpec(number=5, results_seen=2, candidates=[Candidate(id=n, architecture=architecture) for n in ids]),
        status=TrialStatus(
            results=[Result(candidate=n, step=1, metrics=metrics, source="Pod") for n in ids[:1000]],
            failed_candidates=[
                FailedCandidate(candidate=n, reason="OutOfMemory", message="x" * 700) for n in ids[1000:]
            ],
        ),
    )
    document = trial.model_dump(mode="json", exclude_none=True, exclude={"metadata", "status"})
    created = api.create({**document, "metadata": {"name": "digits-5"}}, namespace)
    kept = api.replace_status({**created, "status": trial.status.dump()}, namespace)
    assert (kept["spec"], kept["status"]) == (trial.spec.dump(), trial.status.dump())
    text = api.kubectl(
        "get", "nastrial", "digits-5", f"--namespace={namespace}", "--output=json", "--show-managed-fields"
    )
    size = len(json.dumps(json.loads(text), separators=(",", ":")))
    assert OBJECT_BYTES * 0.7 < size < OBJECT_BYTES


def test_scaling_sets_the_parallelism(namespace: str, api: Api) -> None:
    document = api.create(VALID, namespace)
    selector = "kubenas.io/experiment=digits"
    status = ExperimentStatus(counts=Counts(running=3), selector=selector)
    api.replace_status({**document, "status": status.dump()}, namespace)
    api.kubectl("scale", "nas/digits", "--replicas=5", f"--namespace={namespace}")
    path = f"/apis/kubenas.io/v1alpha1/namespaces/{namespace}/nasexperiments/digits/scale"
    scale = json.loads(api.kubectl("get", "--raw", path))
    assert (scale["spec"], scale["status"]) == ({"replicas": 5}, {"replicas": 3, "selector": selector})
    assert api.get("nas", "digits", namespace)["spec"]["trials"]["parallelism"] == 5


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("nas", "A neural architecture search"),
        ("nas.spec", "What is searched, how, and for how long."),
        ("nas.spec.trials", "Trials that run at the same time; 0 pauses."),
        ("nas.spec.searchSpace.parameters.scale", "log draws each order of magnitude as often"),
        ("nas.status.best", "The best so far of the last stage"),
        ("nastrial.status.results", "exact"),
    ],
)
def test_kubectl_explains(path: str, words: str, api: Api) -> None:
    explanation = " ".join(api.kubectl("explain", path).split())
    assert words in explanation
    assert "<no description>" not in explanation
