"""A collapse is seen by the growth of the eigenvalue and by the share of skips, and the last good epoch is named."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from kubenas_trial.differentiable.collapse import Signs, last_good, measured
from tests.properties import examples


def search(
    eigenvalues: list[float], shares: list[float], losses: list[float] | None = None, epochs: int = 50
) -> int | None:
    """The first epoch that is gone back to, and nothing before that is."""
    losses = losses or [1.0] * len(shares)
    signs = [Signs(*each) for each in zip(eigenvalues, losses, shares, strict=True)]
    assert all(last_good(signs[:epoch], epochs) is None for epoch in range(1, len(signs)))
    return last_good(signs, epochs)


def growing(flat: int, length: int, by: float = 1.1) -> list[float]:
    """An eigenvalue that grows by that factor with each epoch after the first `flat`."""
    return [0.2] * flat + [0.2 * by**epoch for epoch in range(1, length - flat + 1)]


def test_an_eigenvalue_that_grows_for_a_fifth_of_the_search_goes_back_to_a_window_before_it_did() -> None:
    # By a tenth with each epoch the mean of five does by more than a third within five after a few.
    ends = next(end for end in range(20, 50) if search(growing(20, end), [0.0] * end))
    assert 20 + 10 < ends <= 20 + 15
    assert search(growing(20, ends), [0.0] * ends) == ends - 10 - 5 + 1
    # Too slowly: within five epochs by less than a third.
    assert search(growing(0, 50, by=1.05), [0.0] * 50) is None
    # For one measurement.
    assert search([0.2] * 20 + [0.8] * 5 + [0.2] * 25, [0.0] * 50) is None
    # Of a mixture that is not trained.
    signs = [Signs(each, 1.0, 0.0) for each in growing(20, ends)]
    assert last_good(signs, 50, mixed=False) is None


def test_an_eigenvalue_that_grows_while_the_loss_falls_is_no_collapse() -> None:
    assert search(growing(20, 50), [0.0] * 50, losses=[0.92**epoch for epoch in range(50)]) is None
    # By less than a quarter in five epochs.
    slowly = [0.96**epoch for epoch in range(50)]
    assert any(search(growing(20, end), [0.0] * end, losses=slowly[:end]) for end in range(30, 36))


def test_both_windows_of_eigenvalues_are_of_epochs_in_which_alphas_learn() -> None:
    # Alphas learn from the eleventh epoch on, so that windows of five end with the twentieth at the earliest.
    assert search(growing(0, 29), [0.0] * 29) == 15
    # The windows of a short search are as long: here alphas learn from the sixth on.
    assert search(growing(0, 24), [0.0] * 24, epochs=24) == 10
    assert search(growing(0, 20), [0.0] * 20, epochs=20) is None


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


def test_in_a_short_search_a_sign_lasts_as_long() -> None:
    assert search([1.0] * 18, [0.25] * 8 + [0.5] * 10, epochs=24) == 8
    assert search([1.0] * 18, [0.25] * 8 + [0.5] * 9 + [0.25], epochs=24) is None


def test_where_skips_were_many_as_soon_as_alphas_learned_the_fewest_count() -> None:
    # Not those of the start, by which alphas had not learned.
    assert search([1.0] * 23, [0.0] * 10 + [0.75, 0.5, 0.5, *[0.75] * 10]) == 13
    # The same share as ever is no collapse.
    assert search([1.0] * 50, [0.5] * 50) is None


@examples(200)
@given(
    st.lists(st.tuples(st.floats(-10, 10), st.floats(0.1, 10), st.floats(0, 1)), min_size=1, max_size=60),
    st.integers(1, 60),
)
def test_it_goes_back_to_an_epoch_in_which_alphas_had_learned(
    past: list[tuple[float, float, float]], epochs: int
) -> None:
    signs = [Signs(*each) for each in past]
    found = last_good(signs, epochs)
    if found is not None:
        assert 0.2 * epochs - 0.5 < found <= len(signs) - 10


@examples(50)
@given(st.integers(1, 2000))
def test_the_eigenvalue_is_known_from_the_first_epoch_on_and_measured_at_most_so_often(epochs: int) -> None:
    assert measured(1, epochs)
    assert sum(measured(epoch, epochs) for epoch in range(1, epochs + 1)) <= 20
