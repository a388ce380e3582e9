"""Which proxies the strategy of a stage learns from."""

from __future__ import annotations

import math
from typing import Any

import pytest

from kubenas.experiment.state import Trial
from tests.experiment.builders import experiment, observed
from tests.experiment.test_usefulness import CELLS, batch

SNIP = {"method": "zero-cost", "proxies": ["snip"]}
NWOT = {"method": "zero-cost", "proxies": ["nwot"]}


def features(trials: list[Trial], *stages: dict[str, Any]) -> dict[str, tuple[float, ...]]:
    """Those that the last stage's strategy is given, by the index of the cell."""
    named = [{"name": f"s{index}", **stage} for index, stage in enumerate(stages)]
    seen = observed(experiment(stages=named), trials)
    history = seen.ledger.history(seen.stages[-1])
    cells = {seen.ledger.space.parse(cell): str(index) for index, cell in enumerate(CELLS)}
    return {cells[one]: tuple(row) for one, row in history.features.items()}


def test_proxies_of_all_stages_before_are_features_of_what_they_have_scored() -> None:
    """Also of what was not kept; one that a stage has not computed is missing."""
    trials = [
        batch(0, "s0", [{"snip": 3.0, "flops": 1.0}, {"snip": 2.0}, {}], 1),
        batch(1, "s1", [{"nwot": 5.0, "accuracy": 1.0}], 2),
    ]
    stages = (
        {"evaluation": SNIP, "keep": {"top": 1}},
        {"evaluation": NWOT},
        {"evaluation": {"epochs": 1}, "search": {"algorithm": "predictor"}},
    )
    found = features(trials, *stages)
    assert found.keys() == {"0", "1"}
    assert found["0"] == (3.0, 5.0)
    assert found["1"][0] == 2.0
    assert math.isnan(found["1"][1])


def test_a_stage_does_not_see_its_own_proxies() -> None:
    assert features([batch(0, "s0", [{"snip": 3.0}], 1)], {"evaluation": SNIP}) == {}


@pytest.mark.parametrize("algorithm", ["predictor", "regularized-evolution"])
def test_a_stage_after_scores_proposes_by_them(algorithm: str) -> None:
    stages = [
        {"name": "s0", "evaluation": SNIP, "keep": {"top": 3}},
        {"name": "s1", "evaluation": {"epochs": 1}, "search": {"algorithm": algorithm}},
    ]
    scores = batch(0, "s0", [{"snip": float(index)} for index in range(40)], 1)
    seen = observed(experiment(stages=stages), [scores])
    stage = seen.stages[-1]
    assert stage.strategy is not None
    assert len(stage.strategy.propose(seen.ledger.history(stage), 3)) == 3
