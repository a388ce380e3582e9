"""A search on nodes that a real Karpenter adds for it and removes after it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests import docs
from tests.cluster import karpenter_nodes
from tests.cluster.conditions import until
from tests.operator.harness import Operator, experiment

if TYPE_CHECKING:
    from tests.cluster.control_plane import ControlPlane
    from tests.operator.harness import Workspace

pytestmark = pytest.mark.control_plane

SLOTS = 4
TRIALS = 12


def test_the_node_pool_of_the_docs_is_valid(control_plane: ControlPlane) -> None:
    """By Karpenter's CRDs and the rules in them; the class of nodes is the cloud's."""
    (pool,) = docs.manifests("autoscaling.md", "NodePool")
    karpenter_nodes.install_crds(control_plane)
    applied = control_plane.kubectl(
        "create", "--dry-run=server", "--validate=strict", "--output=json", "--filename=-", stdin=json.dumps(pool)
    )
    assert json.loads(applied)["spec"]["disruption"]["consolidationPolicy"] == "WhenEmpty"
    pool["spec"]["template"]["spec"]["requirements"].append({"key": "karpenter.sh/capacity-type", "operator": "Any"})
    refused = control_plane.kubectl(
        "create", "--dry-run=server", "--output=name", "--filename=-", stdin=json.dumps(pool), check=False
    )
    assert not refused


def test_nodes_come_for_trials_and_go_without_evicting_any(workspace: Workspace, operator: Operator) -> None:
    """The node pool of docs/autoscaling.md, but for the cloud and the time that an empty node stays."""
    (pool,) = docs.manifests("autoscaling.md", "NodePool")
    pool["spec"]["template"]["spec"]["nodeClassRef"] = karpenter_nodes.NODE_CLASS
    pool["spec"]["disruption"]["consolidateAfter"] = "5s"
    (asked,) = docs.fragments("autoscaling.md", "trialTemplate")
    cluster = workspace.control_plane

    def nodes() -> list[str]:
        return cluster.kubectl("get", "nodes", "--output=name").split()

    with karpenter_nodes.served(cluster), cluster.fake_pods(seconds=4, on_nodes=True):
        cluster.kubectl("apply", "--filename=-", stdin=json.dumps(pool))
        scale = {"min": 1, "max": SLOTS, "maxPending": 2}
        workspace.apply(experiment(trials={"max": TRIALS, "autoscale": scale}, trialTemplate=asked["trialTemplate"]))
        until(nodes)
        operator.kill()
        workspace.take_lease_away()
        operator.start()
        workspace.wait_condition("Succeeded")
        trials = workspace.trials()
        assert [trial["status"]["phase"] for trial in trials] == ["Succeeded"] * TRIALS
        assert [trial["status"]["attempt"] for trial in trials] == [1] * TRIALS
        assert all(trial["status"].get("node") for trial in trials)
        until(lambda: not nodes())
        cluster.kubectl("delete", "nodepool/trials")
    asked_for = [one["objectRef"] for one in workspace.requests(karpenter_nodes.USER) if one["verb"] == "create"]
    assert any(one["resource"] == "nodeclaims" for one in asked_for)
    assert not [one for one in asked_for if one.get("subresource") == "eviction"]
