"""What a strategy sees of the past."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenas.search.base import History, Observation
from kubenas.space.base import Architecture
from kubenas.space.domains import Int
from kubenas.space.parameters import parameter_space
from kubenas.space.presets.nasbench201 import NASBench201

SPACE = parameter_space({"n": Int(0, 5, "linear")})


@given(st.lists(st.tuples(st.booleans(), st.integers(0, 5), st.booleans())), st.sets(st.integers(0, 5)))
def test_against_plain_lists(steps: list[tuple[bool, int, bool]], earlier: set[int]) -> None:
    """Proposals and results in any order, repeats of one architecture included, whatever was known before."""
    known_before = [Observation(Architecture({"n": n}), (0.0, float(-n))) for n in earlier]
    history = History(SPACE, known_before)
    pending: list[Architecture] = []
    ended: list[Observation] = []
    for proposes, n, succeeds in steps:
        architecture = Architecture({"n": n})
        if proposes:
            history.propose([architecture])
            pending.append(architecture)
        elif architecture in pending:
            observation = Observation(architecture, (0.0, float(n)) if succeeds else None)
            history.observe(observation)
            pending.remove(architecture)
            ended.append(observation)
        else:
            with pytest.raises(ValueError, match="not pending"):
                history.observe(Observation(architecture, None))
        assert list(history.earlier) == known_before
        assert list(history.pending) == pending
        assert list(history.observations) == ended
        assert list(history.scored) == [observation for observation in ended if observation.score is not None]
        assert history.proposed == len(pending) + len(ended)
        known = {*pending, *(observation.architecture for observation in ended)}
        assert history.distinct == len(known)
        assert [history.seen(Architecture({"n": n})) for n in range(6)] == [
            Architecture({"n": n}) in known for n in range(6)
        ]


def test_cells_that_compute_the_same_are_seen() -> None:
    space = NASBench201()
    history = History(space)
    history.propose([space.parse("|none~0|+|none~0|none~1|+|nor_conv_3x3~0|none~1|none~2|")])
    assert history.seen(space.parse("|skip_connect~0|+|none~0|none~1|+|none~0|nor_conv_3x3~1|none~2|"))
    assert not history.seen(space.parse("|skip_connect~0|+|none~0|none~1|+|none~0|nor_conv_1x1~1|none~2|"))


def test_earlier_results_have_scores() -> None:
    with pytest.raises(ValueError, match="has no score"):
        History(SPACE, [Observation(Architecture({"n": 0}), None)])


def test_features_are_as_many_for_each_architecture() -> None:
    with pytest.raises(ValueError, match=r"differ in the number of features: \[1, 2\]"):
        History(SPACE, features={Architecture({"n": 0}): (1.0,), Architecture({"n": 1}): (1.0, 2.0)})


def ranked(observations: Sequence[Observation]) -> list[Observation]:
    """Each with its rank among the others as its score."""
    ordered = sorted(one.metrics["m"] for one in observations)
    return [replace(one, score=(0.0, float(ordered.index(one.metrics["m"])))) for one in observations]


@given(st.lists(st.one_of(st.none(), st.integers(0, 99)), unique=True, max_size=12), st.lists(st.integers(0, 12)))
def test_relative_scores_are_among_what_is_asked_for(values: list[int | None], asked: list[int]) -> None:
    """Whatever was asked for before: of all results, of the first so many, of those alone that have a score."""
    history, ended = History(SPACE, compared=ranked), []
    for number, value in enumerate(values):
        observation = Observation(
            Architecture({"n": number % 6}), None if value is None else (0.0, 0.0), metrics={"m": float(value or 0)}
        )
        history.propose([observation.architecture])
        history.observe(observation)
        ended.append(observation)
        scored = [one for one in ended if one.score is not None]
        for count in (*asked, len(ended)):
            assert list(history.first_scored(count)) == ranked(scored[:count])
            told = iter(ranked([one for one in ended[:count] if one.score is not None]))
            assert list(history.first(count)) == [one if one.score is None else next(told) for one in ended[:count]]
        assert list(history.scored) == ranked(scored)
        assert list(history.observations) == list(history.first(len(ended)))
