"""Rank correlations against their definitions over all pairs."""

from __future__ import annotations

import math
from itertools import combinations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import spearmanr

from kubenas.scores.correlation import kendall, spearman

NUMBERS = st.one_of(st.integers(-3, 3).map(float), st.floats(allow_nan=False), st.just(math.nan))
PAIRS = st.lists(st.tuples(NUMBERS, NUMBERS), max_size=15)


def sign(first: float, second: float) -> int:
    return (first > second) - (first < second)


def tau_b(pairs: list[tuple[float, float]]) -> float | None:
    signs = [(sign(a[0], b[0]), sign(a[1], b[1])) for a, b in combinations(pairs, 2)]
    untied = [sum(one[column] != 0 for one in signs) for column in (0, 1)]
    return sum(x * y for x, y in signs) / math.sqrt(untied[0] * untied[1]) if all(untied) else None


@given(PAIRS)
def test_kendall_is_tau_b_of_those_that_have_both(pairs: list[tuple[float, float]]) -> None:
    expected = tau_b([pair for pair in pairs if not any(map(math.isnan, pair))])
    found = kendall([one for one, _ in pairs], [two for _, two in pairs])
    assert found == (None if expected is None else pytest.approx(expected, abs=1e-12))


@given(st.lists(st.tuples(st.integers(-4, 4), st.integers(-4, 4)), min_size=2, max_size=15))
def test_spearman_is_scipys(pairs: list[tuple[int, int]]) -> None:
    first, second = [float(one) for one, _ in pairs], [float(two) for _, two in pairs]
    found = spearman(first, second)
    if len(set(first)) == 1 or len(set(second)) == 1:
        assert found is None
    else:
        assert found == pytest.approx(float(spearmanr(first, second).statistic))


def test_infinite_scores_have_an_order() -> None:
    assert kendall([-math.inf, 0.0, math.inf], [1.0, 2.0, 3.0]) == pytest.approx(1.0)
    assert spearman([-math.inf, 0.0, math.inf], [3.0, 2.0, 1.0]) == pytest.approx(-1.0)


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="2 and 1 numbers"):
        kendall([1.0, 2.0], [1.0])
