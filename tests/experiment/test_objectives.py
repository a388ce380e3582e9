"""Scores, fronts and hypervolumes of candidates."""

from __future__ import annotations

from itertools import permutations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenas.api.objective import Objective
from kubenas.api.status import MAX_FRONT
from kubenas.experiment.ledger import Ledger
from kubenas.experiment.objectives import hypervolume, improved, values
from kubenas.space.presets.nasbench201 import NASBench201
from tests.experiment.builders import experiment, observed, planned, stages_of, succeeded

ACCURACY = Objective(metric="accuracy", reference=0.0)
LATENCY = Objective(metric="latency", goal="minimize", reference=10.0)
BOUNDED = Objective(metric="size", goal="minimize", limit=5.0)
TWO = [{"metric": "accuracy", "reference": 0}, {"metric": "latency", "goal": "minimize", "reference": 10}]


def test_objectives_with_a_limit_need_only_be_kept() -> None:
    objectives = [ACCURACY, LATENCY, BOUNDED]
    assert improved(objectives) == [ACCURACY, LATENCY]
    assert values(objectives, {"accuracy": 0.9, "latency": 3.0, "size": 1.0}) == (0.9, -3.0)
    assert improved([BOUNDED]) == [BOUNDED]


def test_hypervolume_is_the_area_between_front_and_references() -> None:
    objectives = [ACCURACY, LATENCY]
    assert hypervolume(objectives, [(0.5, -4.0), (1.0, -8.0)]) == pytest.approx(0.5 * 6 + 0.5 * 2)
    assert hypervolume(objectives, [(0.5, -11.0)]) == hypervolume(objectives, []) == 0.0
    assert hypervolume([ACCURACY], [(0.5,)]) is None
    assert hypervolume([ACCURACY, Objective(metric="latency", goal="minimize")], [(0.5, -4.0)]) is None


def test_front_does_not_depend_on_the_order_in_which_trials_are_read() -> None:
    trials = [
        succeeded(0, 1, 0.5, latency=4.0),
        succeeded(1, 2, 0.9, latency=8.0),
        succeeded(2, 3, 0.5, latency=4.0),
        succeeded(3, 4, 0.4, latency=5.0),
        succeeded(4, 5, 0.7, latency=8.5),
    ]
    of = experiment(objectives=TWO)
    for order in permutations(trials):
        ledger = Ledger(NASBench201(), stages_of(of))
        for trial in order:
            ledger.put(trial)
        assert [judged.trial for judged in ledger.stage(None).front.members] == [1, 0]


def test_what_does_not_change_the_front_leaves_it_as_it_is() -> None:
    """So nothing is worked out again at reconciles that no better candidate has come before."""
    of = experiment(objectives=TWO)
    ledger = Ledger(NASBench201(), stages_of(of))
    ledger.put(succeeded(0, 1, 0.5, latency=4.0))
    front = ledger.stage(None).front
    ledger.put(succeeded(1, 2, 0.4, latency=5.0))
    assert ledger.stage(None).front is front
    ledger.put(succeeded(2, 3, 0.9, latency=8.0))
    assert [judged.trial for judged in ledger.stage(None).front.members] == [2, 0]
    assert ledger.stage(None).front.hypervolume == pytest.approx(0.5 * 6 + 0.4 * 2)


def test_status_tells_the_front_and_its_hypervolume() -> None:
    of = experiment(objectives=TWO)
    status = planned(of, trials=[succeeded(0, 1, 0.5, latency=4.0), succeeded(1, 2, 0.9, latency=8.0)]).status
    assert status is not None
    assert [best.trial for best in status.pareto_front] == ["nas-1", "nas-0"]
    assert status.hypervolume == pytest.approx(0.5 * 6 + 0.4 * 2)
    alone = planned(experiment(), trials=[succeeded(0, 1, 0.5)]).status
    assert alone is not None
    assert (alone.pareto_front, alone.hypervolume) == ([], None)


@given(st.lists(st.tuples(st.integers(0, 60), st.integers(0, 60)), min_size=1, max_size=80, unique=True))
def test_front_is_what_nothing_dominates_and_its_status_is_bounded(points: list[tuple[int, int]]) -> None:
    of = experiment(objectives=TWO)
    trials = [succeeded(n, n + 1, float(a), latency=float(b)) for n, (a, b) in enumerate(points)]
    front = observed(of, trials=trials).ledger.stage(None).front.members
    undominated = [p for p in points if not any(q != p and q[0] >= p[0] and q[1] <= p[1] for q in points)]
    assert sorted(points[judged.trial] for judged in front) == sorted(undominated)
    status = planned(of, trials=trials).status
    assert status is not None
    told = [best.trial for best in status.pareto_front]
    assert len(told) == min(len(front), MAX_FRONT)
    assert told[0] == f"nas-{front[0].trial}"
    assert told[-1] == f"nas-{front[-1].trial}"
