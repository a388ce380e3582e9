"""Candidates that are trained with several seeds: means decide, spreads are told, each seed is a trial."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kubenas.api.experiment import NASExperiment
from kubenas.api.status import ExperimentStatus
from kubenas.api.trial import Result, TrialStatus
from kubenas.experiment.proposals import proposed
from kubenas.experiment.state import Trial
from tests.experiment.builders import (
    CELL,
    candidate,
    experiment,
    observed,
    planned,
    stages_of,
    status_of,
    succeeded,
    trial,
)

FINAL: dict[str, Any] = {"name": "final", "evaluation": {"epochs": 9, "seeds": 3}}
STAGES = [{"name": "search", "evaluation": {"epochs": 1}, "keep": {"top": 2}}, FINAL]
OPERATIONS = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3"]


def near(value: float) -> Any:
    """That value, save for rounding."""
    return pytest.approx(value)


def funnel(most: int = 2, **spec: Any) -> NASExperiment:
    return experiment(stages=STAGES, trials={"max": most, "parallelism": 9}, **spec)


def of(stage: str | None, number: int, accuracy: float, which: int, seed: int = 0, **metrics: float) -> Trial:
    """A trial that has ended with a value, of the architecture of a number."""
    ended = replace(succeeded(number, number + 1, accuracy, **metrics), stage=stage, seed=seed, results_seen=number)
    architecture = {**CELL, "0-1": OPERATIONS[which]}
    return replace(ended, candidates=(candidate().model_copy(update={"architecture": architecture}),))


def lost(of: Trial) -> Trial:
    return replace(of, status=TrialStatus(phase="Failed", order=of.status.order))


def searched() -> list[Trial]:
    return [of("search", 0, 0.5, 0), of("search", 1, 0.7, 1)]


def finals(*values: tuple[float, ...]) -> list[Trial]:
    """Trials of the final stage: of the better architecture first, with these accuracies by seed."""
    groups = zip((1, 0), values, strict=True)
    ordered = [(which, seed, value) for which, group in groups for seed, value in enumerate(group)]
    return [
        of("final", 2 + n, value, which, seed, test_accuracy=value - 0.01)
        for n, (which, seed, value) in enumerate(ordered)
    ]


def test_each_seed_of_what_was_kept_is_a_trial() -> None:
    made = planned(funnel(storage={"volumeClaim": "c"}), trials=searched())
    specs = [new.spec for new in made.create]
    assert [(one.number, one.stage, one.seed) for one in specs] == [
        *((2 + seed, "final", seed) for seed in range(3)),
        *((5 + seed, "final", seed) for seed in range(3)),
    ]
    assert len({str(one.candidates[0].architecture) for one in specs[:3]}) == 1
    # The others begin anew: from the same weights they would differ by less than trainings do.
    resumed = [one.candidates[0].resume_from for one in specs]
    assert resumed == ["nas-1/0.safetensors", None, None, "nas-0/0.safetensors", None, None]
    assert status_of(made).progress == "2/8"


def test_what_was_kept_and_further_seeds_are_no_proposals() -> None:
    of = funnel()
    assert proposed(stages_of(of), planned(of, trials=searched()).create) is None
    assert proposed(stages_of(of), planned(of, trials=searched()[:1]).create) == ("predictor", 1)
    several = experiment(evaluation={"epochs": 3, "seeds": 3}, trials={"max": 6, "parallelism": 5})
    create = planned(several).create
    assert [new.spec.seed for new in create] == [0, 1, 2, 0, 1]
    assert proposed(stages_of(several), create) == ("predictor", 2)
    assert proposed(stages_of(several), ()) is None


@pytest.mark.parametrize("missing", range(2, 8))
def test_a_trial_that_was_not_written_is_made_again_as_it_was(missing: int) -> None:
    of = funnel(storage={"volumeClaim": "c"})
    proposed = {new.spec.number: new.spec for new in planned(of, trials=searched()).create}
    there = [Trial.new(f"nas-{number}", spec) for number, spec in proposed.items() if number != missing]
    (again,) = planned(of, trials=[*searched(), *there]).create
    assert again.spec == proposed[missing]


def test_means_decide_and_spreads_are_told() -> None:
    done = planned(funnel(), trials=[*searched(), *finals((0.5, 0.9, 0.7), (0.8, 0.8, 0.83))])
    status = status_of(done)
    assert status.best is not None
    assert (status.best.trial, status.best.seeds) == ("nas-5", 3)
    told = {metric.name: (metric.value, metric.spread) for metric in status.best.metrics}
    assert told["accuracy"] == (near(0.81), near(0.0173205))
    assert told["test_accuracy"] == (near(0.80), near(0.0173205))
    assert [one.trial for one in status.finalists] == ["nas-5", "nas-2"]
    assert status.phase == "Succeeded"


def test_a_candidate_counts_once_all_its_seeds_have_ended() -> None:
    seen = [*searched(), *finals((0.5, 0.9, 0.7), (0.99, 0.99, 0.99))[:5], replace(trial(7, stage="final"), seed=2)]
    status = status_of(planned(funnel(), trials=seen))
    assert status.best is not None
    assert (status.best.trial, status.best.value) == ("nas-2", near(0.7))


def test_seeds_that_failed_are_left_out() -> None:
    first, *others = finals((0.0, 0.9, 0.7), (0.6, 0.6, 0.6))
    status = status_of(planned(funnel(), trials=[*searched(), lost(first), *others]))
    assert status.best is not None
    assert (status.best.trial, status.best.value, status.best.seeds) == ("nas-3", near(0.8), 2)


def test_nothing_is_lost_where_the_budget_ends_between_seeds() -> None:
    begun = {"startTime": "1970-01-01T00:00:01Z"}
    of = funnel(budget={"wallClock": "1h"})
    ended = of.model_copy(update={"status": ExperimentStatus.model_validate(begun)})
    status = status_of(planned(ended, trials=[*searched(), *finals((0.5, 0.9), ())]))
    assert status.best is not None
    assert (status.best.trial, status.best.value, status.best.seeds) == ("nas-2", near(0.7), 2)
    assert [one.trial for one in status.finalists] == ["nas-2"]


def test_a_searching_stage_of_several_seeds() -> None:
    search = {"algorithm": "regularized-evolution", "seed": 3}
    of = experiment(evaluation={"epochs": 3, "seeds": 2}, trials={"max": 5, "parallelism": 4}, search=search)
    proposed = [new.spec for new in planned(of).create]
    assert [(one.number, one.seed) for one in proposed] == [(0, 0), (1, 1), (2, 0), (3, 1)]
    pairs = [str(one.candidates[0].architecture) for one in proposed]
    assert pairs[0] == pairs[1] != pairs[2] == pairs[3]
    values = (0.2, 0.4, 0.9)
    done = [
        replace(succeeded(n, n + 1, value), seed=spec.seed, candidates=tuple(spec.candidates))
        for n, (spec, value) in enumerate(zip(proposed, values, strict=False))
    ]
    seen = observed(of, [*done, Trial.new("nas-3", proposed[3])])
    history = seen.ledger.history(seen.stages[0])
    assert [one.score for one in history.observations] == [(0.0, near(0.3))]
    assert len(history.pending) == 1
    # Of five trials, two candidates with two seeds each fit.
    assert planned(of, trials=[*done, Trial.new("nas-3", proposed[3])]).create == ()


def test_a_later_strategy_knows_what_was_kept() -> None:
    stages = [
        {"name": "wide", "evaluation": {"epochs": 1}, "keep": {"top": 2}},
        {"name": "again", "search": {"algorithm": "regularized-evolution"}, "trials": {"max": 5}},
    ]
    wide = [of("wide", n, value, n) for n, value in enumerate((0.5, 0.7, 0.6))]
    seen = observed(experiment(stages=stages, trials={"max": 3, "parallelism": 2}), wide)
    earlier = seen.ledger.history(seen.stages[1]).earlier
    assert [one.architecture.to_json()["0-1"] for one in earlier] == OPERATIONS[1:3]
    assert [one.known_score[1] for one in earlier] == [0.7, 0.6]
    made = planned(seen.experiment, trials=wide)
    assert [(new.spec.number, new.spec.stage) for new in made.create] == [(3, "again"), (4, "again")]
    assert status_of(made).progress == "3/8"


def test_a_result_brings_the_architecture_that_its_candidate_leaves_open() -> None:
    ended = succeeded(0, 1, 0.5)
    result = ended.status.results[0]
    found = Result(**{**dict(result), "architecture": CELL})
    open_candidate = candidate().model_copy(update={"architecture": None, "name": None, "epochs": None})
    whole = replace(ended, candidates=(open_candidate,), status=ended.status.model_copy(update={"results": [found]}))
    status = status_of(planned(experiment(trials={"max": 1}), trials=[whole]))
    assert status.best is not None
    assert status.best.architecture == CELL
