"""What schedulers stop, and what they never do."""

from __future__ import annotations

from collections import Counter
from math import ceil
from statistics import median

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from scipy.stats import norm
from sklearn.linear_model import LinearRegression

from kubenas.api.fidelity import Fidelity
from kubenas.fidelity.asha import ASHA
from kubenas.fidelity.base import RungCurve, Training, Value
from kubenas.fidelity.conformance import conforms, curves_at
from kubenas.fidelity.curves import RungCurves
from kubenas.fidelity.extrapolation import Extrapolation
from kubenas.fidelity.hyperband import Hyperband
from kubenas.fidelity.load import SCHEDULERS, build_scheduler
from kubenas.fidelity.median import Median
from kubenas.fidelity.one_epoch import OneEpoch
from kubenas.fidelity.patience import Patience
from tests.properties import examples

EPOCHS = 30
Curves = dict[Training, RungCurve]


def scored(*values: float, at: int = 1) -> Curves:
    """Candidates 0, 1, … with a value each at one rung."""
    return {one(number): {at: worth(value)} for number, value in enumerate(values)}


def one(number: int) -> Training:
    return Training(number, "0")


def worth(value: float, violation: float = 0.0) -> Value:
    return Value((-violation, value), (value,))


@pytest.mark.parametrize("name", SCHEDULERS)
@pytest.mark.parametrize("objectives", [1, 2])
def test_schedulers_conform(name: str, objectives: int) -> None:
    fidelity = Fidelity.model_validate({"scheduler": name})
    conforms(lambda: SCHEDULERS[name](EPOCHS, **given_to(fidelity)), EPOCHS, objectives=objectives)


@pytest.mark.parametrize("name", SCHEDULERS)
def test_none_stops_before_min_epochs(name: str) -> None:
    fidelity = Fidelity.model_validate({"scheduler": name, "minEpochs": 4})
    conforms(lambda: SCHEDULERS[name](60, **given_to(fidelity)), 60, first=4)


def given_to(fidelity: Fidelity) -> dict[str, float]:
    fields = ("scheduler", "mode")
    return {name: value for name, value in fidelity.resolved() if name not in fields and value is not None}


def test_none_is_no_scheduler() -> None:
    assert build_scheduler(Fidelity(), EPOCHS) is None


@given(st.randoms(use_true_random=False).map(lambda rng: curves_at(rng, (1, 3, 9, 27))))
@examples(200)
def test_asha_never_stops_who_is_among_the_best_at_its_highest_rung(curves: dict[Training, dict[int, Value]]) -> None:
    stopped = ASHA(EPOCHS, min_epochs=1, eta=3).stops(RungCurves(curves), curves.keys())
    for training, curve in curves.items():
        rung = max(curve)
        here = [other[rung].score for other in curves.values() if rung in other]
        worse_or_equal = sum(score <= curve[rung].score for score in here)
        among_the_best = worse_or_equal > len(here) - ceil(len(here) / 3)
        assert (training in stopped) is (not among_the_best)


def test_asha_judges_again_who_came_early() -> None:
    asha = ASHA(EPOCHS, min_epochs=1, eta=3)
    assert asha.rungs == (1, 3, 9, 27)
    curves = scored(0.1)
    assert asha.stops(RungCurves(curves), curves) == {}
    curves = scored(0.1, 0.2)
    assert asha.stops(RungCurves(curves), curves).keys() == {one(0)}
    curves = scored(0.1, 0.2, 0.3)
    assert asha.stops(RungCurves(curves), curves).keys() == {one(0), one(1)}
    further = curves | {one(1): {1: worth(0.2), 3: worth(0.9)}}
    assert asha.stops(RungCurves(further), further).keys() == {one(0)}, "it is judged at its highest rung"
    assert asha.stops(RungCurves(curves), [one(2)]) == {}


@given(st.lists(st.integers(0, 9), min_size=1, max_size=40), st.integers(2, 64), st.integers(1, 9))
def test_the_best_go_on_and_few_with_a_large_eta(values: list[int], eta: int, top: int) -> None:
    """However few are known: of those equal to the last that goes on, all do."""
    curves = scored(*map(float, values))
    go_on = curves.keys() - ASHA(EPOCHS, min_epochs=1, eta=eta, top=top).stops(RungCurves(curves), curves).keys()
    count = min(len(values), max(top, ceil(len(values) / eta)))
    assert {one.trial for one in go_on} == {
        trial for trial, value in enumerate(values) if value >= sorted(values, reverse=True)[count - 1]
    }


def test_a_violated_limit_is_worse_than_any_value() -> None:
    curves = scored(0.1, 0.2, 0.3) | {one(2): {1: worth(0.9, violation=0.5)}}
    assert ASHA(EPOCHS, min_epochs=1, eta=3).stops(RungCurves(curves), curves).keys() == {one(0), one(2)}


def test_asha_keeps_a_front_of_several_objectives() -> None:
    points = [
        (0.9, -9.0),
        (0.5, -5.0),
        (0.1, -1.0),
        (0.4, -6.0),
        (0.3, -7.0),
        (0.05, -8.0),
        (0.2, -9.0),
        (0.1, -9.5),
        (0, -10),
    ]
    curves = {one(i): {1: Value((0.0, a), (a, b))} for i, (a, b) in enumerate(points)}
    stopped = ASHA(EPOCHS, min_epochs=1, eta=3).stops(RungCurves(curves), curves)
    assert stopped.keys() == {one(i) for i in range(3, 9)}


def test_hyperband_fills_its_brackets_as_the_paper_does() -> None:
    hyperband = Hyperband(81, min_epochs=1, eta=3)
    # table 1 of Li et al. 2018, without the rungs below the brackets' first ones
    assert Counter(hyperband.bracket(trial) for trial in range(143)) == {0: 81, 1: 34, 2: 15, 3: 8, 4: 5}
    later = next(trial for trial in range(143) if hyperband.bracket(trial) == 1)
    last = next(trial for trial in range(143) if hyperband.bracket(trial) == 4)
    first = [trial for trial in range(143) if hyperband.bracket(trial) == 0][:6]
    curves = {one(trial): {1: worth(value), 3: worth(value)} for value, trial in enumerate([later, last, *first])}
    assert hyperband.stops(RungCurves(curves), curves).keys() == {one(trial) for trial in first[:4]}


@given(st.lists(st.floats(-1, 1), min_size=6, max_size=9), st.floats(-1, 1))
def test_the_median_is_a_true_one_of_running_means(others: list[float], mine: float) -> None:
    rule = Median(4, min_epochs=1, min_results=5)
    assert rule.rungs == (1, 2, 3)
    curves: Curves = {one(i): {1: worth(0.0), 2: worth(value)} for i, value in enumerate(others, start=1)}
    curves[one(0)] = {1: worth(mine), 2: worth(-1.0)}
    stopped = one(0) in rule.stops(RungCurves(curves), [one(0)])
    assert stopped is (max(mine, -1.0) < median(value / 2 for value in others))
    assert rule.stops(RungCurves({k: v for k, v in curves.items() if k[0] < 5}), [one(0)]) == {}, "too few others"


def test_patience_needs_no_others() -> None:
    rule = Patience(50, min_epochs=1, patience=10)
    assert rule.rungs == (10, 20, 30, 40)
    rising = {10: worth(0.1), 20: worth(0.2), 30: worth(0.3)}
    assert rule.stops(RungCurves({one(0): rising}), [one(0)]) == {}
    (stop,) = rule.stops(RungCurves({one(0): {**rising, 40: worth(0.3)}}), [one(0)]).values()
    assert stop.epoch == 40
    # Whether it has improved cannot be told where the rung before was not seen.
    assert rule.stops(RungCurves({one(0): {10: worth(0.5), 30: worth(0.3)}}), [one(0)]) == {}
    falling = RungCurves({one(0): {10: worth(0.5), 20: worth(0.3)}})
    assert Patience(50, min_epochs=30, patience=10).stops(falling, [one(0)]) == {}


@given(st.integers(0, 10_000), st.integers(12, 60), st.floats(0, 1))
def test_extrapolation_agrees_with_a_linear_regression_on_lines(seed: int, count: int, mine: float) -> None:
    """Against scikit-learn's line and the textbook's prediction interval, but for chances near the bound."""
    rule = Extrapolation(EPOCHS, min_epochs=1, min_results=4, chance=0.05)
    assert rule.rungs == (1, 2, 4, 8, 16)
    rng = np.random.default_rng(seed)
    x = rng.uniform(size=count)
    y = x / 2 + rng.normal(size=count) * 0.03
    curves: Curves = {one(i): {1: worth(a), EPOCHS: worth(b)} for i, (a, b) in enumerate(zip(x, y, strict=True), 1)}
    curves[one(0)] = {1: worth(mine)}
    line = LinearRegression().fit(x[:, None], y)
    spread = np.sqrt(((y - line.predict(x[:, None])) ** 2).sum() / (len(x) - 2))
    deviation = spread * np.sqrt(1 + 1 / len(x) + (mine - x.mean()) ** 2 / ((x - x.mean()) ** 2).sum())
    chance = norm.sf(y.max(), line.predict([[mine]])[0], deviation)
    assume(x.min() < mine < x.max() and not 1e-4 < chance < 0.3)
    assert (one(0) in rule.stops(RungCurves(curves), [one(0)])) is bool(chance < 0.05)
    few = dict([*curves.items()][:3]) | {one(0): curves[one(0)]}
    assert rule.stops(RungCurves(few), [one(0)]) == {}, "too few have come to the end"


def test_extrapolation_follows_curves_that_still_rise() -> None:
    """Two have come as far; what is learned from whole curves is that the steeper ends higher."""
    rng = np.random.default_rng(0)
    told = rng.uniform(size=(20, 2)) * [1, 0.9]
    curves: Curves = {
        one(i): {1: worth(at - slope), 2: worth(at), EPOCHS: worth(at + 2 * slope)}
        for i, (at, slope) in enumerate(told)
    }
    curves |= {one(30): {1: worth(0.9 - 0.99), 2: worth(0.9)}, one(31): {1: worth(0.9 - 0.05), 2: worth(0.9)}}
    rule = Extrapolation(EPOCHS, min_epochs=1, min_results=4, chance=0.05)
    assert rule.stops(RungCurves(curves), [one(30), one(31)]).keys() == {one(31)}


@pytest.mark.parametrize("name", SCHEDULERS)
@given(seed=st.integers(0, 10_000))
@examples(20)
def test_values_up_to_the_largest_float_are_judged(name: str, seed: int) -> None:
    """A loss is finite up to the largest float, and sums and squares of such are not."""
    scheduler = SCHEDULERS[name](EPOCHS, **given_to(Fidelity.model_validate({"scheduler": name})))
    rng = np.random.default_rng(seed)
    curves: Curves = {}
    for number in range(40):
        values = np.sort(rng.uniform(size=len(scheduler.rungs) + 1))
        if number % 4 == 0:
            values = rng.choice([-1.0, 1.0], size=len(values)) * np.finfo(float).max
        come = (*scheduler.rungs, EPOCHS) if number < 30 else scheduler.rungs[: rng.integers(1, 3)]
        curves[one(number)] = {epoch: worth(value) for epoch, value in zip(come, values.tolist(), strict=False)}
    running = [one(number) for number in range(30, 40)]
    with np.errstate(all="raise", under="ignore"):
        assert scheduler.stops(RungCurves(curves), running).keys() <= {*running}


def test_one_epoch_leaves_as_many_as_asked_for() -> None:
    curves = scored(0.1, 0.5, 0.3, 0.4)
    assert OneEpoch(EPOCHS, min_epochs=1, top=2).stops(RungCurves(curves), curves).keys() == {one(0), one(2)}
    assert OneEpoch(1, min_epochs=1, top=2).rungs == ()
