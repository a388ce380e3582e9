"""Which trainings are promoted, and which never are."""

from __future__ import annotations

from itertools import pairwise
from random import Random

from hypothesis import given
from hypothesis import strategies as st

from kubenas.api.fidelity import Fidelity
from kubenas.fidelity.base import Promoter, Promotion, RungCurve, Training, Value
from kubenas.fidelity.curves import RungCurves
from kubenas.fidelity.load import build_scheduler
from kubenas.fidelity.promotion import PromotingASHA
from tests.properties import examples

EPOCHS = 27
Curves = dict[Training, RungCurve]


def one(number: int) -> Training:
    return Training(number, "0")


def worth(value: float, violation: float = 0.0) -> Value:
    return Value((-violation, value), (value,))


def begun(curves: Curves) -> dict[Training, int]:
    return {training: max(curve) for training, curve in curves.items()}


def test_asha_promotes_by_its_mode() -> None:
    built = build_scheduler(Fidelity(scheduler="asha", mode="promotion", eta=4, min_epochs=2), 33)
    assert isinstance(built, PromotingASHA)
    assert built.rungs == (2, 8, 32)
    assert not isinstance(build_scheduler(Fidelity(scheduler="asha"), 33), Promoter)


def test_asha_promotes_the_best_third_of_the_highest_rung_first() -> None:
    asha = PromotingASHA(EPOCHS, min_epochs=1, eta=3)
    assert asha.rungs == (1, 3, 9)
    curves: Curves = {one(number): {1: worth(number / 10)} for number in range(6)}
    assert asha.promotions(RungCurves(curves), begun(curves)) == [Promotion(one(5), 3), Promotion(one(4), 3)]
    for number, value in ((5, 0.1), (4, 0.2), (3, 0.3)):
        curves[one(number)] = {**curves[one(number)], 3: worth(value)}
    assert asha.promotions(RungCurves(curves), begun(curves)) == [Promotion(one(3), 9)]
    assert asha.promotions(RungCurves(curves), {**begun(curves), one(3): 9}) == [], "it is under way"
    curves[one(6)], curves[one(7)], curves[one(8)] = ({1: worth(value)} for value in (0.9, 0.8, -1))
    assert asha.promotions(RungCurves(curves), begun(curves)) == [
        Promotion(one(3), 9),
        Promotion(one(6), 3),
        Promotion(one(7), 3),
    ]


def test_of_equal_ones_no_more_go_on_than_a_third() -> None:
    asha = PromotingASHA(EPOCHS, min_epochs=1, eta=3)
    curves: Curves = {one(number): {1: worth(0.5)} for number in range(3)}
    assert asha.promotions(RungCurves(curves), begun(curves)) == [Promotion(one(0), 3)]


def test_what_breaks_a_limit_goes_on_last() -> None:
    asha = PromotingASHA(EPOCHS, min_epochs=1, eta=2)
    curves: Curves = {one(0): {1: worth(0.9, violation=0.1)}, one(1): {1: worth(0.1)}}
    assert asha.promotions(RungCurves(curves), begun(curves)) == [Promotion(one(1), 2)]
    assert asha.finals(RungCurves(curves), begun(curves), 0) == [Promotion(one(1), EPOCHS)]


def test_in_the_end_the_best_of_those_that_have_come_farthest_and_not_failed_go_on_until_there_are_enough() -> None:
    asha = PromotingASHA(EPOCHS, min_epochs=1, eta=3, top=3)
    assert asha.finals(RungCurves({}), {}, 0) == []
    curves: Curves = {one(0): {1: worth(0.8)}, one(1): {1: worth(0.2), 3: worth(0.3)}, one(2): {1: worth(0.9)}}
    curves |= {one(3): {1: worth(0.95), 3: worth(0.1)}, one(4): {1: worth(0.7)}}

    def finals(ending: int, begun: dict[Training, int]) -> list[Training]:
        return [found.training for found in asha.finals(RungCurves(curves), begun, ending)]

    there = begun(curves)
    assert finals(0, there) == [one(1), one(3), one(2)]
    # one that has failed on its way is not trained again, and the next one takes its place
    assert finals(0, {**there, one(1): EPOCHS}) == [one(3), one(2), one(0)]
    assert finals(1, {**there, one(1): EPOCHS}) == [one(3), one(2)]
    curves[one(1)] = {**curves[one(1)], EPOCHS: worth(0.4)}
    assert finals(1, begun(curves)) == [one(3)]
    assert finals(2, begun(curves)) == []


@given(st.randoms(use_true_random=False))
@examples(100)
def test_a_whole_search_promotes_as_many_as_synchronous_halving_at_least(rng: Random) -> None:
    """Whatever the values, the order of ending and the number of workers."""
    asha, count, workers = PromotingASHA(EPOCHS, min_epochs=1, eta=3), rng.randint(1, 30), rng.randint(1, 5)
    curves: Curves = {}
    started: dict[Training, int] = {}
    running: list[Training] = []
    while True:
        while len(running) < workers:
            due = [one for one in asha.promotions(RungCurves(curves), started) if one.training not in running]
            if due:
                started[due[0].training] = due[0].epochs
                running.append(due[0].training)
            elif len(started) < count:
                running.append(one(len(started)))
                started[running[-1]] = 1
            else:
                break
        if not running:
            break
        ended = running.pop(rng.randrange(len(running)))
        curves[ended] = {**curves.get(ended, {}), started[ended]: worth(rng.randint(0, 9) / 10)}
    reached = [sum(rung in curve for curve in curves.values()) for rung in (1, 3, 9, EPOCHS)]
    assert reached[0] == count
    assert all(above >= below // 3 for below, above in pairwise(reached))
