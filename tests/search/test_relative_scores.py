"""Strategies that learn from each result, where each result changes the scores of all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenas.api.search import Algorithm, Search
from kubenas.search import nsga2
from kubenas.search.base import History, Observation
from kubenas.search.cma_es import CMAES
from kubenas.search.load import build_strategy
from kubenas.search.refit_schedule import fits_between, fitted_at
from kubenas.search.reinforce import Reinforce
from kubenas.space.domains import Float
from kubenas.space.parameters import parameter_space

SPACE = parameter_space({"x": Float(0.0, 1.0, "linear"), "y": Float(0.0, 1.0, "linear")})
RESULTS = 300


def by_rank(observations: Sequence[Observation]) -> list[Observation]:
    """As many as it is better than."""
    order = sorted(range(len(observations)), key=lambda index: observations[index].metrics["value"])
    ranks = {index: float(rank) for rank, index in enumerate(order)}
    return [replace(one, score=(0.0, ranks[n]), values=(ranks[n],)) for n, one in enumerate(observations)]


@given(st.integers(0, 3000), st.integers(0, 3000))
def test_fits_are_where_they_are_from_anywhere(known: int, results: int) -> None:
    assert [*fits_between(fitted_at(known), results)] == [n for n in range(known + 1, results + 1) if fitted_at(n) == n]


def test_all_is_learnt_at_once_unless_scores_are_relative() -> None:
    assert [*History(SPACE).learnt_at(7, 1000)] == [1000]
    assert [*History(SPACE).learnt_at(1000, 1000)] == []
    assert [*History(SPACE, compared=by_rank).learnt_at(960, 1000)] == [992]


@pytest.mark.parametrize(
    ("algorithm", "owner", "name"),
    [("reinforce", Reinforce, "_step"), ("cma-es", CMAES, "_tell_generation"), ("nsga2", nsga2, "ranked")],
)
def test_each_result_is_learnt_from_once(
    algorithm: Algorithm, owner: Any, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    calls = Counter[str]()
    learn: Callable[..., Any] = getattr(owner, name)

    def counted(*arguments: Any) -> Any:
        calls[name] += 1
        return learn(*arguments)

    monkeypatch.setattr(owner, name, counted)
    strategy, history = build_strategy(Search(algorithm=algorithm, seed=1), SPACE), History(SPACE, compared=by_rank)
    for _ in range(RESULTS):
        [architecture] = strategy.propose(history, 1)
        distance = sum((float(architecture[axis]) - 0.3) ** 2 for axis in ("x", "y"))
        history.observe(Observation(architecture, (0.0, 0.0), metrics={"value": -distance}))
    assert 0 < calls[name] <= RESULTS
    # It has learnt what ranks tell: the last ones are better than the first.
    first, last = (sum(one.metrics["value"] for one in some) for some in (history.ended[:50], history.ended[-50:]))
    assert last > first / 2
