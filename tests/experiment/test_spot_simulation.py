"""Experiments on spot nodes that are taken back, with crashes: what is counted is what has run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubenas.api.experiment import NASExperiment
from kubenas.api.validate import read_experiment
from kubenas.experiment.spending import Spent, budget_spent
from kubenas.experiment.state import Trial
from tests.experiment.builders import experiment
from tests.experiment.simulation import Chances, World, run
from tests.properties import examples

SLOW = settings(examples(20), suppress_health_check=[HealthCheck.too_slow])
PRICES = {"spot": 0.5, "on-demand": 3.0}
# Between what happens and the reconcile that hears of it.
LATE = 0.5
ENDS = ("Succeeded", "Failed")
FIDELITIES = [{}, {"scheduler": "median", "minResults": 2}, {"scheduler": "asha", "mode": "promotion", "eta": 2}]


@st.composite
def experiments(draw: st.DrawFn) -> NASExperiment:
    budget: dict[str, Any] = {"prices": PRICES}
    kind = draw(st.sampled_from(["cost", "gpuHours", None]))
    if kind is not None:
        budget[kind] = draw(st.floats(0.001, 0.05))
    after, fidelity = draw(st.integers(1, 3)), draw(st.sampled_from(FIDELITIES))
    return experiment(
        search={"algorithm": "random", "seed": draw(st.integers(0, 9))},
        evaluation={"epochs": 12, "seeds": 1 if fidelity else draw(st.integers(1, 2))},
        fidelity=fidelity,
        trials={"max": draw(st.integers(1, 12)), "parallelism": draw(st.integers(1, 4)), "maxFailures": 1000},
        budget=budget,
        trialTemplate={
            "priceClass": "spot",
            "alternatives": [{"afterDisruptions": after, "priceClass": "on-demand"}],
        },
    )


CHANCES = st.builds(
    Chances,
    crash=st.sampled_from([0.0, 0.02, 0.2]),
    delivery=st.sampled_from([0.1, 1.0]),
    failure=st.sampled_from([0.0, 0.3]),
    disruption=st.sampled_from([0.3, 0.9]),
    pod_deletion=st.sampled_from([0.0, 0.2]),
    skew=st.sampled_from([0.0, 2.0, 3600.0]),
)


# Up and down, while it runs.
BUDGETS = st.lists(
    st.tuples(
        st.floats(0, 100),
        st.fixed_dictionaries({}, optional={"cost": st.floats(0.001, 0.05), "gpu_hours": st.floats(0.001, 0.05)}),
    ),
    max_size=3,
)


@SLOW
@given(experiments(), CHANCES, BUDGETS, st.integers(0, 2**32))
def test_what_has_run_is_counted_once_and_budgets_hold(
    of: NASExperiment, chances: Chances, budgets: list[tuple[float, dict[str, float]]], seed: int
) -> None:
    world = run(of, chances, seed, budgets=budgets)
    trials = [world.trials[number] for number in sorted(world.trials)]
    counted: dict[str, float] = {}
    for trial in trials:
        for one in trial.status.class_seconds:
            counted[one.price_class] = counted.get(one.price_class, 0.0) + one.seconds
    true, slack = world.seconds(), (LATE + world.unknown) * len(world.ran)
    for name in PRICES:
        assert counted.get(name, 0.0) >= true.get(name, 0.0) - slack
        # What is deleted before it was read may have run until that is noticed.
        assert counted.get(name, 0.0) <= true.get(name, 0.0) + slack or chances.pod_deletion
    assert sum(trial.status.gpu_seconds for trial in trials) == pytest.approx(sum(counted.values()))
    assert world.late <= 1, "more than one trial was made after the budget was spent"
    cut_short = [t for t in trials if t.status.phase == "Pruned" and t.status.conditions[0].reason == "BudgetExhausted"]
    spent = budget_spent(world.experiment.spec.budget, sum((Spent.of(t.status) for t in trials), Spent()))
    ended = {c.reason for c in world.experiment.status.conditions if c.status == "True" and c.type in ENDS}
    assert ended == {"BudgetExhausted"} or not (cut_short and spent)
    assert ended != {"BudgetExhausted"} or spent
    assert_classes_follow_disruptions(of, world, trials)
    cost = world.experiment.status.cost
    assert cost is not None
    assert cost.total == pytest.approx(sum(one.hours * PRICES[one.price_class] for one in cost.classes), abs=1e-3)


def assert_classes_follow_disruptions(of: NASExperiment, world: World, trials: list[Trial]) -> None:
    """Of each trial so many attempts as were disrupted are spot at most, and none is after an on-demand one."""
    (alternative,) = of.spec.trial_template.alternatives
    for trial in trials:
        names = [f"{trial.name}-{number}" for number in range(1, trial.status.attempt + 1)]
        classes = [world.classes[name] for name in names if name in world.classes]
        assert classes == sorted(classes, reverse=True), "spot again after on-demand"
        assert ("on-demand" in classes) <= (trial.status.disruptions >= alternative.after_disruptions)
        assert trial.status.disruptions + trial.status.failures <= trial.status.attempt


def test_the_example_of_spot_nodes_ends_within_its_budget_whatever_is_taken_away() -> None:
    document = yaml.safe_load((Path(__file__).parents[2] / "examples" / "spot.yaml").read_text())
    world = run(read_experiment(document), Chances(disruption=0.9, crash=0.02), seed=1)
    status = world.experiment.status
    assert status.cost is not None
    assert {one.price_class for one in status.cost.classes} == {"spot", "on-demand"}
    assert 0 < (status.cost.total or 0) < 20
    assert {trial.status.phase for trial in world.trials.values()} == {"Succeeded"}
    assert sum(trial.status.failures for trial in world.trials.values()) == 0
    assert max(trial.status.disruptions for trial in world.trials.values()) == 2, "none is taken away on demand"
    assert status.best is not None
