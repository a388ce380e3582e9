"""Whole experiments with schedulers, on a world of accidents: who is stopped, and what becomes of it."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubenas.api.experiment import NASExperiment
from kubenas.experiment.curves import curves_of, steps_at
from kubenas.experiment.state import Trial
from kubenas.search.base import History, Observation
from kubenas.search.load import build_strategy
from kubenas.space.load import build_space
from tests.experiment.builders import experiment, stages_of
from tests.experiment.simulation import Chances, Controller, World, accuracy, learned, run
from tests.properties import examples

SLOW = settings(examples(10), suppress_health_check=[HealthCheck.too_slow])
SEEDS = st.integers(0, 2**32)
SCHEDULERS: list[dict[str, Any]] = [
    {"scheduler": "asha", "eta": 2},
    {"scheduler": "asha", "minEpochs": 3, "top": 4},
    {"scheduler": "hyperband"},
    {"scheduler": "median", "minResults": 2},
    {"scheduler": "patience", "patience": 3},
    {"scheduler": "extrapolation", "minResults": 3, "chance": 0.3},
    {"scheduler": "one-epoch", "top": 2},
]
PROMOTING: list[dict[str, Any]] = [
    {"scheduler": "asha", "mode": "promotion", "eta": 2},
    {"scheduler": "asha", "mode": "promotion", "minEpochs": 3, "top": 6},
    {"scheduler": "pasha", "eta": 2, "top": 3},
]
EPOCHS = 12
CHANCES = st.builds(
    Chances,
    crash=st.sampled_from([0.0, 0.02, 0.2]),
    delivery=st.sampled_from([0.3, 1.0]),
    failure=st.sampled_from([0.0, 0.2]),
    silence=st.sampled_from([0.0, 0.3]),
    disruption=st.sampled_from([0.0, 0.3]),
    reading=st.sampled_from([0.5, 1.0]),
    sample=st.sampled_from([0.3, 1.0]),
)


def searched(fidelity: dict[str, Any], **spec: Any) -> NASExperiment:
    given = {"search": {"algorithm": "regularized-evolution"}, "evaluation": {"epochs": EPOCHS}, "fidelity": fidelity}
    return experiment(**{**given, "trials": {"max": 16, "parallelism": 4, "maxFailures": 1000}, **spec})


@SLOW
@given(st.sampled_from(SCHEDULERS), CHANCES, SEEDS)
def test_what_must_hold_whatever_happens(fidelity: dict[str, Any], chances: Chances, seed: int) -> None:
    of = searched(fidelity)
    world = run(of, chances, seed)
    trials = [world.trials[number] for number in sorted(world.trials)]
    assert all(trial.finished for trial in trials)
    first = min(stages_of(of)[0].rungs)
    for trial in trials:
        if trial.status.phase != "Pruned":
            continue
        (only,) = trial.candidates
        assert trial.status.conditions[0].reason == "StoppedEarly"
        (result,) = trial.status.results
        assert result.step >= first, "it is stopped before the first rung"
        assert [(m.name, m.value) for m in result.metrics] == [("accuracy", learned(only, result.step, EPOCHS))]
        assert rungs(trial).keys() <= set(stages_of(of)[0].rungs)
    whole = [come_to(trial) for trial in trials if trial.status.phase == "Succeeded"]
    best = world.experiment.status.best
    assert (best.value if best else None) == max(whole, default=None)
    assert_the_strategy_saw_values_at_rungs(world, trials)
    assert Controller(world).reconcile()[1] is False, "a restart after the end finds something to do"


def come_to(trial: Trial) -> float:
    """What a trial with a result has come to, at its end or where it no longer improved."""
    (only,), (result,) = trial.candidates, trial.status.results
    return learned(only, result.step, EPOCHS)


def rungs(trial: Trial) -> dict[int, float]:
    """What is written down of a trial's values at rungs."""
    curve = curves_of(trial.status.curve).get("0", {})
    return {rung: curve[step]["accuracy"] for rung, step in steps_at(curve, range(1, 13)).items()}


def assert_the_strategy_saw_values_at_rungs(world: World, trials: list[Trial]) -> None:
    """Each proposal follows from what is written down, those that were stopped among it."""
    stage, space = stages_of(world.experiment)[0], build_space(world.experiment.spec.search_space)
    if [trial.number for trial in trials] != list(range(len(trials))):
        return
    for trial in trials:
        history = History(space)
        known = sorted(
            (t for t in trials if (t.status.order or 0) <= trial.results_seen), key=lambda t: t.status.order or 0
        )
        for one in known:
            architecture = space.parse(one.candidates[0].architecture or {})
            history.propose([architecture])
            history.observe(observation(one, architecture))
        for other in trials[: trial.number]:
            if other not in known:
                history.propose([space.parse(other.candidates[0].architecture or {})])
        if trial.continues is not None:
            continue
        assert stage.search is not None
        (proposal,) = build_strategy(stage.search, space).propose(history, 1)
        assert proposal == space.parse(trial.candidates[0].architecture or {})


def observation(trial: Trial, architecture: Any) -> Observation:
    if trial.status.phase == "Succeeded" and trial.candidates[0].epochs != EPOCHS:
        value, epochs = come_to(trial), trial.candidates[0].epochs
        return Observation(architecture, (0.0, value), (value,), epochs=epochs)
    if trial.status.phase == "Succeeded":
        value = come_to(trial)
        return Observation(architecture, (0.0, value), (value,))
    seen = {rung: value for rung, value in rungs(trial).items() if rung in (1, 2, 3, 4, 6, 8, 9)}
    if trial.status.phase == "Failed" or not seen:
        return Observation(architecture, None)
    return Observation(architecture, (0.0, seen[max(seen)]), (seen[max(seen)],), epochs=max(seen))


def test_schedulers_stop_some_and_never_all() -> None:
    """The simulation is worth nothing if nothing is stopped in it."""
    for fidelity in SCHEDULERS:
        ended = [trial.status for trial in run(searched(fidelity), Chances(), 1).trials.values()]
        assert "Succeeded" in {status.phase for status in ended}
        reason = "NoImprovement" if fidelity["scheduler"] == "patience" else "StoppedEarly"
        assert reason in {status.conditions[0].reason for status in ended}


@SLOW
@given(st.sampled_from(PROMOTING), CHANCES, st.sampled_from([0.0, 0.2]), st.sampled_from(["all", "best"]), SEEDS)
def test_promoted_trainings_go_on_whatever_happens(
    fidelity: dict[str, Any], chances: Chances, deletion: float, keep: str, seed: int
) -> None:
    """An operator that is killed between any two writes promotes each training once, from where it has ended."""
    of = searched(fidelity, storage={"volumeClaim": "artifacts", "keep": keep})
    world = run(of, replace(chances, trial_deletion=deletion), seed)
    (stage,), trials = stages_of(of), [world.trials[number] for number in sorted(world.trials)]
    assert all(trial.finished for trial in trials)
    whole = [come_to(t) for t in trials if t.status.phase == "Succeeded" and t.candidates[0].epochs == EPOCHS]
    best = world.experiment.status.best
    assert (best.value if best else None) == max(whole, default=None)
    assert {trial.candidates[0].epochs for trial in trials} <= {*stage.rungs, EPOCHS}
    assert all(trial.candidates[0].epochs == stage.rungs[0] for trial in trials if trial.continues is None)
    if deletion == 0.0:
        assert len([trial for trial in trials if trial.continues is None]) == 16
        failed = sum(trial.status.phase == "Failed" for trial in trials)
        assert len(whole) + failed >= min(16, fidelity.get("top", 1)), "it ends with some waiting"
        assert_the_strategy_saw_values_at_rungs(world, trials)
    assert Controller(world).reconcile()[1] is False, "a restart after the end finds something to do"


@SLOW
@given(CHANCES, SEEDS)
def test_one_epoch_ends_with_the_best_after_one_epoch(chances: Chances, seed: int) -> None:
    of = searched({"scheduler": "one-epoch", "top": 2}, search={"algorithm": "random"})
    # What an attempt that failed has shown is forgotten, and what was never read is not known.
    trials = run(of, replace(chances, failure=0.0, reading=1.0, sample=1.0), seed).trials.values()
    first = {trial.number: learned(trial.candidates[0], 1, EPOCHS) for trial in trials if 1 in rungs(trial)}
    best = sorted(first, key=first.__getitem__)[-2:]
    assert all(trial.status.phase != "Pruned" for trial in trials if trial.number in best)


@SLOW
@given(CHANCES, SEEDS)
def test_trials_of_two_candidates_end_whatever_happens(chances: Chances, seed: int) -> None:
    """Their trainers do not heed what is stopped: that stays no result all the same."""
    of = searched({"scheduler": "asha", "eta": 2}, trials={"max": 8, "parallelism": 3, "candidatesPerTrial": 2})
    world = run(of, chances, seed)
    whole = []
    for trial in world.trials.values():
        assert trial.finished
        stopped = {one.candidate for one in trial.status.stopped_candidates}
        if trial.status.phase == "Succeeded":
            whole += [accuracy(one) for one in trial.candidates if one.id not in stopped]
    best = world.experiment.status.best
    assert (best.value if best else None) == max(whole, default=None)
