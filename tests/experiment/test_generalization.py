"""Whether validation says more than test can confirm, checked against draws whose truth is known."""

from __future__ import annotations

from random import Random
from statistics import fmean

import pytest

from kubenas.api.objective import Objective
from kubenas.experiment.finding import Finding
from kubenas.experiment.generalization import expected_excess, generalization
from kubenas.experiment.judged import Judged, averaged, judged, ranked
from kubenas.experiment.resolution import resolve
from kubenas.space.base import Architecture
from tests.experiment.builders import experiment

MAXIMIZE = Objective(metric="accuracy")
MINIMIZE = Objective(metric="loss", goal="minimize")
NOTHING = Architecture({})


def finalist(number: int, *trainings: dict[str, float], objective: Objective = MAXIMIZE) -> Judged:
    ended = [judged([objective], number, "0", NOTHING, one, None, whole=True) for one in trainings]
    return averaged([objective], ended)


def said(*finalists: Judged, seeds: int = 3, objective: Objective = MAXIMIZE) -> Finding:
    last = resolve(experiment(evaluation={"epochs": 1, "seeds": seeds}).spec)[-1]
    return generalization(objective, last, ranked(finalists))


def drawn(rng: Random, truth: float, seeds: int, noise: float, number: int, gap: float = 0.0) -> Judged:
    return finalist(
        number,
        *(
            {"accuracy": truth + rng.gauss(0, noise), "test_accuracy": truth - gap + rng.gauss(0, noise)}
            for _ in range(seeds)
        ),
    )


@pytest.mark.parametrize(("spread", "noise"), [(1.0, 0.5), (1.0, 2.0), (0.2, 1.0)])
def test_the_expected_excess_is_that_of_draws_whose_truth_is_known(spread: float, noise: float) -> None:
    rng, seeds, expected, actual = Random(0), 3, [], []
    for _ in range(1500):
        truths = [rng.gauss(0, spread) for _ in range(16)]
        finalists = ranked(drawn(rng, truth, seeds, noise, n) for n, truth in enumerate(truths))
        best = finalists[0]
        expected.append(expected_excess(MAXIMIZE, finalists))
        actual.append(best.metrics["accuracy"] - truths[best.trial])
    assert fmean(expected) == pytest.approx(fmean(actual), rel=0.15, abs=0.02)


def test_without_a_gap_it_is_seldom_said_that_there_is_one() -> None:
    rng = Random(1)
    told = [said(*(drawn(rng, 0.0, 3, 1.0, n) for n in range(5))).holds for _ in range(1000)]
    assert told.count(False) < 50


def test_a_large_gap_is_found() -> None:
    rng = Random(2)
    told = [said(*(drawn(rng, 0.0, 5, 0.1, n, gap=1.0) for n in range(5)), seeds=5).holds for _ in range(100)]
    assert told.count(False) == 100


def test_it_tells_the_numbers() -> None:
    best = finalist(3, *({"accuracy": 0.9 + d, "test_accuracy": 0.7 + d} for d in (-0.01, 0.0, 0.013)))
    other = finalist(4, *({"accuracy": 0.8 + d, "test_accuracy": 0.79} for d in (-0.01, 0.0, 0.01)))
    found = said(best, other)
    assert (found.holds, found.reason) == (False, "ValidationBetterThanTest")
    for text in ("best of 2 finalists", "accuracy 0.901 ± 0.012", "test_accuracy 0.701 ± 0.012", "3 seeds"):
        assert text in found.message
    assert "Validation is better by 0.2 ± " in found.message
    assert "than test (of the other finalists: better by 0.01)" in found.message


def test_what_is_to_be_small_is_better_below() -> None:
    rows = [{"loss": 1.0 + d, "test_loss": 3.0 - d} for d in (-0.1, 0.0, 0.1)]
    found = said(finalist(0, *rows, objective=MINIMIZE), objective=MINIMIZE)
    assert found.holds is False
    better = [{"loss": 3.0 + d, "test_loss": 1.0 - d} for d in (-0.1, 0.0, 0.1)]
    assert said(finalist(0, *better, objective=MINIMIZE), objective=MINIMIZE).holds is True


def test_what_is_not_known_is_not_said() -> None:
    both = {"accuracy": 0.9, "test_accuracy": 0.8}
    assert said(finalist(0, both), seeds=1).reason == "OneSeed"
    assert said().reason == "NotJudgedYet"
    assert said(finalist(0, {"accuracy": 0.9}, {"accuracy": 0.8})).reason == "NoTestMetric"
    assert said(finalist(0, both, {"accuracy": 0.8})).reason == "NoTestMetric"
    for reason in ("OneSeed", "NotJudgedYet"):
        assert said(finalist(0, both), seeds=1 if reason == "OneSeed" else 3).holds is None
