"""Trials that a queue holds: no failures, no time-outs, and told of."""

from __future__ import annotations

from dataclasses import replace

import pytest

from kubenas.api.base import Condition
from kubenas.experiment.actions import Plan
from kubenas.experiment.admission import QUEUED_SECONDS, QueueReason, since_admission
from kubenas.experiment.state import Waiting
from tests.experiment.builders import NOW, experiment, held, planned, running, status_of, trial

QUEUED = experiment(queueName="gpus")


def admitted(made: Plan) -> Condition:
    return next(c for c in status_of(made).conditions if c.type == "TrialsAdmitted")


def test_a_trial_whose_pod_is_held_is_queued_whatever_time_passes() -> None:
    of = experiment(queueName="gpus", trials={"timeout": "1m"})
    made = planned(of, trials=[trial()], attempts=[held(seconds=1e6)])
    assert [(w.status.phase, w.status.attempt, w.status.failures) for w in made.write] == [("Queued", 1, 0)]
    assert status_of(made).cost == status_of(planned(of)).cost
    [write] = made.write
    let = replace(running(trial(), started=NOW), queue="gpus", managed=True)
    assert [
        w.status.phase for w in planned(of, trials=[replace(trial(), status=write.status)], attempts=[let]).write
    ] == ["Running"]


def test_after_a_minute_the_condition_says_why() -> None:
    there, pods = [trial(0), trial(1)], [held(0, seconds=QUEUED_SECONDS), held(1, seconds=QUEUED_SECONDS + 5)]
    fresh = planned(QUEUED, trials=there[:1], attempts=[held(0, seconds=0)])
    assert (admitted(fresh).status, admitted(fresh).reason) == ("True", "Admitted")
    assert fresh.wake_at is not None
    assert fresh.wake_at <= NOW + QUEUED_SECONDS
    why = QueueReason("nas-1-1", "insufficient unused quota for nvidia.com/gpu in flavor spot, 1 more needed")
    made = planned(QUEUED, trials=there, attempts=pods, queue_reason=why)
    assert (admitted(made).status, admitted(made).reason) == ("False", "Queued")
    assert admitted(made).message == f"Pod nas-1-1 (and 1 more) waits in queue gpus: {why.message}"
    assert [said.reason for said in made.announce if said.message == admitted(made).message] == ["Queued"]
    # What is known of another pod is not told of this one.
    other = planned(QUEUED, trials=there, attempts=pods, queue_reason=replace(why, attempt="nas-0-1"))
    assert "Scheduling is blocked" in admitted(other).message


def test_a_queue_that_nobody_serves_is_told() -> None:
    made = planned(QUEUED, trials=[trial()], attempts=[held(seconds=QUEUED_SECONDS, managed=False)])
    assert admitted(made).reason == "QueueNotServed"
    other = planned(experiment(), trials=[trial()], attempts=[held(seconds=61, queue=None, managed=False)])
    assert (admitted(other).reason, admitted(other).message.split(":")[0]) == ("Queued", "Pod nas-0-1 waits in a queue")


@pytest.mark.parametrize("queue", [None, "other", "gpus/low"])
def test_a_pod_that_waits_in_another_queue_is_made_anew(queue: str | None) -> None:
    made = planned(QUEUED, trials=[trial()], attempts=[held(queue=queue)])
    assert [(w.status.attempt, w.status.failures) for w in made.write] == [(2, 0)]
    # One that was admitted is left alone.
    runs = replace(running(trial(), started=NOW - 10), queue=queue)
    assert [w.status.attempt for w in planned(QUEUED, trials=[trial()], attempts=[runs]).write] == [1]


def test_a_trial_that_was_taken_away_waits_in_the_queue_of_its_alternative() -> None:
    template = {"alternatives": [{"afterDisruptions": 2, "queueName": "on-demand"}]}
    of = experiment(queueName="spot", trialTemplate=template)
    for disruptions, queue in ((0, "spot"), (1, "spot"), (2, "on-demand"), (3, "on-demand")):
        there = trial(disruptions=disruptions)
        for name in ("spot", "on-demand"):
            [write] = planned(of, trials=[there], attempts=[held(queue=name)]).write
            assert write.status.attempt == (1 if name == queue else 2)


def test_a_pod_waits_for_a_node_since_it_was_admitted() -> None:
    before = held(seconds=3600)
    shown = replace(before, waiting=Waiting("Unschedulable", "0/3 nodes are available", NOW - 3600))
    first = since_admission(before, shown, NOW)
    assert first.waiting == Waiting("Unschedulable", "0/3 nodes are available", NOW)
    again = since_admission(first, shown, NOW + 60)
    assert again == first
    # No scheduler had looked at it before; then its condition has a time.
    fresh = replace(shown, created=NOW - 10, waiting=Waiting("Unschedulable", "no scheduler", NOW - 10))
    looked = replace(fresh, waiting=Waiting("Unschedulable", "0/3 nodes are available", NOW - 3600))
    assert since_admission(fresh, looked, NOW) == looked
    # Nothing is known of the time before, or the condition has a newer time of its own.
    assert since_admission(None, shown, NOW) == shown
    assert since_admission(replace(before, uid="another"), shown, NOW) == shown
    later = replace(shown, waiting=Waiting("Unschedulable", "0/3 nodes are available", NOW - 5))
    assert since_admission(before, later, NOW) == later
