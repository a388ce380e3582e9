"""Zero-cost proxies of an earlier stage as features of the predictor."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenas.api.search import Search
from kubenas.scores.correlation import kendall
from kubenas.search.base import History, Observation
from kubenas.search.encoding import Encoder
from kubenas.search.load import build_strategy
from kubenas.search.models import Models
from kubenas.space.architecture import Architecture
from kubenas.space.domains import Choice
from kubenas.space.parameters import parameter_space
from tests.properties import examples

SPACE = parameter_space({f"layer{index}": Choice(tuple("abcd")) for index in range(6)})
# What an architecture is worth cannot be told from its letters within a few results.
WORTH = Random(0)
TABLE = {letters: WORTH.gauss(0.0, 1.0) for letters in (one + two for one in "abcd" for two in "abcd")}


def worth(architecture: Architecture) -> float:
    letters = [str(value) for value in architecture.values()]
    return sum(TABLE[one + two] for one, two in zip(letters[::2], letters[1::2], strict=True))


def drawn(count: int, seed: int) -> list[Architecture]:
    rng = Random(seed)
    return list(dict.fromkeys(SPACE.sample(rng) for _ in range(count)))


def proxies(architectures: Sequence[Architecture], noise: float) -> dict[Architecture, tuple[float, ...]]:
    """A proxy with an outlier now and then, one that says nothing, and one that is missing."""
    rng = Random(1)
    return {
        one: (
            math.exp(worth(one) + rng.gauss(0.0, noise)) if index % 20 else 1e300,
            rng.random(),
            math.nan,
        )
        for index, one in enumerate(architectures)
    }


def tau(features: Mapping[Architecture, Sequence[float]], learned: Sequence[Architecture]) -> float:
    encoder = Encoder(SPACE, {SPACE.key(one): row for one, row in features.items()})
    model = Models(encoder, [Observation(one, (0.0, worth(one))) for one in learned], 0).score
    others = [one for one in drawn(400, 7) if one not in learned]
    found = kendall(model.predict(encoder.blocks(others))[0].tolist(), [worth(one) for one in others])
    assert found is not None
    return found


def test_features_make_the_model_rank_better() -> None:
    architectures = drawn(400, 7)
    without, noisy, exact = (
        tau(known, architectures[:25]) for known in ({}, proxies(architectures, 0.5), proxies(architectures, 0.0))
    )
    assert without < 0.5 < noisy < exact


@examples(10)
@given(st.lists(st.floats(allow_nan=True), min_size=1, max_size=8), st.floats(0.1, 10.0))
def test_only_ranks_of_features_count(values: list[float], factor: float) -> None:
    """Outliers and infinite values are ranks as others; what is missing is the mean, and marked."""
    architectures = drawn(40, 3)[: len(values)]
    known = sorted({value for value in values if not math.isnan(value)})
    table = {SPACE.key(one): [value] for one, value in zip(architectures, values, strict=True)}
    ordered = {
        SPACE.key(one): [math.nan if math.isnan(value) else factor * known.index(value)]
        for one, value in zip(architectures, values, strict=True)
    }
    asked = [*architectures, drawn(60, 3)[-1]]
    block = Encoder(SPACE, table).blocks(asked)[-1]
    assert np.array_equal(block, Encoder(SPACE, ordered).blocks(asked)[-1])
    assert np.isfinite(block).all()
    assert block[-1].tolist() == [0.0, 1.0]
    for row, value in zip(block, values, strict=False):
        assert row.tolist()[1] == float(math.isnan(value))
        assert row[0] == 0.0 or not math.isnan(value)


def search(settings: dict[str, Any], history: History, trials: int) -> list[Architecture]:
    strategy, proposed = build_strategy(Search(seed=4, settings=settings), SPACE), []
    for _ in range(trials):
        (one,) = strategy.propose(history, 1)
        history.observe(Observation(one, (0.0, worth(one))))
        proposed.append(one)
    return proposed


def pool(scored: Mapping[Architecture, Sequence[float]]) -> list[Observation]:
    return [Observation(one, (0.0, row[0])) for one, row in scored.items()]


@pytest.mark.parametrize("told", [True, False])
def test_what_was_scored_is_what_it_chooses_from(told: bool) -> None:
    """Whether or not the scores tell anything of the architectures."""
    scored = proxies(drawn(30, 5), 0.5 if told else 100.0)
    proposed = search({"initial": 4}, History(SPACE, pool=pool(scored), features=scored), 34)
    assert set(proposed[: len(scored)]) == set(scored)
    # Then as any other search does.
    assert not set(proposed[len(scored) :]) & set(scored)
    assert not set(search({"initial": 4}, History(SPACE, features=scored), 20)) <= set(scored)


def test_it_finds_the_best_of_the_pool_in_few_trials() -> None:
    scored = proxies(drawn(400, 5), 0.5)
    ranked = sorted(map(worth, scored), reverse=True)
    told = search({}, History(SPACE, pool=pool(scored), features=scored), 15)
    alone = search({}, History(SPACE), 15)
    assert max(map(worth, told)) >= ranked[3] > max(map(worth, alone))


@pytest.mark.parametrize("settings", [{"proxies": "default"}, {"pool": 0}, {"pool": 1_000_000}])
def test_wrong_settings_name_the_field(settings: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match=f"search.settings.{next(iter(settings))}"):
        build_strategy(Search(settings=settings), SPACE)
