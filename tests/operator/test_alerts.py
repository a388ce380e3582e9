"""Alerts from end to end: experiments that go wrong, an operator that tells of them, and a Prometheus that fires.

The rules are those of deploy/, with hours made seconds; `tests/deploy/test_rules.py` has their thresholds and times.
"""

from __future__ import annotations

import re
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, TypeAlias

import httpx
import pytest
import yaml

from tests.cluster.conditions import until
from tests.cluster.control_plane import REPOSITORY
from tests.cluster.prometheus_server import prometheus as started
from tests.operator import endings
from tests.operator.harness import Workspace, experiment
from tests.operator.test_server import port_of, reserved

if TYPE_CHECKING:
    import socket
    from collections.abc import Iterator

__all__ = ["reserved"]

pytestmark = pytest.mark.control_plane

PROMETHEUS = REPOSITORY / "deploy/prometheus"
NAMESPACE = "kubenas-system"

# (alert, cause, experiment)
Fired: TypeAlias = tuple[str, str, str | None]


def shortened(rules: str) -> str:
    """The rules with durations that a test can wait for."""
    rules = re.sub(r"(?<= for: )\w+", "1s", rules).replace("24 * 3600", "6").replace("offset 1d", "offset 6s")
    return re.sub(r"\b3600\b", "1", rules)


@contextmanager
def prometheus(workspace: Workspace, operator_port: int) -> Iterator[httpx.Client]:
    """deploy/prometheus with the operator's job, of an operator that is no pod."""
    config = yaml.safe_load((PROMETHEUS / "prometheus.yaml").read_text())
    (job,) = [job for job in config["scrape_configs"] if job["job_name"] == "kubenas-operator"]
    del job["kubernetes_sd_configs"], job["relabel_configs"]
    job |= {"scrape_interval": "500ms", "scrape_timeout": "500ms"}
    job["static_configs"] = [{"targets": [f"127.0.0.1:{operator_port}"], "labels": {"namespace": NAMESPACE}}]
    config |= {"scrape_configs": [job], "global": {"evaluation_interval": "500ms"}}
    rules, name = shortened((PROMETHEUS / "rules.yaml").read_text()), f"prometheus-{workspace.namespace}"
    with (
        started(workspace.control_plane, config, name, rules) as url,
        httpx.Client(base_url=f"{url}/api/v1", trust_env=False) as client,
    ):
        yield client


def alerts(client: httpx.Client, query: str) -> set[Fired]:
    answer: Any = client.get("query", params={"query": query}).raise_for_status().json()
    labels = [one["metric"] for one in answer["data"]["result"]]
    return {(one["alertname"], one["cause"], one.get("experiment")) for one in labels}


def firing(client: httpx.Client) -> set[Fired]:
    """The alerts that fire now."""
    return alerts(client, 'ALERTS{alertstate="firing"}')


def fired(client: httpx.Client) -> set[Fired]:
    """All alerts that have fired so far."""
    return alerts(client, 'last_over_time(ALERTS{alertstate="firing"}[1h])')


def test_experiments_that_go_wrong_and_a_killed_operator_are_told_of(
    workspace: Workspace, reserved: socket.socket
) -> None:
    flag = f"--port={port_of(reserved)}"
    operator = workspace.operator(flag).start().wait_ready()
    with workspace.control_plane.fake_pods():
        workspace.apply(experiment("healthy", trials={"max": 2}))
        workspace.wait_condition("Succeeded", "healthy")
    expected: set[Fired] = {
        ("KubeNASFailureRateHigh", "rate", "failing"),
        ("KubeNASFailureRateHigh", "limit", "failing"),
        ("KubeNASExperimentStalled", "no-progress", "stalled"),
        ("KubeNASMetricsMissing", "no-values", "unread"),
        ("KubeNASMetricsMissing", "unreadable", "unread"),
        ("KubeNASBudgetNearlySpent", "gpu-hours", "spending"),
        ("KubeNASQueueStuck", "unscheduled", "unschedulable"),
        ("KubeNASQueueStuck", "waiting", "queued"),
        ("KubeNASNodesUnavailable", "autoscale", "growing"),
    }
    with prometheus(workspace, port_of(reserved)) as client:
        workspace.apply(experiment("failing", trials={"max": 4, "parallelism": 4, "retries": 0, "maxFailures": 3}))
        for number in range(3):
            workspace.set_pod(f"failing-{number}-1", endings.exited(1, "no such file"))
        workspace.apply(experiment("stalled"))
        workspace.set_pod("stalled-0-1", endings.running())
        workspace.apply(experiment("unread", metrics={"source": "Prometheus", "interval": "1s"}))
        workspace.set_pod("unread-0-1", endings.running())
        workspace.apply(experiment("spending", budget={"gpuHours": 1}))
        workspace.set_pod("spending-0-1", endings.exited(0, endings.results(accuracy=0.5), seconds=57 * 60))
        workspace.apply(experiment("unschedulable"))
        workspace.set_pod("unschedulable-0-1", endings.unschedulable("0/3 nodes are available"))
        workspace.apply(experiment("queued"))
        workspace.apply(experiment("growing", trials={"max": 4, "autoscale": {"max": 2, "maxPending": 2}}))
        workspace.set_pod("growing-0-1", endings.running())
        workspace.set_pod("growing-1-1", endings.unschedulable("0/3 nodes are available", seconds=601))
        workspace.apply(experiment("suspended", suspend=True))
        until(lambda: expected <= fired(client))
        assert not [alert for alert in fired(client) if alert[2] in {"healthy", "suspended"}]
        operator.kill()
        until(lambda: ("KubeNASOperatorDown", "absent", None) in firing(client))
        workspace.operator(flag).start()
        until(lambda: ("KubeNASOperatorDown", "no-leader", None) in fired(client))
