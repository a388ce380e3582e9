"""The operator stopped at every single write of an experiment.

A killed operator takes all that it knows with it, so whether it had heard the answer to its last write or not makes no
difference: what there is to try is the end after each write, and each answer lost on the way to one that lives on.
"""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING

import pytest

from tests.cluster.conditions import until
from tests.cluster.fake_pods import Ending, Trial, accuracy
from tests.operator.harness import Workspace, experiment, temporary_workspace
from tests.operator.outcome import outcome
from tests.operator.proxy import Gate

if TYPE_CHECKING:
    from tests.cluster.control_plane import ControlPlane
    from tests.operator.api import Object

pytestmark = pytest.mark.control_plane

AT_ONCE = 6
NEVER = 10**6
ALONE = {"trials": {"max": 3, "parallelism": 1}}
# Trials that run at once end in any order, of which random search does not make a difference.
TOGETHER = {
    "trials": {"max": 3, "parallelism": 2},
    "search": {"algorithm": "random", "seed": 1},
    "task": {"name": "image-classification", "settings": {"fails": True}},
}


def one_attempt_may_fail(trial: Trial) -> Ending:
    """The first attempt at trial 1 fails where the task says so, all others end well."""
    fails = trial["task"].get("settings", {}).get("fails", False)
    if fails and trial["trial"].endswith("-1") and trial["attempt"] == 1:
        return Ending("out of luck", exit_code=1, reason="Error")
    return accuracy(trial)


# Several run at once, on a machine that may have other work.
LIMIT_SECONDS = 600


def run(control_plane: ControlPlane, spec: Object, last: int, *, dies: bool) -> tuple[Object, int]:
    """What an experiment comes to when the operator loses the answer to a write, or dies of it; its writes."""
    with temporary_workspace(control_plane) as workspace, Gate(workspace.kubeconfig, last, closes=dies) as gate:
        workspace.apply(experiment(**spec))
        first = workspace.operator(kubeconfig=gate.kubeconfig).start()
        until(lambda: gate.reached.is_set() or is_over(workspace), LIMIT_SECONDS)
        if dies:
            first.kill()
            workspace.take_lease_away()
            workspace.operator().start()
        until(lambda: is_over(workspace), LIMIT_SECONDS)
        return outcome(workspace, ordered=spec is ALONE), gate.writes


def is_over(workspace: Workspace) -> bool:
    """Whether the experiment has ended, and what is no longer needed is gone."""
    return workspace.condition("Succeeded")["status"] == "True" and not workspace.pods()


@pytest.mark.parametrize("dies", [True, False], ids=["killed", "cut-off"])
@pytest.mark.parametrize("spec", [ALONE, TOGETHER], ids=["one-at-once", "two-at-once"])
def test_each_write_may_be_the_last(spec: Object, dies: bool, installed: ControlPlane) -> None:
    with installed.fake_pods(one_attempt_may_fail), ThreadPoolExecutor(AT_ONCE) as pool:
        undisturbed, writes = run(installed, spec, NEVER, dies=False)
        assert len(undisturbed["trials"]) == 3
        assert ("nas-1-2" in undisturbed["made"]) == (spec is TOGETHER)
        runs = {last: pool.submit(run, installed, spec, last, dies=dies) for last in range(1, writes + 1)}
        wrong = {last: end.result()[0] for last, end in runs.items() if end.result()[0] != undisturbed}
    assert not wrong, f"undisturbed: {undisturbed}"
