"""What trainings tell of zero-cost proxies, supernets and differentiable searches: from trials to conditions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Any

import pytest

from kubenas.api.base import Condition
from kubenas.api.experiment import NASExperiment
from kubenas.api.objective import Objective
from kubenas.experiment.convergence import convergence
from kubenas.experiment.progress import progress
from kubenas.experiment.rankings import Ranking
from kubenas.experiment.state import Trial
from kubenas.experiment.summary import summary
from kubenas.experiment.usefulness import FEWEST_OF_SUPERNET, FEWEST_SCORED, proxy_usefulness, ranking_reliability
from kubenas.space.presets.nasbench201 import NASBench201
from tests.experiment.builders import NOW, candidate, experiment, observed, planned, trial

ACCURACY = Objective(metric="accuracy")
CELLS = [one.to_json() for one in islice(NASBench201().enumerate(), 0, 4000, 100)]

Metrics = Mapping[str, float]


def batch(number: int, stage: str, each: Sequence[Metrics], order: int) -> Trial:
    """An ended trial of the first cells."""
    results = [
        {
            "candidate": str(index),
            "step": 3,
            "source": "TerminationMessage",
            "metrics": [{"name": name, "value": value} for name, value in sorted(metrics.items())],
        }
        for index, metrics in enumerate(each)
    ]
    made = trial(number, stage=stage, phase="Succeeded", order=order, results=results)
    candidates = tuple(candidate(index).model_copy(update={"architecture": CELLS[index]}) for index in range(len(each)))
    return replace(made, candidates=candidates)


def funnel(method: dict[str, Any], **spec: Any) -> NASExperiment:
    stages = [
        {"name": "cheap", "evaluation": method, "keep": {"top": 40}, "trials": {"max": 64}},
        {"name": "train", "evaluation": {"method": "train", "epochs": 3}},
    ]
    return experiment(stages=stages, storage={"volumeClaim": "kept"}, **spec)


def said(of: NASExperiment, trials: Sequence[Trial], kind: str) -> Condition:
    (found,) = [one for one in planned(of, trials=trials).status.conditions if one.type == kind]  # type: ignore[union-attr]
    return found


SNIP_AND_NWOT = {"method": "zero-cost", "proxies": ["snip", "nwot"]}


def scored(count: int, *, good: bool = True) -> list[Trial]:
    """Candidates whose accuracy grows with snip and nwot, or falls, and has nothing to do with FLOPs."""
    sign = 1 if good else -1
    cheap = [{"snip": 3.0**-index, "nwot": -sign * float(index), "flops": float(index * 7 % 5)} for index in range(40)]
    trained = [{"accuracy": 1 - index / 100 if good else index / 100} for index in range(count)]
    if not good:
        trained = [{"accuracy": (index * 7 % 5) / 100} for index in range(count)]
    return [batch(0, "cheap", cheap, 1), batch(1, "train", trained, 2)]


def test_it_is_told_how_each_proxy_ranks_the_trained_candidates() -> None:
    found = said(funnel(SNIP_AND_NWOT), scored(25), "ProxyUseful")
    assert "Kendall's tau with accuracy over 25 trained candidates of stage train (± 0.14): " in found.message
    assert "snip 1.00" in found.message
    assert "nwot 1.00" in found.message


def test_it_is_told_from_twenty_candidates_on() -> None:
    found = said(funnel(SNIP_AND_NWOT), scored(FEWEST_SCORED - 1), "ProxyUseful")
    assert (found.status, found.reason) == ("Unknown", "TooFewTrained")
    assert found.message == "19 candidates with proxies have been trained; it is told from 20 on."
    assert said(funnel(SNIP_AND_NWOT), [], "ProxyUseful").message.startswith("0 candidates")


def test_what_is_to_be_small_is_ranked_the_other_way_round() -> None:
    minimized = funnel(SNIP_AND_NWOT, objectives=[{"metric": "accuracy", "goal": "minimize"}])
    assert "snip -1.00" in said(minimized, scored(25), "ProxyUseful").message


@pytest.mark.parametrize(
    ("correlations", "status", "reason", "text"),
    [
        ({"snip": 0.6, "score": 0.5, "flops": 0.4}, True, "RanksCandidates", "Of the proxies snip ranks best."),
        ({"score": 0.5}, True, "RanksCandidates", "score 0.50."),
        ({"flops": 0.6, "score": 0.5}, False, "WorseThanFlops", "FLOPs alone rank better than the score."),
        ({"snip": 0.2, "score": -0.1}, False, "NotCorrelated", "The score does not rank these candidates."),
        ({"snip": 0.2}, None, "NotComparable", "The trained candidates have equal scores."),
        ({}, None, "NotComparable", "equal scores, or equal results"),
    ],
)
def test_the_score_is_held_against_flops(correlations: Metrics, status: bool | None, reason: str, text: str) -> None:
    found = proxy_usefulness(Ranking("train", 30, correlations), ACCURACY)
    assert (found.holds, found.reason) == (status, reason)
    assert text in found.message


def test_a_supernet_is_compared_with_ten_trained_candidates() -> None:
    of = funnel({"method": "supernet"})
    by_supernet = [{"accuracy": 0.5 - index / 100} for index in range(40)]
    trained = [{"accuracy": 0.9 - index / 100} for index in range(FEWEST_OF_SUPERNET)]
    few = [batch(0, "cheap", by_supernet, 1), batch(1, "train", trained[:-1], 2)]
    assert said(of, few, "RankingReliable").reason == "TooFewTrained"
    agree = said(of, [few[0], batch(1, "train", trained, 2)], "RankingReliable")
    assert (agree.status, agree.reason) == ("True", "SameOrder")
    assert "accuracy by the supernet with that of 10 candidates trained of stage train is 1.00 ± 0.25" in agree.message
    differ = said(of, [few[0], batch(1, "train", trained[::-1], 2)], "RankingReliable")
    assert (differ.status, differ.reason) == ("False", "DifferentOrder")
    assert "Below 0.4 the supernet is no judge" in differ.message


def test_that_training_began_with_its_weights_is_told() -> None:
    found = ranking_reliability(Ranking("train", 12, {"accuracy": 0.5}, inherited=True), ACCURACY)
    assert "12 candidates trained from the supernet's weights" in found.message
    assert ranking_reliability(Ranking("train", 12, {}), ACCURACY).reason == "NotComparable"


def test_a_collapsed_search_is_told() -> None:
    well = {"restored_epoch": 0.0, "skip_share": 0.1}
    back = {"restored_epoch": 12.0, "skip_share": 0.5}
    assert convergence([]).reason == "NotEndedYet"
    assert convergence([("nas-1", well)]).message == (
        "1 differentiable search has ended (means: share of skips 0.1); none has collapsed."
    )
    found = convergence([("nas-1", well), *((f"nas-{number}", back) for number in range(2, 9))])
    assert (found.holds, found.reason) == (False, "Collapsed")
    assert found.message.startswith("8 differentiable searches have ended (means: share of skips 0.45); 7 collapsed ")
    assert "went back to the last good alphas: nas-2 to epoch 12, nas-3 to epoch 12, " in found.message
    assert found.message.endswith("nas-6 to epoch 12 and 2 more.")


def test_other_experiments_have_none_of_these_conditions() -> None:
    status = planned(experiment()).status
    assert status is not None
    assert not {"ProxyUseful", "RankingReliable", "Converged"} & {one.type for one in status.conditions}


def test_an_unchanged_state_is_an_unchanged_status() -> None:
    of = funnel(SNIP_AND_NWOT)
    first = planned(of, trials=scored(25)).status
    assert first is not None
    again = planned(of.model_copy(update={"status": first}), trials=scored(25)).status
    assert again is None or again.conditions == first.conditions


def test_metrics_tell_the_same_numbers() -> None:
    of = funnel(SNIP_AND_NWOT)
    seen = observed(of, scored(25))
    status = planned(of, trials=scored(25)).status
    assert status is not None
    found = progress(seen, status, None, NOW)
    told = summary(of.model_copy(update={"status": status}), found, {})
    (one,) = told.rankings.items()
    assert (one[0], one[1].candidates) == ("zero-cost", 25)
    assert one[1].correlations["snip"] == pytest.approx(1.0)
    assert summary(experiment(), progress(observed(experiment()), status, None, NOW), {}).rankings == {}


def test_a_deleted_trial_is_forgotten() -> None:
    of = funnel(SNIP_AND_NWOT)
    seen = observed(of, scored(25))
    ranking = seen.ledger.judgements(ACCURACY).proxies
    assert ranking is not None
    assert ranking.candidates == 25
    seen.ledger.remove(1)
    forgotten = seen.ledger.judgements(ACCURACY).proxies
    assert forgotten is not None
    assert forgotten.candidates == 0
