"""Whole experiments with a device, on a world of accidents: what is measured, and that none hangs or loses a result."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.experiment.builders import experiment
from tests.experiment.simulation import Board, Chances, Controller, World, accuracy, drawn, run
from tests.properties import examples

SLOW = settings(examples(12), suppress_health_check=[HealthCheck.too_slow])
SEEDS = st.integers(0, 2**32)
CHANCES = st.builds(
    Chances,
    crash=st.sampled_from([0.0, 0.02, 0.2]),
    delivery=st.sampled_from([0.3, 1.0]),
    failure=st.sampled_from([0.0, 0.2]),
    disruption=st.sampled_from([0.0, 0.3]),
    trial_deletion=st.sampled_from([0.0, 0.1]),
    measurement_failure=st.sampled_from([0.0, 0.5]),
    away=st.sampled_from([0.0, 0.3]),
)
LIMITS = st.sampled_from([None, 0.3, 0.9])


def searched(limit: float | None, **spec: Any) -> Any:
    device = {"nodeSelector": {"board": "phone"}, "maxWait": "20m"}
    bound = {} if limit is None else {"limit": limit}
    return experiment(
        objectives=[{"metric": "accuracy"}, {"metric": "board_ms", "goal": "minimize", "measuredOn": device, **bound}],
        storage={"volumeClaim": "kept"},
        search={"algorithm": "regularized-evolution"},
        **{"trials": {"max": 12, "parallelism": 3, "maxFailures": 1000}, **spec},
    )


@SLOW
@given(LIMITS, CHANCES, SEEDS)
def test_what_must_hold_whatever_happens(limit: float | None, chances: Chances, seed: int) -> None:
    """Beside what the world itself asserts: one at a time, no value that no device has said, no experiment hangs."""
    world = run(searched(limit), chances, seed)
    assert not world.benchmarks or all(one.gone_by is not None for one in world.benchmarks.values())
    assert all(trial.finished for trial in world.trials.values())
    told: list[float] = []
    for trial in world.trials.values():
        for one in trial.status.measurements:
            assert one.completion_time is not None
            assert (one.node is None) == (one.last_failure is not None)
            if one.node is not None:
                value = drawn(trial.candidates[0].architecture, "board_ms")
                told += [accuracy(trial.candidates[0])] if limit is None or value <= limit else []
        if limit is None and trial.status.phase == "Succeeded":
            assert trial.status.measurements, "a value that is traded off may always be worth it"
    best = world.experiment.status.best
    assert (best.value if best else None) == max(told, default=None)
    assert Controller(world).reconcile()[1] is False, "a restart after the end finds something to do"


@given(SEEDS)
@settings(examples(5))
def test_a_limit_spares_devices_what_cannot_win_and_loses_nothing_by_it(seed: int) -> None:
    """The best is the same as if everything had been measured."""
    world = run(searched(0.5, trials={"max": 16, "parallelism": 1}), Chances(), seed)
    measured = {trial.number for trial in world.trials.values() if trial.status.measurements}
    within = [
        accuracy(trial.candidates[0])
        for trial in world.trials.values()
        if drawn(trial.candidates[0].architecture, "board_ms") <= 0.5
    ]
    best = world.experiment.status.best
    assert (best.value if best else None) == max(within, default=None)
    assert len(measured) < len(world.trials)


def test_a_device_that_never_comes_back_ends_no_search_early_and_none_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tests.experiment.simulation.Board", lambda: Board(last=0.0))
    world: World = run(searched(None), Chances(crash=0.02), seed=1)
    assert len(world.trials) == 12
    reasons = {
        one.last_failure.reason
        for trial in world.trials.values()
        for one in trial.status.measurements
        if one.last_failure
    }
    assert reasons == {"DeviceUnavailable"}
    found = {one.type: one for one in world.experiment.status.conditions}
    assert (found["Failed"].status, found["Failed"].reason) == ("True", "NothingMeasured")
    assert (found["DevicesAvailable"].status, found["DevicesAvailable"].reason) == ("False", "DeviceUnavailable")
    ends = [trial.status.measurements[0].queued_time.timestamp() for trial in world.trials.values()]
    assert world.now - max(ends) < 2 * 20 * 60, "it waits once, not once for each"
