"""Combinations of scores against their definitions, one candidate at a time."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import rankdata

from kubenas.scores.combine import Combination, combined, ranks

HOWS: tuple[Combination, ...] = ("log-rank-sum", "mean-rank", "vote")
# Few different numbers, so that there are ties.
NUMBERS = st.one_of(st.integers(-3, 3).map(float), st.floats(allow_nan=False), st.just(math.nan))


@st.composite
def tables(draw: st.DrawFn) -> dict[str, list[float]]:
    count = draw(st.integers(1, 12))
    columns = draw(st.lists(st.lists(NUMBERS, min_size=count, max_size=count), min_size=1, max_size=5))
    return {f"p{index}": column for index, column in enumerate(columns)}


def plain_ranks(column: Sequence[float]) -> list[float]:
    """By scipy, with NaN below all numbers."""
    order = [(0, 0.0) if math.isnan(value) else (1, value) for value in column]
    return [float(rank) for rank in rankdata([sorted(set(order)).index(one) for one in order])]


def log_rank_sum(table: list[list[float]], one: int) -> float:
    return sum(math.log(column[one] / len(column)) for column in table)


def mean_rank(table: list[list[float]], one: int) -> float:
    return sum(column[one] / len(column) for column in table) / len(table)


def vote(table: list[list[float]], one: int) -> float:
    others = [other for other in range(len(table[0])) if other != one]
    points = 0.0
    for other in others:
        better, worse = (sum(c[one] > c[other] for c in table), sum(c[one] < c[other] for c in table))
        points += 1.0 if better > worse else 0.5 if better == worse else 0.0
    return points / len(others) if others else 0.0


@given(st.lists(NUMBERS, max_size=15))
def test_ranks_are_those_of_scipy_with_missing_ones_last(column: list[float]) -> None:
    assert ranks(column).tolist() == plain_ranks(column)


@pytest.mark.parametrize(("how", "defined"), [*zip(HOWS, (log_rank_sum, mean_rank, vote), strict=True)], ids=HOWS)
@given(columns=tables())
def test_combinations_are_as_defined(
    how: Combination, defined: Callable[[list[list[float]], int], float], columns: dict[str, list[float]]
) -> None:
    table = [plain_ranks(column) for column in columns.values()]
    assert combined(columns, how) == pytest.approx([defined(table, one) for one in range(len(table[0]))])


def renumbered(column: Sequence[float]) -> list[float]:
    """In the same order, on another scale."""
    known = sorted({value for value in column if not math.isnan(value)})
    return [value if math.isnan(value) else 2.0 ** known.index(value) for value in column]


@pytest.mark.parametrize("how", HOWS)
@given(columns=tables(), data=st.data())
def test_only_the_order_counts(how: Combination, columns: dict[str, list[float]], data: st.DataObject) -> None:
    scores = combined(columns, how)
    assert combined({name: renumbered(column) for name, column in columns.items()}, how) == scores
    order = data.draw(st.permutations(range(len(scores))))
    moved = {name: [column[index] for index in order] for name, column in columns.items()}
    assert combined(moved, how) == pytest.approx([scores[index] for index in order])


@pytest.mark.parametrize("how", HOWS)
@given(columns=tables())
def test_one_that_is_better_in_all_is_better(how: Combination, columns: dict[str, list[float]]) -> None:
    best = {name: [*column, math.inf] for name, column in columns.items()}
    worst = {name: [*column, math.nan] for name, column in columns.items()}
    assert combined(best, how)[-1] == max(combined(best, how))
    assert combined(worst, how)[-1] == min(combined(worst, how))


def test_a_large_table_is_voted_on_in_blocks() -> None:
    generator = np.random.default_rng(0)
    table = generator.integers(0, 50, size=(3, 5_000)).astype(float)
    shares = combined({str(index): column.tolist() for index, column in enumerate(table)}, "vote")
    plain = [plain_ranks(column.tolist()) for column in table]
    assert [shares[one] for one in (0, 777, 4_999)] == pytest.approx([vote(plain, one) for one in (0, 777, 4_999)])


def test_columns_that_cannot_be_combined_are_refused() -> None:
    with pytest.raises(ValueError, match="no column"):
        combined({}, "vote")
    with pytest.raises(ValueError, match=r"differ in length: .*'b': 1"):
        combined({"a": [1.0, 2.0], "b": [1.0]}, "vote")
    assert combined({"a": []}, "log-rank-sum") == []
