"""Watches that cannot be relied on."""

from __future__ import annotations

import random
from typing import TYPE_CHECKING

import pytest

from tests.cluster.conditions import until
from tests.operator import endings
from tests.operator.harness import Workspace, experiment
from tests.operator.outcome import outcome
from tests.operator.proxy import Chaos, Proxy, Silence

if TYPE_CHECKING:
    from tests.operator.api import Object

pytestmark = pytest.mark.control_plane


def run(workspace: Workspace, proxy: Proxy, spec: Object, *, ordered: bool) -> Object:
    with proxy, workspace.control_plane.fake_pods(seconds=0.1):
        operator = workspace.operator("--resync-seconds=2", kubeconfig=proxy.kubeconfig).start().wait_ready()
        workspace.apply(experiment(**spec))
        workspace.wait_condition("Succeeded")
        until(lambda: not workspace.pods())
        end = outcome(workspace, ordered=ordered)
        operator.kill()
        return end


@pytest.mark.parametrize(
    ("spec", "ordered"),
    [
        pytest.param({"trials": {"max": 12, "parallelism": 1}}, True, id="one-at-once"),
        pytest.param(
            {"trials": {"max": 40, "parallelism": 5}, "search": {"algorithm": "random", "seed": 1}},
            False,
            id="five-at-once",
        ),
    ],
)
def test_events_dropped_doubled_late_and_out_of_order_make_no_difference(
    spec: Object, ordered: bool, workspace: Workspace, other_workspace: Workspace
) -> None:
    seed = random.SystemRandom().randrange(10**6)
    print(f"seed {seed}")
    chaos = Chaos(workspace.kubeconfig, seed)
    end = run(workspace, chaos, spec, ordered=ordered)
    assert chaos.harmed > 0
    assert end == run(other_workspace, Proxy(other_workspace.kubeconfig), spec, ordered=ordered)


def test_watches_that_fall_silent_hold_nothing_up_for_longer_than_until_the_next_list(workspace: Workspace) -> None:
    with Silence(workspace.kubeconfig) as proxy:
        operator = workspace.operator("--resync-seconds=1", kubeconfig=proxy.kubeconfig).start().wait_ready()
        workspace.apply(experiment(trials={"max": 2, "parallelism": 1}))
        workspace.set_pod("nas-0-1", endings.running())
        workspace.wait_trial("nas-0", lambda status: status.get("phase") == "Running")
        proxy.fallen = True
        workspace.set_pod("nas-0-1", endings.exited(0, endings.results(accuracy=0.5)))
        workspace.wait_pod("nas-1-1")
        workspace.api.patch("nasexperiments", "nas", {"spec": {"trials": {"max": 3}}})
        for pod in ("nas-1-1", "nas-2-1"):
            workspace.set_pod(pod, endings.exited(0, endings.results(accuracy=0.5)))
        workspace.wait_condition("Succeeded")
        assert workspace.status()["progress"] == "3/3"
        assert proxy.untold > 0
        workspace.api.delete("nasexperiments", "nas")
        workspace.apply(experiment(trials={"max": 1}))
        workspace.wait_pod("nas-0-1")
        operator.kill()
