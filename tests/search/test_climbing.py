"""Local search and the controller: each does what its paper says."""

from __future__ import annotations

from random import Random
from statistics import mean

import pytest

from kubenas.search.base import History, Observation, Strategy
from kubenas.search.local_search import LocalSearch, LocalSearchSettings
from kubenas.search.random import RandomSearch
from kubenas.search.regularized_evolution import RegularizedEvolution, RegularizedEvolutionSettings
from kubenas.search.reinforce import Reinforce, ReinforceSettings
from kubenas.space.base import Architecture, Space
from kubenas.space.decisions import Decision, When
from kubenas.space.domains import Choice, Float, Int
from kubenas.space.parameters import parameter_space

WIDE = parameter_space({f"p{index}": Choice(tuple("abcdef")) for index in range(10)})


def _letters(architecture: Architecture) -> float:
    """As many as there are `a`."""
    return float(sum(value == "a" for value in architecture.values()))


def _search(strategy: Strategy, trials: int, parallelism: int = 4) -> History:
    history = History(strategy.space)
    while len(history.observations) < trials:
        strategy.propose(history, min(parallelism - len(history.pending), trials - history.proposed))
        ended = history.pending[0]
        history.observe(Observation(ended, (0.0, _letters(ended))))
    return history


def _local(space: Space, initial: int = 1) -> LocalSearch:
    return LocalSearch(space, 0, LocalSearchSettings(initial=initial))


def _known(space: Space, scores: dict[Architecture, tuple[float, float] | None]) -> History:
    history = History(space)
    history.propose(scores)
    for architecture, score in scores.items():
        history.observe(Observation(architecture, score))
    return history


def test_steps_are_to_neighbours_of_the_best() -> None:
    rng = Random(0)
    best, worse, broken = (WIDE.sample(rng) for _ in range(3))
    history = _known(WIDE, {worse: (0.0, 1.0), best: (0.0, 2.0), broken: (-0.1, 9.0)})
    neighbours = WIDE.neighbours(best)
    proposals = _local(WIDE).propose(history, len(neighbours))
    assert set(proposals) == set(neighbours)


def test_the_next_best_follows_where_the_best_has_no_neighbour_left() -> None:
    """Also for a history that it has not seen before, and again for the first one."""
    space = parameter_space({"n": Int(1, 100, "linear")})
    # a step is 2 or 20, each way
    history = _known(space, {space.parse({"n": n}): (0.0, float(n == 50)) for n in (30, 48, 50, 52, 70, 90)})
    strategy = _local(space)
    (proposal,) = strategy.propose(history, 1)
    assert proposal["n"] in {10, 28, 32}
    other = _known(space, {space.parse({"n": n}): (0.0, float(n == 50)) for n in (50, 90)})
    assert {one["n"] for one in strategy.propose(other, 4)} == {30, 48, 52, 70}
    found = {one["n"] for one in strategy.propose(history, 2)} | {proposal["n"]}
    assert found == {10, 28, 32}


def test_failures_leave_their_place_among_the_first_draws() -> None:
    failed = WIDE.sample(Random(4))
    history = _known(WIDE, {failed: None})
    proposals = _local(WIDE, initial=3).propose(history, 3)
    assert len(set(proposals) & set(WIDE.neighbours(failed))) == 0


@pytest.mark.parametrize("seed", range(3))
def test_climbers_find_more_than_random_draws(seed: int) -> None:
    """Of 10 letters a random draw has 1.7 right; the best of 300 about 6."""
    random = max(_letters(one.architecture) for one in _search(RandomSearch(WIDE, seed), 300).observations)
    assert random < 8
    local = _search(LocalSearch(WIDE, seed, LocalSearchSettings()), 300)
    evolution = _search(RegularizedEvolution(WIDE, seed, RegularizedEvolutionSettings()), 300)
    assert max(_letters(one.architecture) for one in local.observations) == 10
    assert max(_letters(one.architecture) for one in evolution.observations) > random


@pytest.mark.parametrize("seed", range(3))
def test_the_controller_makes_good_choices_likelier(seed: int) -> None:
    """The mean of 50 random draws is 1.7, give or take 0.2."""
    history = _search(Reinforce(WIDE, seed, ReinforceSettings()), 400)
    results = [_letters(one.architecture) for one in history.observations]
    assert mean(results[:50]) < 3 < mean(results[-50:])


def test_the_controller_learns_one_choice_by_the_one_before() -> None:
    """Good is what repeats its first letter, which no policy of independent decisions can learn."""
    space = parameter_space({"first": Choice(tuple("ab")), "second": Choice(tuple("ab")), "x": Float(0, 1, "linear")})
    strategy, history = Reinforce(space, 0, ReinforceSettings()), History(space)
    for _ in range(300):
        (one,) = strategy.propose(history, 1)
        history.observe(Observation(one, (0.0, float(one["first"] == one["second"]))))
    latest = [one.architecture for one in history.observations[-100:]]
    assert sum(one["first"] == one["second"] for one in latest) > 80


def test_the_controller_learns_what_others_switch_on() -> None:
    kernel = Decision("kernel", Choice((3, 5, 7)), When("convolution", frozenset({"yes"})))
    space = Space([Decision("convolution", Choice(("no", "yes"))), kernel, Decision("x", Float(0, 1, "linear"))])
    strategy, history = Reinforce(space, 0, ReinforceSettings()), History(space)
    for _ in range(300):
        (one,) = strategy.propose(history, 1)
        history.observe(Observation(one, (0.0, float(one.get("kernel") == 5))))
    assert sum(one.architecture.get("kernel") == 5 for one in history.observations[-100:]) > 80


def test_the_controller_avoids_what_fails() -> None:
    """Also where all that does not fail is equal."""
    space = parameter_space({"operation": Choice(tuple("ab")), "x": Float(0, 1, "linear")})
    strategy, history = Reinforce(space, 0, ReinforceSettings()), History(space)
    for _ in range(200):
        (one,) = strategy.propose(history, 1)
        history.observe(Observation(one, None if one["operation"] == "a" else (0.0, 1.0)))
    assert sum(one.score is None for one in history.observations[-50:]) < 15
