"""What a strategy sees of the past."""

from __future__ import annotations

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
