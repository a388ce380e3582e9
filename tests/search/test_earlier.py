"""Earlier results: useful ones help, useless ones do little harm, and their scale does not matter."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenas.api.search import Algorithm, Search
from kubenas.search.base import LARGEST, History, Observation, Score
from kubenas.search.conformance import CONDITIONAL, MIXED, Case
from kubenas.search.earlier import best_earlier, representative
from kubenas.search.encoding import Encoder
from kubenas.search.fronts import fronts
from kubenas.search.load import build_strategy
from kubenas.search.transfer import FEWEST, PriorMean, calibrates, informative
from kubenas.space.base import Architecture
from kubenas.space.domains import Float
from kubenas.space.parameters import parameter_space

CUBE = parameter_space({f"x{number}": Float(0.0, 1.0, "linear") for number in range(4)})
# Evaluations after which searches with earlier results and without are compared.
FEW: dict[Algorithm, int] = {
    "predictor": 8,
    "bayesian": 8,
    "tpe": 8,
    "cma-es": 16,
    "local-search": 8,
    "regularized-evolution": 8,
    "nsga2": 8,
}
# They begin with the best earlier architectures.
POPULATIONS: tuple[Algorithm, ...] = ("local-search", "regularized-evolution", "nsga2", "tpe")
SEEDS = 6


def sphere(point: Architecture, best: Sequence[float] = (0.3, 0.7, 0.2, 0.9)) -> float:
    return -sum((float(point[f"x{number}"]) - at) ** 2 for number, at in enumerate(best))


def cheaply(point: Architecture) -> float:
    """Another scale, and a best that is a little off."""
    return 1000.0 + 50.0 * sphere(point, (0.35, 0.65, 0.25, 0.85))


def drawn(seed: int, *, shuffled: bool = False) -> list[Observation]:
    """Sixty draws and what the cheap evaluation says of them."""
    rng = Random(f"earlier/{seed}")
    points = [CUBE.sample(rng) for _ in range(60)]
    values = [cheaply(point) for point in points]
    if shuffled:
        rng.shuffle(values)
    return [Observation(point, (0.0, value)) for point, value in zip(points, values, strict=True)]


def best_found(algorithm: Algorithm, seed: int, earlier: Sequence[Observation], trials: int) -> float:
    strategy, history = build_strategy(Search(algorithm=algorithm, seed=seed), CUBE), History(CUBE, earlier)
    for _ in range(trials):
        (proposed,) = strategy.propose(history, 1)
        history.observe(Observation(proposed, (0.0, sphere(proposed))))
    return max(one.known_score[1] for one in history.scored)


def regret(algorithm: Algorithm, trials: int, *, earlier: bool, shuffled: bool = False) -> float:
    return -fmean(
        best_found(algorithm, seed, drawn(seed, shuffled=shuffled) if earlier else (), trials) for seed in range(SEEDS)
    )


@pytest.mark.parametrize("algorithm", list(FEW))
def test_useful_results_help(algorithm: Algorithm) -> None:
    trials = FEW[algorithm]
    assert regret(algorithm, trials, earlier=True) < 0.7 * regret(algorithm, trials, earlier=False)


@pytest.mark.parametrize("algorithm", list(FEW))
def test_useless_results_do_little_harm(algorithm: Algorithm) -> None:
    trials = 24
    useless = regret(algorithm, trials, earlier=True, shuffled=True)
    assert useless < 1.5 * regret(algorithm, trials, earlier=False)


@pytest.mark.parametrize("algorithm", list(FEW))
@pytest.mark.parametrize("case", [Case(MIXED, 3), Case(CONDITIONAL, 4)], ids=["mixed", "conditional"])
def test_their_scale_does_not_matter(algorithm: Algorithm, case: Case) -> None:
    """Neither a factor nor an offset; powers of two, so that nothing is rounded."""
    found = []
    for factor, offset in ((1.0, 0.0), (4.0, 1024.0)):
        scored = [
            Observation(one.architecture, (one.known_score[0], factor * one.known_score[1] + offset))
            for one in case.after(30).earlier
        ]
        strategy, history = build_strategy(Search(algorithm=algorithm, seed=5), case.space), History(case.space, scored)
        for number in range(12):
            (proposed,) = strategy.propose(history, 1)
            history.observe(Observation(proposed, (0.0, float(number % 5))))
        found.append([one.architecture for one in history.observations])
    assert found[0] == found[1]


@pytest.mark.parametrize("algorithm", POPULATIONS)
def test_the_first_population_is_of_the_best(algorithm: Algorithm) -> None:
    """Each is judged again, the best first, and the next one where one fails."""
    earlier = drawn(0)
    order = [one.architecture for one in sorted(earlier, key=lambda one: one.known_score, reverse=True)]
    strategy, history = build_strategy(Search(algorithm=algorithm), CUBE), History(CUBE, earlier)
    assert strategy.propose(history, 2) == order[:2]
    history.observe(Observation(order[0], None))
    history.observe(Observation(order[1], (0.0, 1.0)))
    assert strategy.propose(history, 8) == order[2:10]


@pytest.mark.parametrize("algorithm", ["predictor", "bayesian"])
def test_models_propose_from_the_first(algorithm: Algorithm) -> None:
    """All but the draws that show whether the earlier results are right are near the best."""
    strategy, history = build_strategy(Search(algorithm=algorithm), CUBE), History(CUBE, drawn(1))
    proposals = []
    for _ in range(8):
        calibrating = calibrates(history, 8)
        (proposed,) = strategy.propose(history, 1)
        proposals += [] if calibrating else [proposed]
    assert len(proposals) == 6
    assert min(cheaply(one) for one in proposals) > np.quantile([one.known_score[1] for one in drawn(1)], 0.9)


def test_too_few_are_not_relied_on() -> None:
    for algorithm in ("predictor", "bayesian"):
        search = Search(algorithm=algorithm, seed=3)
        plain, few = (build_strategy(search, CUBE).propose(History(CUBE, drawn(0)[:count]), 3) for count in (0, 7))
        assert plain == few


def test_only_what_architectures_tell_is_learned_from() -> None:
    encoder, useful = Encoder(CUBE), drawn(2)
    assert informative(encoder, useful) == useful
    assert not informative(encoder, useful[: FEWEST - 1])
    assert not informative(encoder, drawn(2, shuffled=True))
    assert not informative(encoder, [Observation(one.architecture, (0.0, 1.0)) for one in useful])


class _Line:
    """A model that predicts a multiple of its only number."""

    def __init__(self, factor: float, offset: float = 0.0) -> None:
        self._factor, self._offset = factor, offset
        self.spread = factor

    def predict(self, blocks: Sequence[np.ndarray]) -> tuple[np.ndarray, np.ndarray]:
        return self._factor * blocks[0][:, 0] + self._offset, np.full(len(blocks[0]), self._factor)


@given(st.floats(-3.0, 3.0), st.floats(0.01, 100.0), st.floats(-100.0, 100.0), st.integers(0, 2**32 - 1))
def test_own_results_tell_the_slope(slope: float, factor: float, offset: float, seed: int) -> None:
    """Whatever the scale of the model; a negative one counts as none."""
    rng = np.random.default_rng(seed)
    rows = [rng.standard_normal((400, 1))]
    scores = slope * rows[0][:, 0] + 0.1 * rng.standard_normal(400)
    mean, deviation = PriorMean(_Line(factor, offset), rows, scores).predict([np.array([[0.0], [1.0]])])
    assert mean[1] - mean[0] == pytest.approx(max(0.0, slope), abs=0.05)
    assert deviation[0] == pytest.approx(max(0.0, slope), abs=0.05)


def test_a_model_that_predicts_one_value_tells_nothing() -> None:
    rows = [np.ones((3, 1))]
    mean = PriorMean(_Line(0.0), rows, np.array([1.0, 2.0, 3.0]))
    assert mean.residuals.tolist() == [1.0, 2.0, 3.0]


SCORES = st.lists(st.tuples(st.sampled_from([0.0, -1.0, -2.0]), st.integers(-3, 3).map(float)), max_size=30)


def _observed(scores: Sequence[Score]) -> list[Observation]:
    return [Observation(Architecture({"n": number}), score) for number, score in enumerate(scores)]


@given(SCORES, st.integers(1, 40))
def test_a_part_has_the_best_and_some_of_the_others(scores: list[Score], count: int) -> None:
    observed = _observed(scores)
    part = list(representative(observed, count))
    assert len(part) == min(count, len(observed))
    indices = [observed.index(one) for one in part]
    assert indices == sorted(set(indices))
    if len(observed) > count:
        best = sorted(scores, reverse=True)[: count // 2]
        assert sorted((one.known_score for one in part), reverse=True)[: count // 2] == best
    else:
        assert part == observed


@given(SCORES)
def test_the_best_come_first_and_the_earliest_of_equals(scores: list[Score]) -> None:
    ordered = best_earlier(History(MIXED, _observed(scores)))
    keys = [(one.known_score, -int(one.architecture["n"])) for one in ordered]
    assert keys == sorted(keys, reverse=True)
    assert len(ordered) == len(scores)


@given(SCORES)
def test_of_several_objectives_the_first_front_comes_first(scores: list[Score]) -> None:
    earlier = [
        Observation(one.architecture, one.known_score, (one.known_score[1], float(number % 4)))
        for number, one in enumerate(_observed(scores))
    ]
    ordered = best_earlier(History(MIXED, earlier))
    first = fronts(earlier)[0] if earlier else []
    assert {one.architecture for one in ordered[: len(first)]} == {earlier[index].architecture for index in first}


def test_what_diverged_is_bounded() -> None:
    one = Observation(Architecture({"n": 0}), (0.0, -1e308), (-1e308, float("inf")))
    assert one.objectives == (-LARGEST, LARGEST)
