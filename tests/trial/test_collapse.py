"""A collapse is seen by the growth of the eigenvalue and by the share of skips, and the last good epoch is named."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kubenas_trial.differentiable.collapse import Signs, last_good, measured
from tests.properties import examples


def search(eigenvalues: list[float], shares: list[float]) -> int | None:
    return last_good([Signs(*each) for each in zip(eigenvalues, shares, strict=True)], epochs=50)


def test_a_growing_eigenvalue_goes_back_a_tenth_of_the_search() -> None:
    steady = [0.2] * 15
    assert search(steady, [0.0] * 15) is None
    # Smoothed over five epochs: 0.2, then (4 x 0.2 + 0.6) / 5 = 0.28, of which 0.2 is less than three quarters.
    assert search([*steady, 0.5], [0.0] * 16) is None
    assert search([*steady, 0.6], [0.0] * 16) == 11


def test_nothing_is_judged_in_the_first_fifth() -> None:
    assert search([0.1] * 5 + [10.0] * 5, [1.0] * 10) is None
    assert search([0.1] * 6 + [10.0] * 5, [0.0] * 11) == 6


def test_an_eigenvalue_of_no_or_negative_curvature_says_nothing() -> None:
    assert search([-1.0] * 10 + [-0.1] * 10, [0.0] * 20) is None
    assert search([0.0] * 10 + [1.0] * 10, [0.0] * 20) is None


def test_many_skips_for_a_tenth_of_the_search_go_back_to_the_last_epoch_with_few() -> None:
    few = [0.5, 0.125, 0.0, 0.125, 0.25, 0.125, *[0.0] * 4]
    assert search([1.0] * 15, [*few, *[0.25] * 5]) == 10
    assert search([1.0] * 16, [*few, 0.5, *[0.25] * 5]) == 10
    # Four epochs may be chance.
    assert search([1.0] * 14, [*few, *[0.25] * 4]) is None
    # Two of eight operations are too many, one is not.
    assert search([1.0] * 15, [*few, *[0.125] * 5]) is None


def test_where_skips_were_many_from_the_start_the_fewest_count() -> None:
    assert search([1.0] * 15, [0.5, 0.4, 0.4, *[0.5] * 12]) == 3
    # The same share as ever is no collapse.
    assert search([1.0] * 15, [0.5] * 15) is None


@examples(200)
@given(
    st.lists(st.tuples(st.floats(-10, 10), st.floats(0, 1)), min_size=1, max_size=60),
    st.integers(1, 60),
)
def test_it_goes_back_to_an_earlier_epoch_that_was_no_worse(past: list[tuple[float, float]], epochs: int) -> None:
    signs = [Signs(*each) for each in past]
    found = last_good(signs, epochs)
    if found is None:
        return
    assert 1 <= found < len(signs)
    assert all(
        signs[found - 1].skip_share <= each.skip_share or signs[found - 1].skip_share < 0.25 for each in signs[:found]
    )


@examples(50)
@given(st.integers(1, 2000))
def test_the_eigenvalue_is_known_from_the_first_epoch_on_and_measured_at_most_so_often(epochs: int) -> None:
    assert measured(1, epochs)
    assert sum(measured(epoch, epochs) for epoch in range(1, epochs + 1)) <= 50
