"""Every preset keeps the promises of a space, and has the size that its paper says."""

from __future__ import annotations

import json
from random import Random
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenas.api.space import Preset, SearchSpace
from kubenas.space.base import Space
from kubenas.space.conformance import check_space
from kubenas.space.load import build_space
from tests.properties import examples

PRESETS = {name: build_space(SearchSpace(preset=name)) for name in get_args(Preset)}


@pytest.mark.parametrize("space", PRESETS.values(), ids=PRESETS)
def test_conforms(space: Space) -> None:
    check_space(space)


@examples(100)
@given(st.sampled_from(sorted(PRESETS)), st.integers(0, 2**32), st.integers(0, 2**32))
def test_whatever_a_search_makes_is_in_the_space(preset: str, seed: int, walk: int) -> None:
    """Draws, changes, neighbours and children: read from JSON, each has its key and as long a code as any other."""
    space, rng = PRESETS[preset], Random(seed)
    first, second = space.sample(rng), space.sample(Random(walk))
    made = [first, second, space.mutate(first, rng), space.crossover(first, second, rng)]
    made += space.neighbours(second)[:3]
    lengths = {name: len(encode(first)) for name, encode in space.encodings.items()}
    for architecture in made:
        read = space.parse(json.loads(json.dumps(architecture.to_json())))
        assert read == architecture
        assert space.key(read) == space.key(architecture)
        assert space.name(read) == space.name(architecture)
        assert {name: len(encode(read)) for name, encode in space.encodings.items()} == lengths


@pytest.mark.parametrize(
    ("preset", "size"),
    [
        ("nasbench201", 5_260),
        ("nasbench-macro", 3_969),
        ("mobilenet-ofa", 25 * (9**2 + 9**3 + 9**4) ** 5),
        ("bert-encoder", 10_621_440),
        ("vit", 3 * (4**12 + 4**13 + 4**14)),
        ("seq2seq", 4 * 6**6 * sum(36**depth for depth in range(1, 7))),
        ("image-text", sum(8**depth for depth in range(2, 6)) * (1 + 2 + 2) * 3 * 4 * 4 * 3 * 3),
        ("mlp", None),
    ],
)
def test_size(preset: str, size: int | None) -> None:
    assert PRESETS[preset].size() == size
