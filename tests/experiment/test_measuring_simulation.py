"""Whole experiments with a device, on a world of accidents: what is measured, and that none hangs or loses a result."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubenas.experiment.spending import Spent
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


# Of the trials' pods, and of the board's.
PRICES = {"default": 1.0, "board": 3.0}
BUDGETS = st.none() | st.floats(0.01, 0.1)
# Between what happens and the reconcile that hears of it.
LATE = 0.5


def searched(limit: float | None, **spec: Any) -> Any:
    device = {
        "nodeSelector": {"board": "phone"},
        "maxWait": "20m",
        "priceClass": "board",
        "resources": {"limits": {"nvidia.com/gpu": 1}},
    }
    bound = {} if limit is None else {"limit": limit}
    given = {
        "storage": {"volumeClaim": "kept"},
        "search": {"algorithm": "regularized-evolution"},
        "trials": {"max": 12, "parallelism": 3, "maxFailures": 1000},
        "budget": {"prices": PRICES},
    }
    objectives = [
        {"metric": "accuracy"},
        {"metric": "board_ms", "goal": "minimize", "measuredOn": device, **bound},
    ]
    return experiment(objectives=objectives, **{**given, **spec})


@SLOW
@given(LIMITS, BUDGETS, CHANCES, SEEDS)
def test_what_must_hold_whatever_happens(limit: float | None, cost: float | None, chances: Chances, seed: int) -> None:
    """Beside what the world itself asserts: one at a time, no value that no device has said, no experiment hangs."""
    world = run(searched(limit, budget={"prices": PRICES, **({"cost": cost} if cost else {})}), chances, seed)
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
    if not world.deleted_trials:
        assert_what_has_run_is_counted_once(world)
        assert world.late <= 1, "more than one trial was made after the budget was spent"
        assert world.measured_late <= 1, "a device measures what the budget has nothing left for"


SLOWLY = {"evaluation": {"epochs": 12}, "trials": {"max": 9, "parallelism": 3, "maxFailures": 1000}}
KINDS: dict[str, dict[str, Any]] = {
    "several candidates": {"trials": {"max": 4, "parallelism": 2, "maxFailures": 1000, "candidatesPerTrial": 3}},
    "seeds": {"evaluation": {"epochs": 3, "seeds": 2}},
    "stopped": {**SLOWLY, "fidelity": {"scheduler": "asha", "eta": 2}},
    "promoted": {**SLOWLY, "fidelity": {"scheduler": "asha", "mode": "promotion", "eta": 2}},
    "stages": {
        "stages": [
            {"name": "screen", "trials": {"max": 6}, "keep": {"top": 3}},
            {"name": "final", "evaluation": {"epochs": 6, "seeds": 2}},
        ]
    },
}


@settings(examples(6), suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(sorted(KINDS)), LIMITS, st.sampled_from(["all", "best", "none"]), CHANCES, SEEDS)
def test_each_whole_training_of_the_last_stage_is_measured_once(
    kind: str, limit: float | None, keep: str, chances: Chances, seed: int
) -> None:
    """Whatever else a search does. The world asserts that no network is removed before."""
    world = run(searched(limit, **{**KINDS[kind], "storage": {"volumeClaim": "kept", "keep": keep}}), chances, seed)
    last, values = world.stages[-1], list[float]()
    trainings = list[tuple[int, str]]()
    for trial in world.trials.values():
        early = {one.candidate for one in trial.status.stopped_candidates}
        whole = [one for one in trial.candidates if one.epochs == last.epochs and one.id not in early]
        ids = [one.candidate for one in trial.status.measurements]
        trainings += [(trial.begun_by, one) for one in ids]
        assert {*ids} <= ({one.id for one in whole} if trial.stage == last.name else set())
        if trial.status.phase == "Succeeded" and trial.stage == last.name and (limit is None or last.seeds > 1):
            assert len(ids) == len(whole)
        measured = {one.candidate for one in trial.status.measurements if one.node is not None}
        values += [
            accuracy(one) for one in whole if one.id in measured and drawn(one.architecture, "board_ms") <= (limit or 1)
        ]
    assert len(trainings) == len({*trainings}), "a training is measured twice"
    best = world.experiment.status.best
    assert (best.value if best else None) == pytest.approx(max(values, default=None))


def assert_what_has_run_is_counted_once(world: World) -> None:
    """On devices; of trials' own pods a budget may stop one that was not yet heard to run."""
    statuses, true, counted = [trial.status for trial in world.trials.values()], world.seconds(), Spent()
    for status in statuses:
        counted += Spent.of(status)
    slack = LATE * len(world.ran)
    assert counted.classes.get("board", 0) / 1000 == pytest.approx(true.get("board", 0.0), abs=slack)
    assert counted.gpu == sum(counted.classes.values())
    board = sum(one.seconds for status in statuses for one in status.measurements)
    assert board == pytest.approx(counted.classes.get("board", 0) / 1000, abs=0.01 * len(world.ran))
    cost = world.experiment.status.cost
    assert cost is not None
    assert cost.total == pytest.approx(counted.cost(PRICES), rel=0.01, abs=1e-3)


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
