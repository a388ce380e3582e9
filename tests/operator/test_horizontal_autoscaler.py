"""Kubernetes' own HorizontalPodAutoscaler sets how many trials run, by an external metric."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests import docs
from tests.cluster.conditions import until
from tests.operator import endings, external_metrics
from tests.operator.harness import Workspace, experiment

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.control_plane


@pytest.mark.usefixtures("operator")
def test_trials_follow_an_external_metric(workspace: Workspace, tmp_path: Path) -> None:
    """The autoscaler of docs/autoscaling.md, with Kubernetes' controller manager."""
    (autoscaler,) = docs.manifests("autoscaling.md", "HorizontalPodAutoscaler")
    metric = autoscaler["spec"]["metrics"][0]["external"]["metric"]["name"]
    workspace.apply(experiment("digits", trials={"max": 50, "parallelism": 1}))

    def parallelism() -> int:
        replicas: int = workspace.experiment("digits")["spec"]["trials"]["parallelism"]
        return replicas

    def now_running() -> int:
        for pod in workspace.pods("digits"):
            if pod["status"]["phase"] == "Pending":
                workspace.set_pod(pod["metadata"]["name"], endings.running())
        count: int = workspace.status("digits").get("counts", {}).get("running", 0)
        return count

    values = {metric: 4}
    with external_metrics.serving(workspace.control_plane, workspace.namespace, values, tmp_path / "metrics"):
        workspace.control_plane.kubectl(
            "apply", "--filename=-", f"--namespace={workspace.namespace}", stdin=json.dumps(autoscaler)
        )
        until(lambda: now_running() == 4)
        assert parallelism() == 4
        values[metric] = 2
        until(lambda: parallelism() == 2)
        # What runs may finish; nothing is started in its place.
        assert now_running() == 4
        for number in range(2):
            workspace.set_pod(f"digits-{number}-1", endings.exited(0, endings.results(accuracy=0.5)))
        until(lambda: workspace.status("digits")["counts"]["succeeded"] == 2)
        assert now_running() == 2
        assert len(workspace.trials("digits")) == 4
        values[metric] = 3
        until(lambda: now_running() == 3)
        assert len(workspace.trials("digits")) == 5
        # Whatever the metric says, a pause stays one.
        workspace.api.patch("nasexperiments", "digits", {"spec": {"trials": {"parallelism": 0}}})
        values[metric] = 9
        until(lambda: _condition(workspace, "ScalingActive") == ("False", "ScalingDisabled"))
        assert parallelism() == 0


def _condition(workspace: Workspace, kind: str) -> tuple[str, str] | None:
    """Status and reason of a condition of the autoscaler."""
    text = workspace.control_plane.kubectl(
        "get", "hpa", "digits", f"--namespace={workspace.namespace}", "--output=jsonpath={.status.conditions}"
    )
    for one in json.loads(text or "[]"):
        if one["type"] == kind:
            return one["status"], one["reason"]
    return None
