"""Trials that end at rungs, and trainings that go on in others."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

from kubenas.api.experiment import NASExperiment
from kubenas.api.trial import TrialSpec, TrialStatus
from kubenas.experiment.actions import NewTrial, Plan
from kubenas.experiment.contract import trial_document
from kubenas.experiment.state import Trial
from kubenas.experiment.validation import resolve_spec
from tests.experiment.builders import ended, experiment, observed, planned, results, stages_of


def promoting(**spec: Any) -> NASExperiment:
    given = {
        "fidelity": {"scheduler": "asha", "mode": "promotion", "eta": 2},
        "evaluation": {"epochs": 4},
        "storage": {"volumeClaim": "artifacts"},
        "search": {"algorithm": "random"},
        "trials": {"max": 4, "parallelism": 2},
    }
    return experiment(**{**given, **spec})


def written(of: NASExperiment, new: NewTrial, value: float, order: int) -> Trial:
    """A new trial once it has come to its end."""
    one = Trial.new(new.name, new.spec, resource_version="1")
    done = ended(one, results({"accuracy": value}, step=new.spec.candidates[0].epochs or 0))
    (write,) = planned(of, trials=[one], attempts=[done]).write
    return replace(one, status=write.status.model_copy(update={"order": order}), resource_version="2")


def after(of: NASExperiment, values: dict[int, float]) -> tuple[list[Trial], Plan]:
    """One trial after another, each with the value of its number; and what is planned then."""
    trials: list[Trial] = []
    for order, number in enumerate(values, 1):
        new = next(one for one in planned(of, trials=trials).create if one.spec.number == number)
        trials.append(written(of, new, values[number], order))
    return trials, planned(of, trials=trials)


def told(new: TrialSpec) -> tuple[int | None, int | None, str | None]:
    (only,) = new.candidates
    return new.continues, only.epochs, only.resume_from


def test_new_candidates_are_trained_to_the_first_rung() -> None:
    assert [told(new.spec) for new in planned(promoting()).create] == [(None, 1, None)] * 2


def test_the_best_half_of_a_rung_goes_on_from_its_checkpoint_before_others_begin() -> None:
    trials, todo = after(promoting(), {0: 0.2, 1: 0.3})
    first, second = todo.create
    assert told(first.spec) == (1, 2, "nas-1/0.safetensors")
    assert told(second.spec) == (None, 1, None)
    assert first.spec.candidates[0].architecture == trials[1].candidates[0].architecture
    # What was promoted is not promoted twice, and what it comes to is compared at the next rung.
    _, later = after(promoting(), {0: 0.2, 1: 0.3, 2: 0.5, 3: 0.1, 4: 0.4})
    assert [told(new.spec) for new in later.create] == [(4, 2, "nas-4/0.safetensors")]
    _, last = after(promoting(), {0: 0.2, 1: 0.3, 2: 0.5, 3: 0.1, 4: 0.4, 5: 0.6})
    assert [told(new.spec) for new in last.create] == [(4, 4, "nas-5/0.safetensors")]


def test_it_draws_as_the_trial_that_has_begun_it() -> None:
    of = promoting()
    trials, todo = after(of, {0: 0.2, 1: 0.3})
    (stage,) = stages_of(of)

    def document(trial: Trial) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(trial_document("nas", of.spec, stage, trial, "/checkpoints"))
        return found

    fresh = [replace(one, status=TrialStatus()) for one in trials]
    before, on = document(fresh[1]), document(Trial.new(todo.create[0].name, todo.create[0].spec))
    assert on["seed"] == before["seed"] != document(fresh[0])["seed"]
    (only,), (begun,) = on["candidates"], before["candidates"]
    assert (begun["epochs"], only["epochs"]) == (1, 2)
    assert begun["horizon"] == only["horizon"] == 4
    assert only["resumeFrom"] == "/checkpoints/nas-1/0.safetensors"


def test_only_what_is_trained_to_the_end_is_a_result_and_the_search_sees_all() -> None:
    values = {0: 0.2, 1: 0.3, 2: 0.5, 3: 0.1, 4: 0.4, 5: 0.6}
    trials, todo = after(promoting(), values)
    seen = observed(promoting(), trials)
    record = seen.ledger.stage(None)
    assert record.best is None
    assert record.unscored
    history = seen.ledger.history(seen.stages[0])
    assert [(one.epochs, one.known_score[1]) for one in history.scored] == [
        (1, 0.2),
        (1, 0.3),
        (2, 0.5),
        (1, 0.1),
        (1, 0.4),
        (2, 0.6),
    ]
    assert todo.status is not None
    assert todo.status.best is None
    # Of the two that have come to the second rung, one is promoted now.
    assert [(one.epochs, one.reached, one.paused) for one in todo.status.rungs] == [(1, 4, 2), (2, 2, 2)]
    assert todo.status.counts is not None
    assert todo.status.counts.paused == 4
    trials.append(written(promoting(), todo.create[0], 0.55, 7))
    end = planned(promoting(), trials=trials)
    assert not end.create
    assert end.status is not None
    assert end.status.best is not None
    assert (end.status.best.value, end.status.best.trial) == (0.55, "nas-6")
    assert [(one.epochs, one.reached, one.paused) for one in end.status.rungs] == [(1, 4, 2), (2, 2, 1)]
    assert {one.type: one.reason for one in end.status.conditions}["Succeeded"] == "TrialsCompleted"
    assert end.status.progress == "7/7"


def test_a_training_that_fails_after_its_promotion_tells_the_search_nothing() -> None:
    """What it has shown on the way may be what has made it fail; what it had come to before is known."""
    trials, todo = after(promoting(), {0: 0.2, 1: 0.3})
    metrics = [{"name": "accuracy", "value": 0.9}, {"name": "epoch", "value": 2}]
    curve = [{"candidate": "0", "step": 2, "metrics": metrics}]
    status = TrialStatus.model_validate({"phase": "Failed", "order": 3, "curve": curve})
    failed = replace(Trial.new(todo.create[0].name, todo.create[0].spec, resource_version="1"), status=status)
    seen = observed(promoting(), [*trials, failed])
    history = seen.ledger.history(seen.stages[0])
    assert [(one.epochs, one.known_score[1]) for one in history.scored] == [(1, 0.2), (1, 0.3)]
    assert [one.score for one in history.observations] == [(0.0, 0.2), (0.0, 0.3), None]


def test_trials_max_counts_candidates_and_progress_all_trials() -> None:
    _, todo = after(promoting(), {0: 0.2, 1: 0.3})
    assert todo.status is not None
    assert todo.status.progress == "2/5", "two have ended, one is promoted, two are new"


def test_where_none_would_come_to_the_end_the_best_goes_on_to_it() -> None:
    of = promoting(trials={"max": 1})
    _, todo = after(of, {0: 0.2})
    assert [told(new.spec) for new in todo.create] == [(0, 4, "nas-0/0.safetensors")]
    _, end = after(of, {0: 0.2, 1: 0.3})
    assert not end.create
    assert end.status is not None
    assert {one.type: one.reason for one in end.status.conditions}["Succeeded"] == "TrialsCompleted"


def test_in_the_end_the_best_that_wait_go_on_to_it_side_by_side_until_there_are_enough() -> None:
    of = promoting(fidelity={"scheduler": "asha", "mode": "promotion", "eta": 4, "top": 3})
    trials, todo = after(of, {0: 0.2, 1: 0.3, 2: 0.5, 3: 0.1})
    (promoted,) = todo.create
    assert told(promoted.spec) == (2, 4, "nas-2/0.safetensors")
    running = Trial.new(promoted.name, promoted.spec)
    (second,) = planned(of, trials=[*trials, running]).create
    assert told(second.spec) == (1, 4, "nas-1/0.safetensors"), "one that is on its way to the end keeps nobody waiting"
    trials.append(written(of, promoted, 0.6, 5))
    # One that failed is not tried again: there is one more in its place.
    failed = replace(
        Trial.new(second.name, second.spec, resource_version="2"), status=TrialStatus(phase="Failed", order=6)
    )
    assert [told(new.spec)[0] for new in planned(of, trials=[*trials, failed]).create] == [0, 3]
    trials.append(written(of, second, 0.4, 6))
    (third,) = planned(of, trials=trials).create
    assert told(third.spec) == (0, 4, "nas-0/0.safetensors")
    trials.append(written(of, third, 0.4, 7))
    end = planned(of, trials=trials)
    assert not end.create
    assert end.status is not None
    assert end.status.progress == "7/7"


def test_none_is_chosen_for_the_end_while_another_is_on_its_way_to_a_rung() -> None:
    of = promoting(
        fidelity={"scheduler": "asha", "mode": "promotion", "eta": 4, "top": 3}, trials={"max": 2, "parallelism": 2}
    )
    first, second = planned(of).create
    trials = [written(of, first, 0.2, 1)]
    assert not planned(of, trials=[*trials, Trial.new(second.name, second.spec)]).create
    trials.append(written(of, second, 0.3, 2))
    best, other = planned(of, trials=trials).create
    assert [told(new.spec)[0] for new in (best, other)] == [1, 0]
    again = planned(of, trials=[*trials, Trial.new(other.name, other.spec)])
    assert [new.spec.continues for new in again.create] == [1], "after a crash between the two"


def test_it_goes_on_once_the_space_is_used_up() -> None:
    space = {"parameters": [{"name": "depth", "type": "int", "min": 1, "max": 1}]}
    of = promoting(searchSpace=space, task={"name": "own"})
    first = planned(of).create[0]
    trials = [written(of, first, 0.5, 1)]
    todo = planned(of, trials=trials)
    assert [told(new.spec) for new in todo.create] == [(0, 4, "nas-0/0.safetensors")]
    trials.append(written(of, todo.create[0], 0.6, 2))
    end = planned(of, trials=trials)
    assert end.status is not None
    assert {one.type: one.reason for one in end.status.conditions}["Succeeded"] == "SearchSpaceExhausted"


def test_a_number_that_is_missing_below_others_is_the_same_promotion_again() -> None:
    """The operator was killed after it had written the second of two trials."""
    trials, todo = after(promoting(), {0: 0.2, 1: 0.3})
    lost, there = todo.create
    again = planned(promoting(), trials=[*trials, Trial.new(there.name, there.spec)])
    assert [new.spec for new in again.create] == [lost.spec]


def problems(**spec: Any) -> list[str]:
    return [str(one) for one in resolve_spec(promoting(**spec).spec).problems]


def test_what_promotion_needs_is_told() -> None:
    assert problems() == []
    (storage,) = problems(storage=None)
    assert storage.startswith("spec.storage: is required by fidelity, which has trainings go on from their checkpoints")
    (seeds,) = problems(evaluation={"epochs": 4, "seeds": 2})
    assert seeds.startswith("spec.evaluation.seeds: is 2, and trainings that fidelity promotes have one")
    (each,) = problems(trials={"max": 4, "candidatesPerTrial": 2})
    assert each.startswith("spec.trials.candidatesPerTrial: is 2, and a trial whose training fidelity promotes has one")
