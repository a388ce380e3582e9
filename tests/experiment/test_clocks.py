"""Nodes whose clocks are ahead or behind: what has run is counted, and nothing is a time-out before its time."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenas.experiment.clocks import by_own_clock
from kubenas.experiment.state import Attempt, AttemptPhase, Fault, moment
from tests.experiment.builders import NOW, experiment, planned, running, trial

HOUR = 3600.0


def seen(clock: float, *, created: float = 0, started: float, ended: float | None = None, late: float = 0) -> Attempt:
    """An attempt as the operator knows it that saw its start and its end so late; times are seconds after `NOW`."""
    pod = replace(running(trial()), created=NOW + created, started=NOW + started + clock, uid="its own")
    known = by_own_clock(None, pod, NOW + started + late)
    if ended is None:
        return known
    over = replace(pod, phase=AttemptPhase.ENDED, ended=NOW + ended + clock)
    known = by_own_clock(known, over, NOW + ended + late)
    assert by_own_clock(known, over, NOW + ended + late + HOUR) == known
    return known


@given(clock=st.floats(-1e6, 1e6), waited=st.floats(0, 100), ran=st.floats(0, 1e5), late=st.floats(0, 10))
def test_times_are_as_exact_as_can_be_known(clock: float, waited: float, ran: float, late: float) -> None:
    known = seen(clock, started=waited, late=late)
    assert known.started is not None
    assert abs(known.started - NOW - waited) <= max(waited, late) + 1e-6
    assert NOW - 1e-6 <= known.started <= NOW + waited + late + 1e-6
    over = seen(clock, started=waited, ended=waited + ran, late=late)
    assert over.started is not None
    assert over.ended is not None
    assert over.ended - over.started == pytest.approx(ran, abs=1e-6)
    assert over.ended <= NOW + waited + ran + late + 1e-6


@pytest.mark.parametrize("clock", [-HOUR, HOUR])
def test_a_clock_that_is_wrong_neither_spends_a_budget_nor_times_a_trial_out(clock: float) -> None:
    pod = seen(clock, created=-2, started=-1)
    of = experiment(budget={"gpuHours": 0.5}, trials={"timeout": "30m"})
    soon = planned(of, trials=[trial()], attempts=[pod], now=NOW + 5)
    assert [(write.status.phase, write.status.attempt) for write in soon.write] == [("Running", 1)]
    assert soon.wake_at == pytest.approx(NOW + HOUR / 2, abs=3)
    over = planned(of, trials=[trial()], attempts=[pod], now=NOW + HOUR / 2)
    assert [write.status.phase for write in over.write] == ["Pruned"]
    assert over.write[0].status.gpu_seconds == pytest.approx(HOUR / 2, abs=3)


def test_an_operator_that_has_just_started_counts_from_what_was_noted() -> None:
    runs = trial(pod="nas-0-1", phase="Running", start_time=moment(NOW - 1800), gpus=1.0)
    fresh = by_own_clock(None, running(runs, started=NOW + 1800, created=NOW - 1801), NOW)
    made = planned(experiment(budget={"gpuHours": 0.5}), trials=[runs], attempts=[fresh])
    assert [(write.status.phase, write.status.gpu_seconds) for write in made.write] == [("Pruned", 1800.0)]


def test_what_ran_before_its_node_was_restarted_is_counted() -> None:
    """The node does not know any more when it began."""
    runs = trial(pod="nas-0-1", phase="Running", start_time=moment(NOW - 1800), gpus=1.0, price_class="spot")
    lost = Fault("NodeLost", "")
    pod = replace(running(runs), phase=AttemptPhase.ENDED, started=None, price_class="spot", disruption=lost)
    made = planned(experiment(budget={"prices": {"spot": 1, "default": 1}}), trials=[runs], attempts=[pod])
    [write] = made.write
    assert (write.status.attempt, write.status.gpu_seconds) == (2, 1800.0)
    assert [(one.price_class, one.seconds) for one in write.status.class_seconds] == [("spot", 1800.0)]
