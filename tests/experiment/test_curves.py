"""Learning curves."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenas.api.trial import MAX_CURVE_POINTS, MAX_STEP
from kubenas.experiment.curves import MOST_STEPS, curves_of, gathered, last_results, merged, whole_results
from kubenas.experiment.state import Curves
from tests.experiment.builders import candidate

FOUR = [candidate(i) for i in range(4)]
CURVES = st.dictionaries(
    st.sampled_from("0123"),
    st.dictionaries(st.integers(0, 500), st.dictionaries(st.sampled_from("ab"), st.floats(-1, 1), min_size=1)),
)


def test_later_readings_replace_earlier_ones() -> None:
    known = merged([], {"0": {1: {"a": 0.1}, 2: {"a": 0.2}}}, FOUR, ["a"])
    assert curves_of(merged(known, {"0": {2: {"a": 0.5}, 3: {"a": 0.3}}}, FOUR, ["a"])) == {
        "0": {1: {"a": 0.1}, 2: {"a": 0.5}, 3: {"a": 0.3}}
    }


def test_what_an_attempt_has_not_come_to_yet_is_not_an_earlier_ones() -> None:
    known = merged([], {"0": {step: {"a": 0.1} for step in range(1, 6)}, "1": {1: {"a": 0.1}}}, FOUR, ["a"])
    assert curves_of(merged(known, {"0": {3: {"a": 0.5}, 4: {"a": 0.6}}}, FOUR, ["a"])) == {
        "0": {1: {"a": 0.1}, 2: {"a": 0.1}, 3: {"a": 0.5}, 4: {"a": 0.6}},
        "1": {1: {"a": 0.1}},
    }


@given(CURVES)
def test_merging_is_stable_and_bounded(read: Curves) -> None:
    points = merged([], read, FOUR, ["a", "b"])
    assert merged(points, None, FOUR, ["a", "b"]) == points
    assert len(points) <= MAX_CURVE_POINTS
    assert points == sorted(points, key=lambda p: (p.candidate, p.step))
    for candidate_id, curve in read.items():
        steps = [p.step for p in points if p.candidate == candidate_id]
        if curve:
            assert (steps[0], steps[-1]) == (min(curve), max(curve)), "the first and the last are kept"


@pytest.mark.parametrize("candidates", [1, 16])
def test_a_long_curve_that_grows_stays_within_bounds(candidates: int) -> None:
    those = [candidate(i) for i in range(candidates)]
    points = merged([], None, those, ["a"])
    for step in range(1, 400):
        points = merged(points, {c.id: {step: {"a": float(step)}} for c in those}, those, ["a"])
        assert len(points) <= MAX_CURVE_POINTS
    last = [p for p in points if p.step == 399]
    assert len(last) == candidates


def test_results_need_every_candidate_at_its_last_epoch() -> None:
    whole: Curves = {
        "0": {300: {"a": 0.3, "epoch": 3}},
        "1": {200: {"a": 0.2, "epoch": 2}, 300: {"a": 0.4, "epoch": 3}, 310: {"a": 0.5, "epoch": 3}},
    }
    both = [candidate(0), candidate(1)]
    found = whole_results(whole, both, ["a"], "Prometheus")
    assert [(r.candidate, r.step, [(m.name, m.value) for m in r.metrics]) for r in found] == [
        ("0", 300, [("a", 0.3)]),
        ("1", 310, [("a", 0.5)]),
    ]
    assert whole_results({"0": whole["0"]}, both, ["a"], "Prometheus") == []
    for epoch in (2, 2.5, 4):
        short: Curves = {**whole, "1": {3: {"a": 0.2, "epoch": epoch}}}
        assert whole_results(short, both, ["a"], "Prometheus") == []
    partial = last_results(short, both, ["a"], "Prometheus")
    assert [(r.candidate, r.step) for r in partial] == [("0", 300), ("1", 3)]


def test_a_point_without_an_objective_is_no_final_value() -> None:
    curves: Curves = {"0": {2: {"a": 0.2, "b": 1.0, "epoch": 3}, 3: {"b": 1.0, "epoch": 3}}}
    assert whole_results({"0": {3: {"b": 1.0, "epoch": 3}}}, [candidate()], ["a", "b"], "Pod") == []
    partial = last_results(curves, [candidate()], ["a", "b"], "Pod")
    assert [r.step for r in partial] == [2]


def test_an_objective_is_kept_among_very_many_values() -> None:
    many = {f"m{i}": 0.0 for i in range(1000)} | {"z": 1.0, "epoch": 3}
    (found,) = whole_results({"0": {3: many}}, [candidate()], ["z"], "Pod")
    assert (len(found.metrics), found.metrics[-1].name) == (64, "z")


def test_what_a_status_cannot_hold_is_left_out() -> None:
    read: Curves = {
        "0": {
            1: {"a": 0.1, "val/a": 0.1, "b": float("nan")},
            2: {"c": float("inf")},
            -1: {"a": 0.0},
            10**300: {"a": 0.0},
        },
        "not a candidate": {1: {"a": 0.1}},
    }
    assert curves_of(merged([], read, FOUR, ["a"])) == {"0": {1: {"a": 0.1}}}


def test_a_status_keeps_the_objectives_of_a_curve_alone() -> None:
    many: Curves = {"0": {1: {f"m{i}": 0.0 for i in range(1000)} | {"epoch": 1.0, "a": 0.5}, 2: {"m0": 0.0}}}
    assert curves_of(merged([], many, FOUR, ["a", "b"])) == {"0": {1: {"a": 0.5}}}


@given(CURVES, CURVES)
def test_gathered_readings_are_bounded_and_keep_the_newest(first: Curves, second: Curves) -> None:
    once = gathered({}, first, FOUR, ["a"])
    both = gathered(once, second, FOUR, ["a"])
    assert gathered(both, {}, FOUR, ["a"]) == both
    for one in FOUR:
        curve, read = both.get(one.id, {}), second.get(one.id, {})
        assert len(curve) <= MOST_STEPS // len(FOUR)
        assert set(curve) <= set(first.get(one.id, {})) | set(read)
        assert all(curve[step].items() >= values.items() for step, values in read.items() if step in curve)
        if curve:
            assert max(curve) == max([*read, *once.get(one.id, {})])


def test_what_decides_is_gathered_among_very_many_values() -> None:
    many = {f"m{i}": 0.0 for i in range(1000)} | {"z": 1.0, "epoch": 3.0, "val/loss": 1.0}
    read = gathered({}, {"0": {3: many, -1: many, 10**300: many}, "other": {1: many}}, FOUR, ["z"])
    assert read.keys() == {"0"}
    assert read["0"].keys() == {3}
    assert len(read["0"][3]) == 64
    assert {"z", "epoch"} < read["0"][3].keys()


def test_steps_that_no_status_holds_are_not_gathered() -> None:
    read = {"0": {step: {"a": 0.5} for step in (-1, 0, MAX_STEP, MAX_STEP + 1, 2**70)}}
    assert gathered({}, read, FOUR, ["a"]) == {"0": {0: {"a": 0.5}, MAX_STEP: {"a": 0.5}}}
