"""Every strategy holds to what `Strategy` promises, and each to its own paper."""

from __future__ import annotations

from collections import Counter
from random import Random
from typing import Any, get_args

import pytest

from kubenas.api.errors import SpecError
from kubenas.api.search import Algorithm, Search
from kubenas.search.base import History, Observation, Strategy
from kubenas.search.conformance import check_strategy
from kubenas.search.load import ALGORITHMS as LOADED
from kubenas.search.load import build_strategy
from kubenas.search.random import RandomSearch
from kubenas.search.regularized_evolution import RegularizedEvolution, RegularizedEvolutionSettings
from kubenas.space.base import Architecture, Space
from kubenas.space.domains import Choice, Float, Int
from kubenas.space.parameters import parameter_space
from kubenas.space.presets.nasbench201 import NASBench201

# Those that ask services have tests of their own.
ALGORITHMS: tuple[Algorithm, ...] = tuple(name for name in get_args(Algorithm) if name not in {"llm", "external"})
# They fit a model for each proposal, so fewer steps are compared.
SLOW: dict[Algorithm, dict[str, Any]] = {
    "predictor": {"initial": 6},
    "bayesian": {"initial": 6},
    "tpe": {"initial": 6},
}


@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_conforms(algorithm: Algorithm) -> None:
    settings = SLOW.get(algorithm, {})
    trials, every = (20, 13) if settings else (40, 5)
    check_strategy(
        lambda space, seed: build_strategy(Search(algorithm=algorithm, seed=seed, settings=settings), space),
        trials,
        every,
    )


def test_every_algorithm_is_there() -> None:
    assert set(get_args(Algorithm)) == set(LOADED)


def test_conforms_with_a_population_smaller_than_the_parallelism() -> None:
    settings = RegularizedEvolutionSettings(population_size=2, sample_size=1)
    check_strategy(lambda space, seed: RegularizedEvolution(space, seed, settings))


class _Repeating(RandomSearch):
    """Broken: forgets what it proposed."""

    def next(self, history: History, rng: Random) -> Architecture | None:
        return self.space.sample(rng) if history.distinct < (self.space.size() or 10**9) else None


class _Remembering(RandomSearch):
    """Broken: depends on how often it was asked."""

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__(space, seed)
        self._asked = 0

    def next(self, history: History, rng: Random) -> Architecture | None:
        self._asked += 1
        return super().next(history, Random(f"{rng.random()}/{self._asked}"))


class _Unseeded(RandomSearch):
    """Broken: overlooks its seed."""

    def draws(self, history: History) -> Random:
        return Random(history.proposed)


class _Endless(RandomSearch):
    """Broken: repeats itself when nothing is left."""

    def next(self, history: History, rng: Random) -> Architecture | None:
        return super().next(history, rng) or self.space.sample(rng)


@pytest.mark.parametrize("broken", [_Repeating, _Remembering, _Unseeded, _Endless])
def test_conformance_finds_a_broken_strategy(broken: type[RandomSearch]) -> None:
    with pytest.raises(AssertionError):
        check_strategy(broken)


@pytest.mark.parametrize(
    ("algorithm", "settings", "message"),
    [
        ("random", {"seed": 1}, "search.settings.seed: is no setting of random, which has no settings"),
        (
            "regularized-evolution",
            {"population": 5},
            "search.settings.population: is no setting of regularized-evolution, which has populationSize, sampleSize",
        ),
        ("regularized-evolution", {"populationSize": "big"}, "search.settings.populationSize: must be a valid integer"),
        ("regularized-evolution", {"populationSize": 1}, "search.settings.populationSize: "),
        ("regularized-evolution", {"sampleSize": 0}, "search.settings.sampleSize: "),
        ("regularized-evolution", {"sampleSize": 11}, "search.settings.sampleSize: 11 is greater than populationSize"),
    ],
)
def test_wrong_settings_name_the_field(algorithm: Algorithm, settings: dict[str, Any], message: str) -> None:
    with pytest.raises(SpecError) as refused:
        build_strategy(Search(algorithm=algorithm, settings=settings), NASBench201())
    assert str(refused.value).startswith(message)
    assert refused.value.field == message.split(":", maxsplit=1)[0]


def test_settings_are_as_given() -> None:
    settings = {"populationSize": 20, "sampleSize": 5}
    strategy = build_strategy(Search(algorithm="regularized-evolution", seed=4, settings=settings), NASBench201())
    assert isinstance(strategy, RegularizedEvolution)
    assert strategy.settings == RegularizedEvolutionSettings(population_size=20, sample_size=5)
    assert strategy.seed == 4


WIDE = parameter_space({f"p{index}": Choice(tuple("abcdefghijklmnop")) for index in range(10)})


def _ended(space: Space, *scores: tuple[float, float] | None) -> tuple[History, list[Architecture]]:
    """A history of as many random candidates as there are scores, and these candidates."""
    rng, history = Random(1), History(space)
    architectures = [space.sample(rng) for _ in scores]
    for architecture, score in zip(architectures, scores, strict=True):
        history.propose([architecture])
        history.observe(Observation(architecture, score))
    return history, architectures


def _parents(history: History, architectures: list[Architecture], settings: RegularizedEvolutionSettings) -> set[int]:
    """Which of `architectures` have a child among the proposals of many seeds."""
    parents = set()
    for seed in range(300):
        copied = History(WIDE)
        copied.propose(architectures)
        for observation in history.observations:
            copied.observe(observation)
        (child,) = RegularizedEvolution(WIDE, seed, settings).propose(copied, 1)
        parents |= {
            index
            for index, architecture in enumerate(architectures)
            if sum(child[name] != architecture[name] for name in child) == 1
        }
    return parents


def test_parents_are_the_latest_with_a_score() -> None:
    """The oldest is the best but has aged out, and the failed one is no parent."""
    scores = [(0.0, 9.0), (0.0, 1.0), (0.0, 2.0), None, (0.0, 3.0)]
    history, architectures = _ended(WIDE, *scores)
    settings = RegularizedEvolutionSettings(population_size=3, sample_size=1)
    assert _parents(history, architectures, settings) == {1, 2, 4}


def test_the_feasible_win_whatever_their_value() -> None:
    """A sample of 50 misses one of a population of 3 twice in a billion times."""
    history, architectures = _ended(WIDE, (-0.1, 9.0), (0.0, 1.0), (-0.2, 99.0))
    settings = RegularizedEvolutionSettings.model_construct(population_size=3, sample_size=50)
    assert _parents(history, architectures, settings) == {1}


def test_random_until_the_population_is_full() -> None:
    """A failed candidate leaves its place to another random one."""
    settings = RegularizedEvolutionSettings(population_size=4, sample_size=1)
    history, architectures = _ended(WIDE, (0.0, 1.0), None, (0.0, 2.0), (0.0, 3.0))
    assert _parents(history, architectures, settings) == set()
    history, architectures = _ended(WIDE, (0.0, 1.0), None, (0.0, 2.0), (0.0, 3.0), (0.0, 4.0))
    assert _parents(history, architectures, settings) == {0, 2, 3, 4}


def test_random_search_draws_what_is_left_alike() -> None:
    """Of 10 architectures 7 are taken; the first proposals of many seeds are spread over the other 3."""
    space = parameter_space({"n": Int(1, 10, "log")})
    counts: Counter[Any] = Counter()
    for seed in range(300):
        history = History(space)
        history.propose(space.parse({"n": n}) for n in range(1, 8))
        (proposal,) = RandomSearch(space, seed).propose(history, 1)
        counts[proposal["n"]] += 1
    assert set(counts) == {8, 9, 10}
    assert min(counts.values()) > 50


@pytest.mark.parametrize("algorithm", ALGORITHMS)
@pytest.mark.parametrize(
    "space",
    [
        parameter_space({"x": Float(1.0, 1.0, "linear")}),
        parameter_space({"x": Float(0.0, 5e-324, "linear")}),
        parameter_space({"n": Int(1, 9_000, "log")}),
    ],
    ids=["one point", "two floats", "all but one taken"],
)
def test_ends_where_draws_only_repeat(algorithm: Algorithm, space: Space) -> None:
    history = History(space)
    strategy: Strategy = build_strategy(Search(algorithm=algorithm), space)
    if space.size() == 9_000:
        history.propose(space.parse({"n": n}) for n in range(1, 9_000))
        assert strategy.propose(history, 3) == [space.parse({"n": 9_000})]
    else:
        assert 1 <= len(strategy.propose(history, 3)) <= 2
    assert strategy.propose(history, 1) == []
