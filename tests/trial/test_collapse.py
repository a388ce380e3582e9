"""A collapse is seen by the growth of the eigenvalue and by the share of skips, and the last good epoch is named."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kubenas_trial.differentiable.collapse import Signs, last_good, measured
from tests.properties import examples


def search(eigenvalues: list[float], shares: list[float]) -> int | None:
    """The first epoch that is gone back to, and nothing before that is."""
    signs = [Signs(*each) for each in zip(eigenvalues, shares, strict=True)]
    assert all(last_good(signs[:epoch], epochs=50) is None for epoch in range(1, len(signs)))
    return last_good(signs, epochs=50)


def test_an_eigenvalue_that_grows_for_a_fifth_of_the_search_goes_back_to_before_it_did() -> None:
    # By a tenth with each epoch, within five epochs by more than a third, and so does its mean over ten after a while.
    growing = [0.2 * 1.1**epoch for epoch in range(1, 30)]
    first = next(number for number in range(30) if search([0.2] * 20 + growing[:number], [0.0] * (20 + number)))
    assert 10 + 5 <= first <= 10 + 10
    assert search([0.2] * 20 + growing[:first], [0.0] * (20 + first)) == 20 + first - 10 - 5
    # Too slowly: within five epochs by less than a third.
    assert search([0.2 * 1.05**epoch for epoch in range(50)], [0.0] * 50) is None
    # For one measurement.
    assert search([0.2] * 20 + [0.8] * 5 + [0.2] * 25, [0.0] * 50) is None


def test_nothing_is_judged_in_the_first_two_fifths() -> None:
    assert search([1.0] * 29, [0.0] * 15 + [1.0] * 14) is None
    assert search([1.0] * 30, [0.0] * 15 + [1.0] * 15) == 15
    assert search([1.1**epoch for epoch in range(29)], [0.0] * 29) is None


def test_an_eigenvalue_of_no_or_negative_curvature_says_nothing() -> None:
    assert search([-(1.1**-epoch) for epoch in range(50)], [0.0] * 50) is None
    assert search([0.0] * 50, [0.0] * 50) is None


def test_many_skips_for_a_fifth_of_the_search_go_back_to_the_last_epoch_with_few() -> None:
    few = [*[0.0] * 10, 0.5, 0.25, 0.0, 0.25, 0.5, 0.25, *[0.0] * 3, 0.375]
    assert search([1.0] * 30, [*few, *[0.5] * 10]) == 20
    # Nine epochs may be chance.
    assert search([1.0] * 30, [*few, *[0.5] * 9, 0.25]) is None
    # Half of the operations are too many, three of eight are not.
    assert search([1.0] * 50, [*few, *[0.375] * 30]) is None


def test_where_skips_were_many_as_soon_as_alphas_learned_the_fewest_count() -> None:
    # Not those of the start, by which alphas had not learned.
    assert search([1.0] * 30, [0.0] * 14 + [0.75, 0.5, 0.5, *[0.75] * 13]) == 17
    # The same share as ever is no collapse.
    assert search([1.0] * 50, [0.5] * 50) is None


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
        signs[found - 1].skip_share <= each.skip_share or signs[found - 1].skip_share < 0.5 for each in signs[:found]
    )


@examples(50)
@given(st.integers(1, 2000))
def test_the_eigenvalue_is_known_from_the_first_epoch_on_and_measured_at_most_so_often(epochs: int) -> None:
    assert measured(1, epochs)
    assert sum(measured(epoch, epochs) for epoch in range(1, epochs + 1)) <= 20
