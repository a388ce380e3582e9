"""Searches by models of numbers and choices find more than chance, beside failures, limits and what is pending."""

from __future__ import annotations

from collections.abc import Callable
from functools import cache
from random import Random
from statistics import fmean

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import check_grad
from scipy.spatial.distance import cdist

from kubenas.api.search import Algorithm, Search
from kubenas.search import relevance
from kubenas.search.base import History, Observation
from kubenas.search.gaussian_process import GaussianProcess
from kubenas.search.load import build_strategy
from kubenas.space.base import Architecture, Space
from kubenas.space.decisions import Decision, When
from kubenas.space.domains import Choice, Float, Int
from kubenas.space.parameters import parameter_space

TRIALS: dict[Algorithm, int] = {"bayesian": 32, "tpe": 80, "cma-es": 100}
SEEDS = 3
# None is a failure, the first number what is left of a limit.
Function = Callable[[Architecture], tuple[float, float] | None]

CUBE = parameter_space({f"x{number}": Float(0.0, 1.0, "linear") for number in range(4)})
BEST = (0.3, 0.7, 0.2, 0.9)
TRAINING = Space(
    [
        Decision("optimizer", Choice(("sgd", "adam"))),
        Decision("rate", Float(1e-5, 1.0, "log")),
        Decision("momentum", Float(0.0, 1.0, "linear"), When("optimizer", frozenset({"sgd"}))),
        Decision("beta", Float(0.0, 1.0, "linear"), When("optimizer", frozenset({"adam"}))),
        Decision("layers", Int(1, 10, "linear")),
    ]
)


def sphere(point: Architecture) -> tuple[float, float]:
    return 0.0, -sum((float(point[f"x{number}"]) - best) ** 2 for number, best in enumerate(BEST))


def training(settings: Architecture) -> tuple[float, float]:
    """The best has SGD, and Adam is better with most other numbers."""
    value = -abs(np.log10(float(settings["rate"])) + 2.0) - abs(float(settings["layers"]) - 7.0) / 3.0
    if settings["optimizer"] == "sgd":
        return 0.0, value - 3.0 * abs(float(settings["momentum"]) - 0.8)
    return 0.0, value - 0.5 - abs(float(settings["beta"]) - 0.2)


def narrowed(point: Architecture) -> tuple[float, float] | None:
    """The sphere, where a corner fails and the best within the limit is -0.04."""
    if float(point["x0"]) > 0.6:
        return None
    return -max(0.0, float(point["x1"]) - 0.5), sphere(point)[1]


@cache
def search(algorithm: Algorithm, seed: int, space: Space, function: Function, trials: int) -> History:
    """Four at a time; not to be changed, as tests share them."""
    strategy, history = build_strategy(Search(algorithm=algorithm, seed=seed), space), History(space)
    while len(history.observations) < trials:
        strategy.propose(history, min(4 - len(history.pending), trials - history.proposed))
        ended = history.pending[0]
        history.observe(Observation(ended, function(ended)))
    return history


def regret(algorithm: Algorithm, space: Space, function: Function, trials: int, best: float = 0.0) -> float:
    """How far the best within limits is from the best there is, mean over seeds."""
    found = [search(algorithm, seed, space, function, trials) for seed in range(SEEDS)]
    return best - fmean(max(one.known_score[1] for one in history.scored if one.feasible) for history in found)


@pytest.mark.parametrize("algorithm", list(TRIALS))
@pytest.mark.parametrize(("space", "function"), [(CUBE, sphere), (TRAINING, training)], ids=["sphere", "conditions"])
def test_finds_more_than_chance(algorithm: Algorithm, space: Space, function: Function) -> None:
    trials = TRIALS[algorithm]
    assert regret(algorithm, space, function, trials) < 0.5 * regret("random", space, function, trials)


@pytest.mark.parametrize("algorithm", list(TRIALS))
def test_finds_more_than_chance_beside_failures_and_limits(algorithm: Algorithm) -> None:
    trials = TRIALS[algorithm]
    found, drawn = (regret(name, CUBE, narrowed, trials, -0.04) for name in (algorithm, "random"))
    assert 0.0 <= found < 0.5 * drawn


@pytest.mark.parametrize("algorithm", ["bayesian", "cma-es"])
def test_comes_to_leave_out_what_fails(algorithm: Algorithm) -> None:
    """Four in ten random points fail."""
    histories = [search(algorithm, seed, CUBE, narrowed, TRIALS[algorithm]) for seed in range(SEEDS)]
    latest = [one for history in histories for one in history.observations[-10:]]
    assert sum(one.score is None for one in latest) < 0.2 * len(latest)


@pytest.mark.parametrize("algorithm", list(TRIALS))
def test_comes_near_limits_until_something_is_within(algorithm: Algorithm) -> None:
    """A ball with a hundredth of the cube, and no objective that would lead there."""

    def function(point: Architecture) -> tuple[float, float]:
        return min(0.0, 0.05 + sphere(point)[1]), 0.0

    trials = TRIALS[algorithm]
    found = [search(algorithm, seed, CUBE, function, trials).scored for seed in range(SEEDS)]
    drawn = [search("random", seed, CUBE, function, trials).scored for seed in range(SEEDS)]
    nearest, by_chance = (fmean(max(one.known_score[0] for one in run) for run in runs) for runs in (found, drawn))
    assert nearest > 0.5 * by_chance


def test_smooth_functions_are_followed_to_the_end() -> None:
    assert regret("bayesian", CUBE, sphere, 32) < 0.005


def test_what_is_pending_is_kept_away_from() -> None:
    """Eight proposals at once are no nearer to each other than a step, though the first is the most promising."""
    history = History(CUBE)
    for one in search("bayesian", 0, CUBE, sphere, 32).observations:
        history.propose([one.architecture])
        history.observe(one)
    proposals = build_strategy(Search(algorithm="bayesian"), CUBE).propose(history, 8)
    points = np.array([[float(value) for value in one.values()] for one in proposals])
    assert cdist(points, points)[~np.eye(8, dtype=bool)].min() > 0.015


def test_pending_results_leave_what_a_process_with_them_has() -> None:
    """By the definition: the covariance given the observed and the pending together, with noise on both."""
    rng = np.random.default_rng(0)
    rows, coming, others = rng.random((30, 3)), rng.random((5, 3)), rng.random((40, 3))
    process = GaussianProcess([rows], np.sin(4.0 * rows[:, 0]) + rows[:, 1], 0, relevance=True)
    posterior, pending = process.posterior([others]), process.posterior([coming])
    before, after = process.deviation(posterior), process.deviation(posterior, pending)
    known = [np.concatenate([process.posterior([rows]).rows[0], pending.rows[0]])]

    def kernel(left: np.ndarray, right: np.ndarray) -> np.ndarray:
        distance = 5**0.5 * cdist(left, right)
        return np.asarray((1 + distance + distance**2 / 3) * np.exp(-distance))

    across = kernel(known[0], posterior.rows[0])
    solved = np.linalg.solve(kernel(known[0], known[0]) + process.noise * np.eye(35), across)
    share = np.sqrt(1.0 - (across * solved).sum(axis=0))
    assert (after <= before).all()
    assert after / after[0] == pytest.approx(share / share[0], rel=1e-4)


@given(st.integers(0, 2**32 - 1))
def test_relevances_climb_by_their_gradient(seed: int) -> None:
    rng = np.random.default_rng(seed)
    rows, targets = [rng.standard_normal((12, 3)), rng.standard_normal((12, 2))], rng.standard_normal(12)
    point = rng.normal(0.0, 0.5, 6)
    off = check_grad(
        lambda x: relevance.loss(x, rows, targets)[0], lambda x: relevance.loss(x, rows, targets)[1], point
    )
    assert off < 1e-3


def test_what_tells_nothing_has_a_long_length() -> None:
    rng = np.random.default_rng(1)
    rows = rng.standard_normal((80, 4))
    (lengths,), noise = relevance.relevances([rows], np.sin(2.0 * rows[:, 1]))
    assert lengths[1] == lengths.min()
    assert np.delete(lengths, 1).min() > 4.0 * lengths[1]
    assert noise < 0.05


LETTERS = parameter_space({f"p{place}": Choice(tuple("abcdef")) for place in range(8)})


def letters(architecture: Architecture) -> float:
    return float(sum(value == "a" for value in architecture.values()))


def test_tpe_remembers_what_was_good_long_ago() -> None:
    """The good ones are the first thirty of four hundred; a random draw has 1.3 of 8 letters right."""
    rng, history = Random(0), History(LETTERS)
    while len(history.observations) < 400:
        one = LETTERS.sample(rng)
        if (letters(one) >= 4) == (len(history.observations) < 30):
            history.propose([one])
            history.observe(Observation(one, (0.0, letters(one))))
    proposals = build_strategy(Search(algorithm="tpe"), LETTERS).propose(history, 6)
    assert fmean(letters(one) for one in proposals) > 3.0


def test_tpe_works_nothing_out_twice() -> None:
    """Neither while its answers are given one by one, nor where the space has fewer than were asked for."""
    space = parameter_space({"a": Choice(tuple("abcd")), "b": Choice(tuple("abcd"))})
    history, strategy = History(space), build_strategy(Search(algorithm="tpe"), space)
    for one in strategy.propose(history, 12):
        history.observe(Observation(one, (0.0, float(one["a"] == "a"))))
    work = strategy.preparation(history, 8)
    assert work is not None
    strategy.accept(work, work.result())
    for left in (4, 3, 2, 1):
        assert strategy.preparation(history, left) is None
        assert len(strategy.propose(history, 1)) == 1
    assert strategy.preparation(history, 4) is None
    assert strategy.propose(history, 1) == []
