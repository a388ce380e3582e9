"""Whose checkpoints are removed: of what was outdone, and never what anybody may still need."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubenas.api.experiment import NASExperiment
from kubenas.experiment.kept_checkpoints import removable
from kubenas.experiment.ledger import Ledger
from kubenas.space.load import build_space
from tests.experiment.builders import experiment, observed, planned, status_of, succeeded, trial
from tests.experiment.simulation import Chances, run
from tests.properties import examples

CLAIM = {"volumeClaim": "artifacts"}
TWO = [{"metric": "accuracy"}, {"metric": "latency_ms", "goal": "minimize"}]
SPACE = {"parameters": [{"name": n, "type": "int", "min": 1, "max": 9} for n in ("w", "d")]}
# Accuracy and latency of trials in order of ending: the first, fourth and fifth are the front.
VALUES = [(0.5, 1.0), (0.4, 3.0), (0.6, 9.0), (0.7, 5.0), (0.9, 8.0), (0.9, 8.0)]
ENDED = [succeeded(n, n + 1, accuracy, latency_ms=latency) for n, (accuracy, latency) in enumerate(VALUES)]


def found(keep: Any, *trials: Any, over: bool = False, **spec: Any) -> list[int]:
    of = experiment(**{"objectives": TWO, "storage": {**CLAIM, "keep": keep}, **spec})
    seen = observed(of, trials)
    return [*removable(keep, seen.stages, seen.ledger, over=over)]


@pytest.mark.parametrize(
    ("keep", "removed"), [("best", [0, 1, 2, 3, 5]), ("front", [1, 2, 5]), ("none", [0, 1, 2, 3, 4, 5])]
)
def test_what_was_outdone_is_removed(keep: str, removed: list[int]) -> None:
    assert found(keep, *ENDED) == found(keep, *ENDED, over=True) == removed


def test_what_has_no_result_stays_until_its_stage_has_ended() -> None:
    """A failed one may be tried again by hand, and of the stopped ones a scheduler may have some go on."""
    others = [trial(6, phase="Failed", order=7), trial(7, phase="Pruned", order=8), trial(8, phase="Running")]
    assert found("best", *ENDED, *others) == [0, 1, 2, 3, 5]
    assert found("best", *ENDED, *others, over=True) == [0, 1, 2, 3, 5, 6, 7]


def test_a_candidate_that_was_stopped_beside_others_stays_too() -> None:
    values = [{"name": "accuracy", "value": 0.1}, {"name": "latency_ms", "value": 9.0}]
    both = [{"candidate": one, "step": 3, "source": "Pod", "metrics": values} for one in ("0", "1")]
    stopped = [{"candidate": "1", "epoch": 1, "message": "it was behind"}]
    mixed = trial(6, candidates=2, phase="Succeeded", order=7, results=both, stoppedCandidates=stopped)
    assert found("best", *ENDED, mixed) == [0, 1, 2, 3, 5]
    whole = trial(6, candidates=2, phase="Succeeded", order=7, results=both)
    assert found("best", *ENDED, whole) == [0, 1, 2, 3, 5, 6]


def test_where_nothing_has_a_result_all_stays() -> None:
    others = [trial(0, phase="Failed", order=1), trial(1, phase="Pruned", order=2)]
    assert found("best", *others, over=True) == []
    assert found("none", *others, over=True) == [0, 1]


def test_where_all_break_a_limit_the_least_bad_one_stays() -> None:
    objectives = [{"metric": "accuracy"}, {"metric": "latency_ms", "goal": "minimize", "limit": 0.5}]
    assert found("best", *ENDED, objectives=objectives) == [1, 2, 3, 4, 5]


def test_it_is_done_for_several_at_once_and_at_the_end() -> None:
    many = [succeeded(n, n + 1, n / 100) for n in range(9)]
    of = experiment(storage={**CLAIM, "keep": "best"}, trials={"max": 10})
    assert planned(of, trials=many[:8]).remove is None
    first = planned(of, trials=many)
    assert first.remove is not None
    assert (first.remove.trials, first.remove.before) == ((0, 1, 2, 3, 4, 5, 6, 7), 0)
    status = status_of(first)
    assert status.checkpoints_removed == 8
    of = of.model_copy(update={"status": status})
    assert planned(of, trials=many).remove is None
    last = planned(of, trials=[*many, succeeded(9, 10, 0.9)])
    assert last.remove is not None
    assert (last.remove.trials, last.remove.before) == ((*range(9),), 8)
    assert status_of(last).checkpoints_removed == 9
    of = of.model_copy(update={"status": status_of(last)})
    assert planned(of, trials=[*many, succeeded(9, 10, 0.9)]).remove is None


def test_without_a_word_all_stay() -> None:
    made = planned(experiment(storage=CLAIM, trials={"max": 6}), trials=ENDED)
    assert made.remove is None
    assert status_of(made).checkpoints_removed is None


@st.composite
def experiments(draw: st.DrawFn) -> NASExperiment:
    """One stage, or two of which the second goes on with what the first has kept, with several seeds or one."""
    keep = draw(st.sampled_from([{"top": 3}, {"front": True, "max": 2}]))
    stages = [
        {"name": "wide", "evaluation": {"epochs": 1}, "trials": {"max": 12}, "keep": keep},
        {"name": "last", "evaluation": {"epochs": 3, "seeds": draw(st.integers(1, 2))}},
    ]
    return experiment(
        searchSpace=SPACE,
        search={"algorithm": "random"},
        storage={**CLAIM, "keep": draw(st.sampled_from(["best", "front", "none"]))},
        trials={"max": 12, "parallelism": draw(st.integers(1, 4)), "retries": 20, "maxFailures": 1000},
        **(
            {"stages": stages}
            if draw(st.booleans())
            else {"evaluation": {"epochs": 3, "seeds": draw(st.integers(1, 2))}}
        ),
    )


CHANCES = st.builds(
    Chances,
    crash=st.sampled_from([0.0, 0.1]),
    failure=st.sampled_from([0.0, 0.3]),
    disruption=st.sampled_from([0.0, 0.3]),
    trial_deletion=st.sampled_from([0.0, 0.0, 0.1]),
)


@settings(examples(12), suppress_health_check=[HealthCheck.too_slow])
@given(experiments(), CHANCES, st.integers(0, 2**32))
def test_what_is_needed_is_never_removed(of: NASExperiment, chances: Chances, seed: int) -> None:
    """The world asserts that no trial goes on from what was removed, and that nothing is needed again."""
    world = run(of, chances, seed)
    status, storage = world.experiment.status, of.spec.storage
    assert storage is not None
    if world.deleted_trials:
        return
    named = {
        int(one.trial.rpartition("-")[2]) for one in [*status.pareto_front, *([status.best] if status.best else [])]
    }
    assert storage.keep == "none" or not named & world.removed
    space = build_space(of.spec.search_space)
    ledger = Ledger(space, world.stages)
    for one in world.trials.values():
        ledger.put(one)
    assert world.removed == {*removable(storage.keep, world.stages, ledger, over=True)}
    if storage.keep == "none":
        assert world.removed == {*world.trials}
    if storage.keep == "best" and not of.spec.stages:
        assert len(world.trials) - len(world.removed) <= of.spec.evaluation.seeds
