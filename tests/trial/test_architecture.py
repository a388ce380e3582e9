"""Architectures named at a terminal."""

from __future__ import annotations

import json
from random import Random
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenas.api.space import Preset, SearchSpace
from kubenas.space.load import build_space
from kubenas_trial.architecture import default_architecture, read_architecture
from kubenas_trial.errors import InvalidTrialError

PRESETS = get_args(Preset)
# Their names are drawings of a graph, which several architectures share.
DRAWN = frozenset({"nasbench101", "darts"})
SPACES = {preset: build_space(SearchSpace(preset=preset)) for preset in PRESETS}


@given(st.sampled_from(PRESETS), st.integers(0, 2**32))
def test_a_name_or_json_is_read_as_what_it_was_written_from(preset: str, seed: int) -> None:
    space = SPACES[preset]
    architecture = space.sample(Random(seed))
    assert read_architecture(json.dumps(architecture.to_json()), space) == architecture
    if preset not in DRAWN:
        name = space.name(architecture)
        assert space.name(read_architecture(name, space)) == name


@pytest.mark.parametrize("preset", sorted(set(PRESETS) - {"nasbench101"}))
def test_the_default_of_a_space_is_in_it(preset: str) -> None:
    space = SPACES[preset]
    default = default_architecture(space, {})
    assert space.parse(default.to_json()) == default


def test_a_default_heeds_what_is_known_and_constraints() -> None:
    spec = {"parameters": [{"name": "width", "type": "int", "min": 1, "max": 9}]}
    space = build_space(SearchSpace.model_validate(spec))
    assert default_architecture(space, {"width": 7})["width"] == 7
    assert default_architecture(space, {"width": 70})["width"] == 5
    within = build_space(SearchSpace.model_validate({**spec, "constraints": ["width < 3"]}))
    with pytest.raises(InvalidTrialError, match="width=5, breaks the constraint width < 3: name one"):
        default_architecture(within, {})


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("embed_dim=192 depth=12,13", "depth: '12,13' is no"),
        ("size=3", "'size' is no decision"),
        ("depth", "is an object of the decisions"),
    ],
)
def test_what_is_no_architecture_is_told(text: str, says: str) -> None:
    with pytest.raises(InvalidTrialError, match=says):
        read_architecture(text, SPACES["vit"])
