"""What is learned from trainings that were stopped at rungs."""

from __future__ import annotations

import math
from statistics import fmean

from hypothesis import given
from hypothesis import strategies as st

from kubenas.search.base import History, Observation
from kubenas.search.predictor import Predictor, PredictorSettings
from kubenas.search.rungs import FEWEST, MOST, by_rung
from tests.search.test_predictor import CELLS, SPACE, quality

RUNGS = (1, 3, 9, 27, 81)
# After how many rungs each of some trainings was stopped; more than there are: not at all.
TRAININGS = st.lists(st.integers(1, len(RUNGS) + 1), min_size=1, max_size=30)


def told(place: int, rungs: int) -> Observation:
    """A training, whose values say which one it was and how far it had come."""
    seen = {epochs: ((0.0, 1000.0 * epochs + place), (1000.0 * epochs + place,)) for epochs in RUNGS[:rungs]}
    if rungs > len(RUNGS):
        return Observation(CELLS[place], (0.0, -1.0 - place), (-1.0 - place,), rungs=seen)
    return Observation(CELLS[place], *seen[RUNGS[rungs - 1]], epochs=RUNGS[rungs - 1], rungs=seen)


@given(TRAININGS)
def test_values_are_compared_with_those_at_the_same_rung_only(trainings: list[int]) -> None:
    observations = [told(place, rungs) for place, rungs in enumerate(trainings)]
    at = [{math.floor(one.known_score[1] / 1000.0) for one in results} for results in by_rung(observations)]
    assert all(len(one) == 1 for one in at)
    assert len(at) <= MOST


@given(TRAININGS)
def test_each_rung_has_all_that_have_come_to_it(trainings: list[int]) -> None:
    observations = [told(place, rungs) for place, rungs in enumerate(trainings)]
    levels = by_rung(observations)
    counts = [sum(rungs >= number for rungs in trainings) for number in range(1, len(RUNGS) + 2)]
    enough = [count for count in counts if count >= FEWEST] or [len(observations)]
    assert [len(levels[0]), len(levels[-1])] == [enough[0], enough[-1]]
    assert [len(one) for one in levels] == sorted((len(one) for one in levels), reverse=True)


def test_what_went_on_in_another_trial_is_there_once() -> None:
    stopped = [told(place, 1) for place in range(3)]
    levels = by_rung([*stopped, told(0, 2), told(1, 2)])
    assert [len({one.architecture for one in level}) for level in levels] == [len(level) for level in levels] == [3, 2]


def test_without_rungs_results_stay_as_they_are() -> None:
    observations = [Observation(cell, (0.0, float(place))) for place, cell in enumerate(CELLS[:5])]
    assert by_rung(observations) == [observations]


def test_the_predictor_finds_what_is_good_among_what_was_stopped() -> None:
    """The worst were trained to the end, where all values are greater: those that were stopped are better."""
    cells = sorted(CELLS[::13], key=quality)
    history = History(SPACE)
    history.propose(cells)
    for place, cell in enumerate(cells):
        early = ((0.0, quality(cell)), (quality(cell),))
        if place < len(cells) // 3:
            history.observe(Observation(cell, (0.0, quality(cell) + 20.0), rungs={1: early}))
        else:
            history.observe(Observation(cell, *early, epochs=1, rungs={1: early}))
    proposals = Predictor(SPACE, 0, PredictorSettings(initial=6)).propose(history, 8)
    assert fmean(map(quality, proposals)) > quality(cells[-len(cells) // 10])
