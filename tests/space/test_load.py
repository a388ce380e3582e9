"""From the search space as written to the space that is searched."""

from __future__ import annotations

from kubenas.api.space import SearchSpace
from kubenas.space.domains import Choice, Float, Int
from kubenas.space.load import build_space
from kubenas.space.presets.nasbench201 import NASBench201


def test_preset() -> None:
    assert isinstance(build_space(SearchSpace(preset="nasbench201")), NASBench201)


def test_parameters_keep_their_order() -> None:
    space = build_space(
        SearchSpace.model_validate(
            {
                "parameters": [
                    {"name": "rate", "type": "float", "min": 0.001, "max": 1, "scale": "log"},
                    {"name": "op", "type": "choice", "values": ["pool", "conv"]},
                    {"name": "layers", "type": "int", "min": 1, "max": 8},
                ]
            }
        )
    )
    assert [(name, decision.domain) for name, decision in space.decisions.items()] == [
        ("rate", Float(0.001, 1.0, "log")),
        ("op", Choice(("pool", "conv"))),
        ("layers", Int(1.0, 8.0, "linear")),
    ]
