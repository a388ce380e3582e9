"""How many trials run follows the cluster, or what a person or an autoscaler sets."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubenas.experiment.scaling import NO_NODE_SECONDS
from kubenas.experiment.state import Attempt, AttemptPhase, Trial, Waiting
from tests import docs
from tests.experiment.builders import NOW, experiment, planned, running, status_of, trial
from tests.experiment.simulation import Chances, Nodes, run
from tests.properties import examples

SCALE = {"min": 1, "max": 8, "maxPending": 2}


def scaled(**trials: Any) -> dict[str, Any]:
    return {"max": 100, "autoscale": SCALE, **trials}


def pending(of: Trial, since: float = NOW - 5, reason: str = "Unschedulable") -> Attempt:
    waiting = Waiting(reason, "0/3 nodes are available", since)
    return replace(running(of), phase=AttemptPhase.WAITING, started=None, scheduled=None, waiting=waiting)


def starting(of: Trial) -> Attempt:
    return replace(running(of), phase=AttemptPhase.WAITING, started=None, scheduled=NOW)


def created(attempts: list[Attempt], **trials: Any) -> int:
    there = [trial(number) for number in range(len(attempts))]
    return len(planned(experiment(trials=scaled(**trials)), trials=there, attempts=attempts).create)


def test_more_are_started_while_pods_get_nodes() -> None:
    assert created([]) == 2
    assert created([pending(trial(0)), pending(trial(1))]) == 0
    assert created([running(trial(0)), pending(trial(1))]) == 1
    assert created([running(trial(0)), starting(trial(1))]) == 2
    assert created([running(trial(number)) for number in range(7)]) == 1
    assert created([running(trial(number)) for number in range(8)]) == 0


def test_what_no_trial_needs_any_more_waits_until_it_is_gone() -> None:
    """A trial may be stopped early while its next attempt waits for a node."""
    stopped = trial(0, phase="Pruned", order=1)
    for since, free in ((None, 0), (NOW - 1, 1)):
        left = replace(pending(stopped), scheduled=since)
        of = experiment(trials=scaled(autoscale={"min": 1, "max": 8, "maxPending": 1}))
        made = planned(of, trials=[stopped], attempts=[left])
        assert (len(made.create), [one.name for one in made.stop]) == (free, [left.name])


def test_what_its_queue_holds_waits_too() -> None:
    assert created([pending(trial(number), since=0.0, reason="Queued") for number in range(2)]) == 0
    assert created([running(trial(0)), pending(trial(1), since=0.0, reason="Queued")]) == 1


def test_while_no_node_is_to_be_had_there_are_as_many_as_run() -> None:
    long_since = NOW - NO_NODE_SECONDS
    attempts = [running(trial(0)), running(trial(1)), pending(trial(2), since=long_since)]
    assert created(attempts) == 0
    of = experiment(trials=scaled())
    made = planned(of, trials=[trial(number) for number in range(3)], attempts=attempts)
    assert status_of(made).slots == 2
    told = next(c for c in status_of(made).conditions if c.type == "TrialsScheduled")
    assert (told.status, told.reason) == ("False", "NodesUnavailable")
    assert "0/3 nodes are available" in told.message
    assert [said.reason for said in made.announce if "nas-2-1" in said.message] == ["NodesUnavailable"]
    # Those that are always wanted are, one at a time as far as they may wait.
    assert created(attempts, autoscale={"min": 8, "max": 8, "maxPending": 2}) == 1


def test_it_is_looked_at_again_when_a_pod_will_have_waited_for_long() -> None:
    one = pending(trial(0), since=NOW - NO_NODE_SECONDS + 7)
    made = planned(experiment(trials=scaled(autoscale={"max": 1})), trials=[trial(0)], attempts=[one])
    assert made.wake_at is not None
    assert made.wake_at <= NOW + 7


def test_what_the_docs_give_an_experiment_for_karpenter_is_valid() -> None:
    (given,) = docs.fragments("autoscaling.md", "trialTemplate")
    spec = experiment(**given).spec
    assert spec.trials.autoscale is not None
    assert spec.trials.autoscale.max_pending == 8
    assert spec.trial_template.spec["tolerations"][0]["key"] == "nvidia.com/gpu"


def test_zero_pauses_with_autoscale_too() -> None:
    assert created([], parallelism=0) == 0
    assert created([running(trial(0))], parallelism=0) == 0


@pytest.mark.parametrize("attempts", [0, 1, 2])
def test_slots_are_told_of_while_the_operator_chooses_them(attempts: int) -> None:
    there = [trial(number) for number in range(attempts)]
    pods = [running(one) for one in there]
    told = planned(experiment(trials=scaled()), trials=there, attempts=pods)
    assert status_of(told).slots == attempts + 2
    assert status_of(planned(experiment(), trials=there, attempts=pods)).slots is None


# Scaling down


def test_by_default_what_runs_may_finish() -> None:
    both = [trial(0), trial(1)]
    made = planned(experiment(trials={"parallelism": 1}), trials=both, attempts=[running(t) for t in both])
    assert all(w.status.phase == "Running" for w in made.write)
    assert made.stop == ()


@pytest.mark.parametrize("trials", [{"parallelism": 1}, {"autoscale": {"max": 1}}], ids=["parallelism", "autoscale"])
def test_pause_requeues_the_newest(trials: dict[str, Any]) -> None:
    of = experiment(trials={"scaleDown": "Pause", **trials})
    there = [trial(number, phase="Running", pod=f"nas-{number}-1") for number in range(3)]
    made = planned(of, trials=there, attempts=[running(t) for t in there])
    paused = {w.trial.name: w.status for w in made.write if w.status.attempt == 2}
    assert sorted(paused) == ["nas-1", "nas-2"]
    assert {(status.phase, status.failures) for status in paused.values()} == {("Pending", 0)}
    after = [there[0], *(replace(t, status=paused[t.name]) for t in there[1:])]
    then = planned(of, trials=after, attempts=[running(t) for t in there])
    assert [a.name for a in then.stop] == ["nas-1-1", "nas-2-1"]
    # While they end, no other one is paused in their place, and none is started.
    assert (then.start, then.create) == ((), ())
    assert [w.trial.name for w in then.write if w.status.attempt != w.trial.status.attempt] == []
    up = planned(experiment(trials={"parallelism": 2}), trials=after, attempts=[running(there[0])])
    assert [t.attempt_name for t in up.start] == ["nas-1-2"]


# On a cluster that adds nodes, and loses them


@settings(examples(10), suppress_health_check=[HealthCheck.too_slow])
@given(
    scale=st.builds(
        lambda low, more, waiting: {"min": low, "max": low + more, "maxPending": waiting},
        st.integers(1, 4),
        st.integers(0, 8),
        st.integers(1, 4),
    ),
    nodes=st.integers(1, 12),
    chances=st.builds(
        Chances,
        crash=st.sampled_from([0.0, 0.05]),
        delivery=st.sampled_from([0.3, 1.0]),
        disruption=st.sampled_from([0.0, 0.3]),
    ),
    seed=st.integers(0, 2**32),
)
def test_whatever_the_cluster_does_all_trials_end(
    scale: dict[str, int], nodes: int, chances: Chances, seed: int
) -> None:
    of = experiment(trials={"max": 25, "retries": 0, "maxFailures": 0, "autoscale": scale})
    world = run(of, chances, seed, Nodes(nodes))
    assert [t.status.phase for t in world.trials.values()] == ["Succeeded"] * 25
    # As the cluster grows the search does: as many nodes were asked for as both have room for.
    if not chances.disruption:
        assert world.nodes is not None
        assert world.nodes.there <= min(nodes, scale["max"])
