"""The stages that methods need: made where a specification asks for them, and refused where they can do nothing."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kubenas.api.trial import Candidate
from kubenas.experiment.resolution import resolve
from kubenas.experiment.stages import ResolvedStage
from kubenas.experiment.state import Trial
from kubenas.experiment.validation import resolve_spec
from tests.experiment.builders import experiment, planned, succeeded, trial

STORAGE = {"volumeClaim": "artifacts"}
SCORE = {"method": "zero-cost"}
SUPERNET = {"method": "supernet", "epochs": 5}
DIFFERENTIABLE = {"method": "differentiable", "epochs": 5}
TRAIN = {"epochs": 3}


def resolved(**spec: Any) -> tuple[ResolvedStage, ...]:
    return resolve(experiment(**spec).spec)


def problems(**spec: Any) -> list[tuple[str, str]]:
    return [(problem.field, problem.message) for problem in resolve_spec(experiment(**spec).spec).problems]


def funnel(*evaluations: dict[str, Any]) -> list[dict[str, Any]]:
    """Stages that hand on their best two."""
    stages = [{"name": f"s{n}", "evaluation": one, "keep": {"top": 2}} for n, one in enumerate(evaluations)]
    del stages[-1]["keep"]
    return stages


def test_a_supernet_is_trained_before_what_it_judges() -> None:
    wide, training, middle, last = resolved(
        stages=funnel(SCORE, SUPERNET, {**TRAIN, "inherit": True}), storage=STORAGE, trials={"max": 7}
    )
    assert [stage.name for stage in (wide, training, middle, last)] == ["s0", "s1-supernet", "s1", "s2"]
    assert [stage.source for stage in (wide, training, middle, last)] == ["strategy", "evaluation", "kept", "kept"]
    assert (training.most_trials, training.candidates_per_trial, training.epochs) == (1, 1, 5)
    assert training.trains_supernet
    assert not middle.trains_supernet
    assert (wide.epochs, middle.epochs, last.epochs) == (None, None, 3)
    assert (middle.before, last.before) == (wide.index, middle.index)
    assert [stage.supernet for stage in (wide, training, middle, last)] == [None, None, training.index, training.index]


def test_without_stages_the_supernet_has_one_of_its_own() -> None:
    training, only = resolved(evaluation=SUPERNET, storage=STORAGE)
    assert (training.name, only.name) == ("supernet", None)
    assert (only.source, only.supernet, only.before) == ("strategy", training.index, None)


def test_a_differentiable_search_finds_what_it_is_asked_for() -> None:
    search, train = resolved(stages=funnel(DIFFERENTIABLE, TRAIN), trials={"max": 4})
    assert (search.source, search.search, search.most_trials, search.candidates_per_trial) == ("evaluation", None, 4, 1)
    assert not search.trains_supernet
    assert (train.source, train.before) == ("kept", search.index)


def test_a_predictor_s_pool_is_scored_before() -> None:
    search = {"algorithm": "predictor", "seed": 3, "settings": {"proxies": ["synflow", "az_nas"], "pool": 100}}
    scoring, train = resolved(search=search)
    assert (scoring.name, train.name) == ("proxies", None)
    assert (train.pool, train.before, scoring.most_trials, scoring.candidates_per_trial) == (scoring.index, None, 2, 64)
    assert scoring.search is not None
    assert (scoring.search.algorithm, scoring.search.settings) == ("random", {})
    assert scoring.search.seed != 3
    assert scoring.evaluation.proxies == ["synflow", "az-nas"]
    named, _ = resolved(stages=[{"name": "all", "search": search}])
    assert named.name == "all-proxies"


def test_a_predictor_in_a_later_stage_still_knows_the_stage_before() -> None:
    search = {"algorithm": "predictor", "settings": {"proxies": ["synflow"]}}
    wide, scoring, last = resolved(stages=[{"name": "wide"}, {"name": "last", "search": search}])
    assert (last.before, last.pool, scoring.before) == (wide.index, scoring.index, None)


def told(stage: ResolvedStage) -> list[str]:
    return [objective.metric for objective in stage.objectives]


def test_stages_are_judged_by_what_they_measure() -> None:
    objectives = [
        {"metric": "accuracy"},
        {"metric": "latency_ms", "goal": "minimize", "limit": 5},
        {"metric": "params", "goal": "minimize"},
    ]
    task = {"name": "image-classification", "settings": {"measure": ["latency_ms"]}}
    wide, training, middle, last = resolved(
        objectives=objectives, task=task, stages=funnel(SCORE, SUPERNET, TRAIN), storage=STORAGE
    )
    assert told(wide) == ["score", "latency_ms"]
    assert told(training) == []
    assert told(middle) == ["accuracy", "latency_ms", "params"]
    assert told(last) == ["accuracy", "latency_ms", "params"]
    assert [stage.decides for stage in (wide, training, middle, last)] == [False, False, True, True]
    assert wide.required == ("latency_ms",)
    assert training.required == ()


def test_the_only_stage_is_judged_by_the_objectives() -> None:
    (only,) = resolved(objectives=[{"metric": "synflow"}], evaluation={"method": "zero-cost", "proxies": ["synflow"]})
    assert told(only) == ["synflow"]
    assert only.decides
    assert only.combination is None


OBJECTIVES = [{"metric": "accuracy"}]


@pytest.mark.parametrize(
    ("spec", "field", "says"),
    [
        ({"evaluation": SCORE}, "spec.objectives[0].metric", "in the last stage, by evaluation.method zero-cost"),
        (
            {"stages": funnel(TRAIN, SCORE)},
            "spec.objectives[0].metric",
            "in the last stage, by evaluation.method zero-cost",
        ),
        (
            {"objectives": [{"metric": "latency_ms", "goal": "minimize"}], "evaluation": SCORE},
            "spec.objectives[0].metric",
            "is measured only where task.settings.measure lists latency_ms",
        ),
        ({"evaluation": SUPERNET}, "spec.storage", "is required by evaluation.method supernet"),
        (
            {"stages": funnel(SUPERNET, SUPERNET)},
            "spec.storage",
            "is required by stages[0].evaluation.method supernet",
        ),
        ({"evaluation": {**TRAIN, "inherit": True}}, "spec.evaluation.inherit", "needs an earlier stage"),
        (
            {"stages": funnel({**TRAIN, "inherit": True}, SUPERNET, TRAIN), "storage": STORAGE},
            "spec.stages[0].evaluation.inherit",
            "needs an earlier stage with evaluation.method supernet",
        ),
        (
            {"stages": funnel(TRAIN, DIFFERENTIABLE)},
            "spec.stages[1].evaluation.method",
            "make it the first stage",
        ),
        (
            {"stages": [{"name": "a", "evaluation": DIFFERENTIABLE, "search": {"algorithm": "random"}}]},
            "spec.stages[0].search",
            "has no meaning with evaluation.method differentiable",
        ),
        (
            {
                "stages": [
                    {"name": "a-supernet", "keep": {"top": 1}},
                    {"name": "a", "evaluation": SUPERNET},
                ],
                "storage": STORAGE,
            },
            "spec.stages[0].name",
            "a-supernet is the name of a stage for the supernet: choose another",
        ),
        (
            {"stages": [{"name": "a" * 60, "evaluation": SUPERNET}], "storage": STORAGE},
            "spec.stages[0].name",
            "is too long",
        ),
        (
            {
                "stages": funnel(SUPERNET, TRAIN),
                "storage": STORAGE,
                "objectives": [{"metric": "int8_accuracy"}],
                "task": {"name": "image-classification", "settings": {"measure": ["int8"]}},
            },
            "spec.stages[0].evaluation.method",
            "supernet measures none of the objectives (int8_accuracy)",
        ),
        (
            {"stages": funnel({**SCORE, "combine": "vote"}, TRAIN), "trials": {"max": 313}},
            "spec.trials.max",
            "20,032 candidates in trials of 64 are more than the 20,000 that a vote puts in order: lower it to 312",
        ),
        (
            {"objectives": [{"metric": "score", "target": -1}], "evaluation": SCORE},
            "spec.objectives[0].target",
            "has no meaning for score",
        ),
    ],
)
def test_what_can_do_nothing_is_refused(spec: dict[str, Any], field: str, says: str) -> None:
    [(found, message)] = problems(**spec)
    assert found == field
    assert says in message


@pytest.mark.parametrize(
    "spec",
    [
        {"stages": funnel(SCORE, SUPERNET, TRAIN, {**TRAIN, "inherit": True, "seeds": 2}), "storage": STORAGE},
        {"stages": funnel(DIFFERENTIABLE, TRAIN)},
        {"evaluation": SUPERNET, "storage": STORAGE},
        {"evaluation": DIFFERENTIABLE},
        {"evaluation": SCORE, "objectives": [{"metric": "score"}]},
        {"evaluation": SCORE, "objectives": [{"metric": "az_trainability"}, {"metric": "flops", "goal": "minimize"}]},
        {"search": {"algorithm": "predictor", "settings": {"proxies": ["default"], "pool": 64}}},
    ],
)
def test_what_makes_sense_is_accepted(spec: dict[str, Any]) -> None:
    assert problems(**spec) == []


def test_a_mistake_in_the_proxies_of_a_predictor_is_told_by_its_settings() -> None:
    search = {"algorithm": "predictor", "settings": {"proxies": [7]}}
    [(field, _)] = problems(search=search)
    assert field == "spec.search.settings.proxies[0]"


def test_a_deleted_supernet_is_trained_again_as_long_as_it_is_needed() -> None:
    of = experiment(
        stages=funnel(SUPERNET, {**TRAIN, "inherit": True}),
        storage=STORAGE,
        trials={"max": 1, "candidatesPerTrial": 2, "parallelism": 1},
    )
    trained = replace(ended(0, "s0-supernet"), candidates=(Candidate(id="0", epochs=5),))
    judged = replace(ended(1, "s0", 0.5), supernet="nas-0/0.safetensors")
    (again,) = planned(of, trials=[judged]).create
    assert (again.spec.number, again.spec.stage, again.spec.supernet) == (0, "s0-supernet", None)
    (next_one,) = planned(of, trials=[trained, judged]).create
    assert (next_one.spec.stage, next_one.spec.supernet) == ("s1", "nas-0/0.safetensors")
    assert planned(of, trials=[judged, ended(2, "s1", 0.6)]).create == ()


def test_a_supernet_whose_training_was_cut_short_goes_on_from_its_checkpoint() -> None:
    of = experiment(stages=funnel(SUPERNET, TRAIN), storage=STORAGE, trials={"max": 1, "candidatesPerTrial": 2})
    cut_short = replace(
        trial(0, stage="s0-supernet", phase="Pruned", order=1), candidates=(Candidate(id="0", epochs=5),)
    )
    (again,) = planned(of, trials=[cut_short]).create
    [candidate] = again.spec.candidates
    assert (again.spec.number, again.spec.stage, candidate.resume_from) == (1, "s0-supernet", "nas-0/0.safetensors")
    twice = replace(cut_short, number=1, name="nas-1", status=cut_short.status.model_copy(update={"order": 2}))
    (last,) = planned(of, trials=[cut_short, twice]).create
    assert last.spec.candidates[0].resume_from == "nas-1/0.safetensors"


def ended(number: int, stage: str, accuracy: float | None = None) -> Trial:
    known = trial(number, stage=stage, phase="Succeeded", order=number + 1)
    return known if accuracy is None else replace(succeeded(number, number + 1, accuracy), stage=stage)
