"""The predictor: what it learns, what it proposes, and that it is a function of the history."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad
from scipy.stats import norm

from kubenas.api.errors import SpecError
from kubenas.api.search import Search
from kubenas.search.acquisition import hypervolume_sequence, log_expected_improvement
from kubenas.search.base import History, Observation, Score, Strategy
from kubenas.search.load import build_strategy
from kubenas.search.normal_scores import normal_scores
from kubenas.search.predictor import Predictor, PredictorSettings
from kubenas.search.random import RandomSearch
from kubenas.search.refit_schedule import fitted_at
from kubenas.search.surrogate import Surrogate, without_outliers
from kubenas.space.base import Architecture, Space
from kubenas.space.domains import Float
from kubenas.space.parameters import parameter_space
from kubenas.space.presets.nasbench201 import NASBench201

SPACE = NASBench201()


CELLS = list(SPACE.enumerate())[::8]


def _known(place: int, *values: float) -> dict[str, Any]:
    return {"architecture": CELLS[place].to_json(), "values": list(values)}


def build(space: Space, seed: int) -> Predictor:
    return Predictor(space, seed, PredictorSettings(initial=6))


def quality(architecture: Architecture) -> float:
    """Known in advance: convolutions count, those of the long path most."""
    worth = {"none": 0.0, "skip_connect": 0.5, "nor_conv_1x1": 0.8, "nor_conv_3x3": 1.0, "avg_pool_3x3": 0.2}
    weights = {"0-1": 3.0, "1-2": 2.0, "2-3": 3.0, "0-2": 1.0, "1-3": 1.0, "0-3": 1.0}
    return sum(weight * worth[str(architecture[edge])] for edge, weight in weights.items())


def search(strategy: Strategy, space: Space, trials: int) -> History:
    history = History(space)
    for _ in range(trials):
        (proposed,) = strategy.propose(history, 1)
        history.observe(Observation(proposed, (0.0, quality(proposed))))
    return history


def best(history: History) -> float:
    scores: list[Score] = [o.score for o in history.scored if o.score is not None]
    return max(scores)[1]


def test_finds_the_best_cell_in_a_hundredth_of_the_space() -> None:
    for seed in range(3):
        assert best(search(Predictor(SPACE, seed, PredictorSettings()), SPACE, 52)) == 11.0
        assert best(search(RandomSearch(SPACE, seed), SPACE, 52)) < 11.0


def test_finds_where_a_continuous_function_is_best() -> None:
    space = parameter_space({"x": Float(-1.0, 1.0, "linear"), "y": Float(1e-4, 1.0, "log")})
    strategy, history = Predictor(space, 0, PredictorSettings()), History(space)
    for _ in range(60):
        (proposed,) = strategy.propose(history, 1)
        x, y = float(proposed["x"]), float(proposed["y"])
        history.observe(Observation(proposed, (0.0, -((x - 0.3) ** 2) - (np.log10(y) + 2.0) ** 2)))
    assert best(history) > -0.01


def test_learns_from_given_scores() -> None:
    """Scores that tell the answer are followed at once after the first fit."""
    scores = {SPACE.key(cell): [quality(cell)] for cell in SPACE.enumerate()}
    strategy = Predictor(SPACE, 0, PredictorSettings(initial=10), scores)
    with_scores = search(strategy, SPACE, 24)
    assert best(with_scores) >= best(search(Predictor(SPACE, 0, PredictorSettings(initial=10)), SPACE, 24))


@pytest.mark.parametrize(
    ("scores", "field"),
    [
        ([{"architecture": {"0-1": "none"}, "values": [1.0]}], "search.settings.scores[0].architecture"),
        ([_known(0, 1.0), _known(1, 1.0, 2.0)], "search.settings.scores[1].values"),
        ([{"architecture": {}, "values": []}], "search.settings.scores[0].values"),
    ],
)
def test_wrong_scores_name_the_field(scores: list[dict[str, Any]], field: str) -> None:
    with pytest.raises(SpecError) as refused:
        build_strategy(Search(settings={"scores": scores}), SPACE)
    assert refused.value.field == field


def test_scores_can_be_settings() -> None:
    settings = {"initial": 10, "scores": [_known(place, quality(cell)) for place, cell in enumerate(CELLS)]}
    (told,) = {best(search(build_strategy(Search(settings=settings), SPACE), SPACE, 24))}
    scores = {SPACE.key(cell): [quality(cell)] for cell in CELLS}
    assert told == best(search(Predictor(SPACE, 0, PredictorSettings(initial=10), scores), SPACE, 24))


def area(points: list[tuple[float, float]]) -> float:
    """Area below a front of quality and negative FLOPs, relative to the box of the whole space."""
    grid = np.linspace(-230e6, 0.0, 231)
    return float(np.mean([max((q for q, cost in points if cost >= least), default=0.0) for least in grid])) / 11.0


def traded_off(strategy: Predictor | RandomSearch, trials: int) -> float:
    """What a search reaches of the area, where cells may have three kinds of operations at most."""
    history, points = History(SPACE), []
    for _ in range(trials):
        (proposed,) = strategy.propose(history, 1)
        value = (quality(proposed), -SPACE.costs(proposed)["flops"])
        excess = max(0, len(set(proposed.values())) - 3)
        history.observe(Observation(proposed, (-float(excess), value[0]), value))
        points += [value] if excess == 0 else []
    return area(points)


def test_trades_off_two_objectives_within_limits() -> None:
    cells = [cell for cell in SPACE.enumerate() if len(set(cell.values())) <= 3]
    whole = area([(quality(cell), -SPACE.costs(cell)["flops"]) for cell in cells])
    assert traded_off(Predictor(SPACE, 0, PredictorSettings()), 80) > 0.98 * whole
    assert traded_off(RandomSearch(SPACE, 0), 80) < 0.98 * whole


def test_finds_the_best_within_a_limit() -> None:
    best_kept = max(quality(cell) for cell in SPACE.enumerate() if SPACE.costs(cell)["flops"] <= 50e6)
    strategy, history = Predictor(SPACE, 1, PredictorSettings()), History(SPACE)
    for _ in range(60):
        (proposed,) = strategy.propose(history, 1)
        excess = max(0.0, SPACE.costs(proposed)["flops"] - 50e6)
        history.observe(Observation(proposed, (-excess, quality(proposed))))
    assert best(history) == best_kept


def test_a_prepared_fit_gives_the_same_proposals() -> None:
    history = search(build(SPACE, 3), SPACE, 20)
    inline, prepared = build(SPACE, 3), build(SPACE, 3)
    work = prepared.preparation(history, 4)
    assert work is not None
    prepared.accept(work, work.result())
    assert prepared.preparation(history, 4) is None
    copied = search(build(SPACE, 3), SPACE, 20)
    assert prepared.propose(history, 4) == inline.propose(copied, 4)


@given(st.integers(0, 100_000))
def test_fits_are_a_twentieth_apart(results: int) -> None:
    seen = fitted_at(results)
    assert 0 <= results - seen <= results / 20
    assert fitted_at(seen) == seen


@given(st.lists(st.floats(-1e9, 1e9), min_size=2, max_size=60))
def test_scores_keep_the_order(values: list[float]) -> None:
    for scores in (normal_scores(values), without_outliers(np.array(values))):
        for one, other in zip(range(len(values)), range(1, len(values)), strict=False):
            if values[one] >= values[other]:
                assert scores[one] >= scores[other]


def test_surrogate_predicts_what_it_was_not_shown() -> None:
    rng = np.random.default_rng(0)
    rows = rng.random((200, 5))
    truth = rows @ np.array([3.0, 2.0, 1.0, 0.0, 0.0])
    surrogate = Surrogate([rows[:150]], truth[:150], 0)
    mean, deviation = surrogate.predict([rows[150:]])
    assert np.corrcoef(mean, truth[150:])[0, 1] > 0.95
    assert (deviation > 0).all()


_THREADS = """
from threadpoolctl import threadpool_info
from kubenas.api.search import Search
from kubenas.search.base import History, Observation
from kubenas.search.load import build_strategy
from kubenas.space.presets.nasbench201 import NASBench201

space = NASBench201()
strategy, history = build_strategy(Search(settings={"initial": 2}), space), History(space)
for value in range(3):
    (proposed,) = strategy.propose(history, 1)
    history.observe(Observation(proposed, (0.0, float(value))))
print(*{library["num_threads"] for library in threadpool_info() if library["user_api"] == "blas"})
"""


def test_fits_take_one_thread_whatever_the_environment() -> None:
    environment = {**os.environ, "OPENBLAS_NUM_THREADS": "2", "OMP_NUM_THREADS": "2"}
    ran = subprocess.run([sys.executable, "-c", _THREADS], env=environment, capture_output=True, text=True, check=True)
    assert ran.stdout.split() == ["1"]


def test_expected_improvement_is_the_mean_over_draws() -> None:
    draws = np.random.default_rng(0).standard_normal(200_000) * 0.5 + 0.2
    expected = float(log_expected_improvement(np.array([0.2]), np.array([0.5]), 0.4)[0])
    assert math.exp(expected) == pytest.approx(float(np.maximum(draws - 0.4, 0.0).mean()), rel=0.02)


@given(st.floats(-1e4, 8.0), st.floats(-5.0, 5.0))
def test_expected_improvement_is_as_integrated(standard: float, log_deviation: float) -> None:
    """Of phi(t - z) t over t > 0, with phi(z) taken out, as it is too small for a number."""
    scale = max(1.0, -standard)
    weighted, _ = quad(lambda t: t * math.exp(standard * t / scale - (t / scale) ** 2 / 2), 0.0, 40.0 * scale**0.5 + 40)
    exact = log_deviation + norm.logpdf(standard) + math.log(weighted / scale**2)
    deviation = math.exp(log_deviation)
    found = log_expected_improvement(np.array([standard * deviation]), np.array([deviation]), 0.0)
    assert float(found[0]) == pytest.approx(exact, rel=1e-6, abs=1e-6)


def test_hopeless_candidates_still_differ() -> None:
    standard = -np.logspace(0, 8, 400)
    improvement = log_expected_improvement(standard, np.ones(400), 0.0)
    assert np.isfinite(improvement).all()
    assert (np.diff(improvement) < 0).all()


def test_hypervolume_is_gained_in_turn() -> None:
    """Of two near points and a far one, the far one comes second; what the front dominates comes last."""
    points = np.array([[0.9, 0.5], [0.88, 0.5], [0.3, 0.95], [0.1, 0.1]])
    front = np.array([[0.5, 0.5]])
    order = hypervolume_sequence(front, points[None], np.ones(4), 4, 0)
    assert order[0] == 0
    assert order[1] == 2
    assert order[-1] == 3
