"""When PASHA opens a rung, and when it leaves it at those that are open."""

from __future__ import annotations

from collections.abc import Sequence

from hypothesis import given
from hypothesis import strategies as st

from kubenas.api.fidelity import Fidelity
from kubenas.fidelity.base import Promotion, RungCurve, Training, Value
from kubenas.fidelity.curves import RungCurves
from kubenas.fidelity.load import build_scheduler
from kubenas.fidelity.pasha import PASHA
from kubenas.fidelity.promotion import PromotingASHA
from tests.properties import examples

EPOCHS = 81
Curves = dict[Training, RungCurve]


def one(number: int) -> Training:
    return Training(number, "0")


def worth(value: float, violation: float = 0.0) -> Value:
    return Value((-violation, value), (value,))


def come(*values: Sequence[float]) -> Curves:
    """Candidates 0, 1, … with values at rungs 1, 3, 9, …"""
    curves = [{3**place: worth(value) for place, value in enumerate(curve)} for curve in values]
    return {one(number): curve for number, curve in enumerate(curves)}


def begun(curves: Curves) -> dict[Training, int]:
    return {training: max(curve) for training, curve in curves.items()}


def promoted(curves: Curves) -> list[Promotion]:
    return PASHA(EPOCHS, min_epochs=1, eta=3).promotions(RungCurves(curves), begun(curves))


LOSERS = [(0.0,), (0.0,), (0.01,), (0.02,), (0.03,), (0.04,)]


def test_it_is_a_scheduler_of_its_own() -> None:
    built = build_scheduler(Fidelity(scheduler="pasha", eta=4), 20)
    assert isinstance(built, PASHA)
    assert built.rungs == (1, 4, 16)


def test_as_long_as_the_order_is_the_same_there_are_two_rungs() -> None:
    stable = come((0.3, 0.5), (0.2, 0.4), (0.1, 0.3), *LOSERS)
    assert promoted(stable) == []
    # ASHA would have gone on.
    assert PromotingASHA(EPOCHS, min_epochs=1, eta=3).promotions(RungCurves(stable), begun(stable)) == [
        Promotion(one(0), 9)
    ]


def test_another_order_at_the_top_opens_one_more() -> None:
    unstable = come((0.3, 0.4), (0.2, 0.5), (0.1, 0.3), *LOSERS)
    assert promoted(unstable) == [Promotion(one(1), 9)]
    # It stays open, and those above it do not.
    further = {**unstable, one(1): {**unstable[one(1)], 9: worth(0.6)}}
    assert promoted(further) == []
    calm = {**come((0.3, 0.5), (0.2, 0.4), (0.1, 0.3), *LOSERS), one(9): {1: worth(0.5), 3: worth(0.6), 9: worth(0.7)}}
    assert begun(calm)[one(9)] == 9
    assert promoted({**calm, one(10): {1: worth(0.45), 3: worth(0.55)}, one(11): {1: worth(0.05), 3: worth(0.1)}}) == [
        Promotion(one(10), 9)
    ]


def test_noise_opens_no_rung() -> None:
    """Candidates 0 and 1 change places at each rung, by as much as 2 and 3 do at the last."""
    same = [(0.01 * number,) for number in range(5)]
    noisy = come((0.90, 0.92, 0.94), (0.91, 0.91, 0.95), (0.71, 0.72, 0.73), (0.70, 0.71, 0.735), *same)
    assert promoted(noisy) == []
    real = come((0.90, 0.92, 0.94), (0.91, 0.91, 0.95), (0.71, 0.72, 0.73), (0.70, 0.71, 0.79), *same)
    assert Promotion(one(1), 27) in promoted(real)


def test_finals_open_no_rung() -> None:
    """It is trained to the end from a rung far below."""
    stable = come((0.3, 0.5), (0.2, 0.4), (0.1, 0.3), *LOSERS)
    pasha = PASHA(EPOCHS, min_epochs=1, eta=3)
    assert pasha.finals(RungCurves(stable), begun(stable), 0) == [Promotion(one(0), EPOCHS)]
    more = {**stable, one(9): {1: worth(0.04), 3: worth(0.2)}}
    assert pasha.promotions(RungCurves(more), {**begun(more), one(0): EPOCHS}) == []
    ended = {**more, one(0): {**more[one(0)], EPOCHS: worth(0.9)}}
    assert pasha.promotions(RungCurves(ended), {**begun(more), one(0): EPOCHS}) == []


@given(st.lists(st.lists(st.integers(0, 9), min_size=1, max_size=4), min_size=1, max_size=12))
@examples(200)
def test_it_promotes_some_of_those_that_asha_would(values: list[list[int]]) -> None:
    curves = come(*values)
    allowed = PromotingASHA(EPOCHS, min_epochs=1, eta=3).promotions(RungCurves(curves), begun(curves))
    found = promoted(curves)
    assert found == [promotion for promotion in allowed if promotion in found]
    levels = [max(curve) for curve in curves.values()]
    open_to = max((promotion.epochs for promotion in found), default=1)
    assert open_to <= 3 * max(3, *levels), "a rung is opened at a time"
    assert all(promotion in found for promotion in allowed if promotion.epochs <= max(3, *levels)), "it stays open"
