"""The node pool that the documentation gives Karpenter."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from tests import docs
from tests.cluster import programs

if TYPE_CHECKING:
    from tests.cluster.control_plane import ControlPlane

pytestmark = pytest.mark.control_plane


def test_the_node_pool_of_the_docs_is_valid(control_plane: ControlPlane) -> None:
    """By Karpenter's CRDs and the rules in them; the class of nodes is the cloud's."""
    (pool,) = docs.manifests("autoscaling.md", "NodePool")
    control_plane.kubectl("apply", "--server-side", f"--filename={programs.karpenter_crds()}")
    control_plane.kubectl("wait", "--for=condition=Established", "crd/nodepools.karpenter.sh", "--timeout=60s")
    applied = control_plane.kubectl(
        "create", "--dry-run=server", "--validate=strict", "--output=json", "--filename=-", stdin=json.dumps(pool)
    )
    assert json.loads(applied)["spec"]["disruption"]["consolidationPolicy"] == "WhenEmpty"
    pool["spec"]["template"]["spec"]["requirements"].append({"key": "karpenter.sh/capacity-type", "operator": "Any"})
    refused = control_plane.kubectl(
        "create", "--dry-run=server", "--output=name", "--filename=-", stdin=json.dumps(pool), check=False
    )
    assert not refused
