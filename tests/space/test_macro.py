"""Networks of stages of blocks."""

from __future__ import annotations

from kubenas.api.space import SearchSpace
from kubenas.space.conformance import check_space, check_uniform
from kubenas.space.load import build_space

STAGES = [
    {"name": "stem", "depth": [1], "width": [16, 32]},
    {"name": "body", "depth": [0, 2], "operation": ["conv", "pool"], "kernel": [3, 5], "expansion": [1.5]},
]


def test_conforms_and_is_counted_by_hand() -> None:
    space = build_space(SearchSpace.model_validate({"macro": {"resolution": [32], "stages": STAGES}}))
    assert space.size() == 2 * (1 + (2 * 2) ** 2)
    check_space(space)
    check_uniform(space)
