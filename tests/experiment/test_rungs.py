"""Curves at rungs, and trials that are stopped there."""

from __future__ import annotations

import json
from dataclasses import replace
from random import Random
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kubenas.api.experiment import NASExperiment
from kubenas.api.trial import MAX_CURVE_POINTS
from kubenas.experiment.curves import EPOCH, curves_of, gathered, merged, steps_at
from kubenas.experiment.state import Attempt, Curves, Fault, Readings, Trial
from kubenas.experiment.validation import resolve_spec
from tests.experiment.builders import NOW, candidate, ended, experiment, observed, planned, results, running, trial

RUNGS = (1, 3, 9, 27, 81)
FOUR = [candidate(i) for i in range(4)]


def asha(**spec: Any) -> NASExperiment:
    given = {"fidelity": {"scheduler": "asha"}, "evaluation": {"epochs": 12}}
    return experiment(**{**given, "trials": {"max": 20, "parallelism": 6}, **spec})


def test_values_at_rungs_outlive_any_thinning() -> None:
    """Of sixteen candidates, read one step at a time."""
    those = [candidate(i) for i in range(16)]
    curves: Curves = {}
    points = merged([], None, those, ["a"], RUNGS)
    for step in range(1, 300):
        read = {c.id: {step: {"a": step + int(c.id) / 16, "b": 1.0}} for c in those}
        curves = gathered(curves, read, those, ["a"], RUNGS)
        points = merged(points, read, those, ["a"], RUNGS)
        assert len(points) <= MAX_CURVE_POINTS + 16 * len(RUNGS)
    for known in (curves, curves_of(points)):
        for one in those:
            assert {rung: known[one.id][rung]["a"] for rung in RUNGS} == {r: r + int(one.id) / 16 for r in RUNGS}


@given(st.randoms(use_true_random=False), st.integers(1, 4))
def test_the_order_of_samples_changes_no_rung(rng: Random, per_epoch: int) -> None:
    """Steps count batches here: the first one with so many epochs is the rung, whenever it is read."""
    curve = {step: {"a": rng.random(), EPOCH: float(step // per_epoch)} for step in range(1, 100)}
    samples = [*curve, *rng.choices([*curve], k=30)]
    rng.shuffle(samples)
    curves: Curves = {}
    for step in samples:
        curves = gathered(curves, {"0": {step: curve[step]}}, [candidate()], ["a"], RUNGS)
    read = merged([], curves, [candidate()], ["a"], RUNGS)
    for known in (curves["0"], curves_of(read)["0"]):
        found = steps_at(known, RUNGS)
        # A step that is read late may follow one that has stood for its rung, and was kept as such.
        assert {rung: known[step]["a"] for rung, step in found.items()} == {
            rung: curve[step]["a"] for rung, step in found.items()
        }
        if per_epoch == 1:
            assert found == {rung: rung for rung in RUNGS if rung < 100}


def test_an_attempt_that_goes_on_keeps_the_rungs_of_those_before() -> None:
    known = merged([], {"0": {1: {"a": 0.1}, 3: {"a": 0.3}, 5: {"a": 0.5}}}, FOUR, ["a"], RUNGS)
    resumed = curves_of(merged(known, {"0": {4: {"a": 0.4}, 9: {"a": 0.9}}}, FOUR, ["a"], RUNGS))
    assert steps_at(resumed["0"], RUNGS) == {1: 1, 3: 3, 9: 9}
    anew = curves_of(merged(known, {"0": {1: {"a": 0.2}}}, FOUR, ["a"], RUNGS))
    assert anew == {"0": {1: {"a": 0.2}}}, "one that began anew has come to no more than it shows"


def world(*values: dict[int, float]) -> tuple[list[Trial], list[Attempt], Readings]:
    """Running trials 0, 1, … with what was read of each."""
    trials = [trial(number) for number in range(len(values))]
    curves = [{step: {"accuracy": value} for step, value in curve.items()} for curve in values]
    read = {one.attempt_name: {"0": curve} for one, curve in zip(trials, curves, strict=True)}
    return trials, [running(one, started=NOW - 1) for one in trials], Readings(read_at=NOW, curves=read)


def test_a_candidate_that_loses_at_a_rung_is_pruned_with_its_last_value() -> None:
    trials, attempts, readings = world({1: 0.1, 2: 0.15}, {1: 0.2}, {1: 0.3})
    todo = planned(asha(), trials=trials, attempts=attempts, readings=readings)
    assert [(w.trial.number, w.status.phase, w.status.order) for w in todo.write] == [
        (0, "Pruned", 1),
        (1, "Pruned", 2),
    ]
    lost = todo.write[0].status
    assert [(r.step, r.metrics[0].value) for r in lost.results] == [(2, 0.15)]
    assert lost.value == 0.15
    assert lost.conditions[0].reason == "StoppedEarly"
    assert "2 of 3 candidates were better after 1 epochs" in lost.conditions[0].message
    assert todo.stop == (), "the pod goes once that is written"
    written = [replace(t, status=w.status) for t, w in zip(trials[:2], todo.write, strict=True)]
    after = planned(asha(), trials=[*written, trials[2]], attempts=attempts, readings=readings)
    assert {a.trial for a in after.stop} == {"nas-0", "nas-1"}


def patient(**spec: Any) -> NASExperiment:
    return asha(fidelity={"scheduler": "patience", "patience": 2}, **spec)


def test_what_no_longer_improves_has_a_result() -> None:
    """Its last value; it can be the best, reach the goal, and go on to the next stage."""
    trials, attempts, readings = world({2: 0.3, 4: 0.3, 5: 0.25})
    todo = planned(patient(), trials=trials, attempts=attempts, readings=readings)
    (write,) = todo.write
    assert (write.status.phase, write.status.value) == ("Succeeded", 0.25)
    assert [(r.step, r.metrics[0].value) for r in write.status.results] == [(5, 0.25)]
    (finished,) = write.status.conditions
    assert (finished.reason, finished.message) == ("NoImprovement", "2 epochs without an improvement, after 4 epochs")
    written = [replace(write.trial, status=write.status, resource_version="2")]
    stages = [{"name": "first", "keep": {"top": 1}}, {"name": "second"}]
    seen = observed(patient(), written)
    assert [(one.score, one.epochs) for one in seen.ledger.history(seen.stages[0]).scored] == [((0.0, 0.25), None)]
    best = seen.ledger.stage(None).best
    assert best is not None
    assert best.metrics == {"accuracy": 0.25}
    after = planned(patient(), trials=written, attempts=attempts)
    assert [one.trial for one in after.stop] == ["nas-0"]
    assert after.status is not None
    assert after.status.counts is not None
    assert (after.status.counts.succeeded, after.status.counts.pruned) == (1, 0)
    staged = [replace(one, stage="first") for one in written]
    kept = planned(patient(stages=stages, trials={"max": 1}), trials=staged)
    assert [(new.spec.stage, new.spec.candidates[0].architecture) for new in kept.create] == [
        ("second", written[0].candidates[0].architecture)
    ]
    goal = planned(
        patient(objectives=[{"metric": "accuracy", "goal": "maximize", "target": 0.25}]), trials=written
    ).status
    assert goal is not None
    assert {one.type: one.reason for one in goal.conditions}["Succeeded"] == "GoalReached"


def test_of_several_candidates_that_no_longer_improve_all_have_results() -> None:
    trials, attempts, readings = pairs({2: 0.3, 4: 0.3}, {1: 0.2})
    (noted,) = planned(patient(), trials=trials, attempts=attempts, readings=readings).write
    assert [(one.candidate, one.epoch) for one in noted.status.stopped_candidates] == [("0", 4)]
    written = replace(noted.trial, status=noted.status, resource_version="2")
    done = ended(written, results({"accuracy": 0.3}, {"accuracy": 0.2}, step=12))
    (write,) = planned(patient(), trials=[written], attempts=[done]).write
    assert (write.status.phase, write.status.value) == ("Succeeded", 0.3)
    seen = observed(patient(), [replace(written, status=write.status, resource_version="3")])
    assert [one.candidate for one in seen.ledger.stage(None).ranked()] == ["0", "1"]
    early = ended(written, results({"accuracy": 0.3}, step=12))
    again = [{"candidate": one, "epoch": 4, "message": "it stagnates"} for one in ("0", "1")]
    both = trial(candidates=2, phase="Running", pod="nas-0-1", stopped_candidates=again)
    (write,) = planned(patient(), trials=[both], attempts=[replace(early, trial=both.name)]).write
    assert write.status.phase == "Succeeded"


def test_somebody_goes_on_although_those_that_were_stopped_are_better() -> None:
    trials, attempts, readings = world({1: 0.5}, {}, {}, {1: 0.3})
    points = [{"candidate": "0", "step": 1, "metrics": [{"name": "accuracy", "value": value}]} for value in (0.9, 0.8)]
    lost = [trial(n, phase="Pruned", order=n, curve=[point]) for n, point in enumerate(points, 1)]
    left: dict[str, Any] = {"attempts": [attempts[0], attempts[3]], "readings": readings}
    todo = planned(asha(), trials=[trials[0], *lost, trials[3]], **left)
    assert [w.trial.number for w in todo.write if w.status.phase == "Pruned"] == [3]
    won = trial(4, phase="Succeeded", order=3, curve=[points[0]])
    todo = planned(asha(), trials=[trials[0], *lost, trials[3], won], **left)
    assert [w.trial.number for w in todo.write if w.status.phase == "Pruned"] == [0, 3]


def test_what_has_ended_is_compared_with_but_not_stopped() -> None:
    trials, attempts, readings = world({1: 0.1}, {1: 0.2})
    point = {"candidate": "0", "step": 1, "metrics": [{"name": "accuracy", "value": 0.4}]}
    won = trial(2, phase="Succeeded", order=1, curve=[point])
    done = ended(trials[0], results({"accuracy": 0.9}, step=12))
    todo = planned(asha(), trials=[*trials, won], attempts=[done, *attempts[1:]], readings=readings)
    # Among the two that run, it would go on.
    assert {w.trial.number: w.status.phase for w in todo.write} == {0: "Succeeded", 1: "Pruned"}


def test_a_strategy_sees_where_a_candidate_was_stopped_but_it_is_no_result() -> None:
    of = asha()
    trials, attempts, readings = world({1: 0.1, 2: 0.95}, {1: 0.2}, {1: 0.3})
    todo = planned(of, trials=trials, attempts=attempts, readings=readings)
    written = [replace(w.trial, status=w.status, resource_version="2") for w in todo.write]
    seen = observed(of, [*written, trials[2]])
    history = seen.ledger.history(seen.stages[0])
    assert [(o.epochs, o.score, o.values) for o in history.scored] == [(1, (0.0, 0.1), (0.1,)), (1, (0.0, 0.2), (0.2,))]
    assert seen.ledger.stage(None).best is None
    assert seen.ledger.stage(None).ranked() == []


def test_a_waiting_attempt_is_judged_by_what_the_one_before_has_shown() -> None:
    trials, attempts, readings = world({}, {1: 0.2}, {1: 0.3})
    point = {"candidate": "0", "step": 1, "metrics": [{"name": "accuracy", "value": 0.1}]}
    again = trial(0, attempt=2, curve=[point], phase="Pending")
    todo = planned(asha(), trials=[again, *trials[1:]], attempts=attempts[1:], readings=readings)
    assert {w.trial.number: w.status.phase for w in todo.write} == {0: "Pruned", 1: "Pruned"}


def test_a_failure_stays_one() -> None:
    trials, attempts, readings = world({1: 0.1}, {1: 0.2}, {1: 0.3})
    broken = ended(trials[0], exit_code=1)
    todo = planned(
        asha(trials={"max": 20, "retries": 0}), trials=trials, attempts=[broken, *attempts[1:]], readings=readings
    )
    assert {w.trial.number: w.status.phase for w in todo.write} == {0: "Failed", 1: "Pruned"}


def test_stages_stop_their_own_candidates() -> None:
    stages = [
        {"name": "wide", "keep": {"top": 2}, "fidelity": {"scheduler": "none"}},
        {"name": "narrow", "evaluation": {"epochs": 27}},
    ]
    of = asha(stages=stages)
    assert [stage.rungs for stage in observed(of).stages] == [(), (1, 3, 9)]


def problems(**spec: Any) -> list[str]:
    return [str(one) for one in resolve_spec(asha(**spec).spec).problems]


def test_what_can_stop_nothing_is_told() -> None:
    assert problems() == []
    assert problems(fidelity={"scheduler": "asha", "minEpochs": 12}) == [
        "spec.fidelity.minEpochs: leaves no rung below the 12 epochs that candidates are trained: lower it, or train "
        "for longer (evaluation.epochs)"
    ]
    assert problems(fidelity={"scheduler": "patience", "patience": 1}, evaluation={"epochs": 18}) == [
        "spec.fidelity: has 17 rungs in 18 epochs, and may have 16: set them further apart"
    ]
    (none,) = problems(evaluation={"method": "zero-cost"}, objectives=[{"metric": "score"}])
    assert none.startswith("spec.fidelity.scheduler: has nothing to stop, as no evaluation.method is train")
    stages = [
        {"name": "s", "evaluation": {"method": "zero-cost"}, "fidelity": {"scheduler": "asha"}, "keep": {"top": 1}},
        {"name": "t"},
    ]
    assert problems(stages=stages) == [
        "spec.stages[0].fidelity.scheduler: has nothing to stop with evaluation.method zero-cost: set it to none"
    ]
    many = {"fidelity": {"scheduler": "median"}, "evaluation": {"epochs": 99}}
    objectives = [{"metric": name} for name in ("accuracy", "params", "flops")]
    (crowded,) = problems(**many, objectives=objectives, trials={"max": 9, "candidatesPerTrial": 16})
    assert crowded.startswith(
        "spec.trials.candidatesPerTrial: 16 candidates show 896 values at 14 rungs, and may show 512"
    )


def pairs(*values: dict[int, float]) -> tuple[list[Trial], list[Attempt], Readings]:
    """Running trials of two candidates each, with what was read of them in turn."""
    trials = [trial(number, candidates=2, phase="Running", pod=f"nas-{number}-1") for number in range(len(values) // 2)]
    curves = [{step: {"accuracy": value} for step, value in curve.items()} for curve in values]
    read = {one.attempt_name: {"0": curves[2 * i], "1": curves[2 * i + 1]} for i, one in enumerate(trials)}
    attempts = [running(one, started=NOW - 1, address="127.0.0.1", uid="secret") for one in trials]
    return trials, attempts, Readings(read_at=NOW, curves=read)


def test_of_several_candidates_only_the_loser_is_stopped() -> None:
    trials, attempts, readings = pairs({1: 0.1, 2: 0.2}, {}, {1: 0.3}, {1: 0.2})
    todo = planned(asha(), trials=trials, attempts=attempts, readings=readings)
    noted = {w.trial.number: w.status for w in todo.write}
    assert [(one.candidate, one.epoch) for one in noted[0].stopped_candidates] == [("0", 1)]
    assert [one.candidate for one in noted[1].stopped_candidates] == ["1"]
    assert {status.phase for status in noted.values()} == {"Running"}
    written = [replace(w.trial, status=w.status, resource_version="2") for w in todo.write]
    assert [readings.untold(one) for one in written] == [{"0"}, {"1"}]
    readings.told[written[0].attempt_name] = frozenset({"0"})
    assert readings.untold(written[0]) == frozenset()
    # It stays stopped, whatever becomes known of the others.
    read = {written[0].attempt_name: {"0": {1: {"accuracy": 0.9}}}}
    after = planned(asha(), trials=written, attempts=attempts, readings=Readings(read_at=NOW, curves=read))
    assert all("0" in [c.candidate for c in w.status.stopped_candidates] for w in after.write if w.trial.number == 0)
    # The attempt ends with a result of both; one counts.
    done = ended(written[0], results({"accuracy": 0.2}, {"accuracy": 0.6}, step=12), address="127.0.0.1")
    end = planned(asha(), trials=written, attempts=[done, attempts[1]], readings=readings)
    (write,) = (w for w in end.write if w.trial.number == 0)
    assert (write.status.phase, write.status.value) == ("Succeeded", 0.6)
    seen = observed(asha(), [replace(written[0], status=write.status, resource_version="3")])
    assert [one.candidate for one in seen.ledger.stage(None).ranked()] == ["1"]
    assert [one.epochs for one in seen.ledger.history(seen.stages[0]).scored] == [1, None]


def test_a_stopped_candidate_needs_no_further_report() -> None:
    """Another attempt may have nothing more to say of it."""
    stopped = {"candidate": "0", "epoch": 1, "message": "it lost"}
    point = {"candidate": "0", "step": 2, "metrics": [{"name": "accuracy", "value": 0.25}]}
    again = trial(candidates=2, attempt=2, phase="Running", curve=[point], stopped_candidates=[stopped])
    silent = json.dumps(
        {
            "results": [
                {"candidate": "0", "error": {"reason": "TrainerError", "message": "no report"}},
                {"candidate": "1", "step": 12, "metrics": {"accuracy": 0.5}},
            ]
        }
    )
    todo = planned(asha(), trials=[again], attempts=[ended(again, silent)])
    (write,) = todo.write
    assert [(r.candidate, r.step, r.metrics[0].value) for r in write.status.results] == [("0", 2, 0.25), ("1", 12, 0.5)]
    assert write.status.failed_candidates == []


def test_a_trial_all_of_whose_candidates_are_stopped_is_pruned() -> None:
    trials, attempts, readings = pairs({1: 0.1}, {1: 0.15}, {1: 0.3}, {1: 0.2})
    todo = planned(asha(), trials=trials, attempts=attempts, readings=readings)
    assert {w.trial.number: w.status.phase for w in todo.write} == {0: "Pruned", 1: "Running"}


def test_what_is_trained_to_the_end_is_not_stopped() -> None:
    trials, attempts, readings = world({1: 0.1, 2: 0.5}, {1: 0.2}, {1: 0.3})
    trials[0] = replace(trials[0], candidates=(candidate(epochs=2),))
    todo = planned(asha(), trials=trials, attempts=attempts, readings=readings)
    assert {w.trial.number for w in todo.write} == {1}


def test_an_attempt_that_is_taken_away_is_no_end_of_a_trial_with_stopped_candidates() -> None:
    stopped = {"candidate": "0", "epoch": 1, "message": "it lost"}
    point = {"candidate": "0", "step": 2, "metrics": [{"name": "accuracy", "value": 0.25}]}
    of = trial(candidates=2, phase="Running", curve=[point], stopped_candidates=[stopped])
    gone = ended(of, exit_code=143, disruption=Fault("EvictionByEvictionAPI", "drained"))
    (write,) = planned(asha(), trials=[of], attempts=[gone]).write
    assert (write.status.phase, write.status.attempt, write.status.results) == ("Pending", 2, [])
    assert [one.candidate for one in write.status.stopped_candidates] == ["0"]
