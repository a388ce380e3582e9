"""Architectures that are packed come out as they were, in little room."""

from __future__ import annotations

import json
import zlib
from base64 import b64encode
from random import Random
from typing import Any, get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenas.api.space import Preset, SearchSpace
from kubenas.experiment.bounds import DOCUMENT_BYTES
from kubenas.space.load import build_space
from kubenas.space.packing import pack, unpack

names = st.text(max_size=5)
values = st.text(max_size=5) | st.integers(-(2**53), 2**53) | st.floats(allow_nan=False, allow_infinity=False)
architectures = st.dictionaries(names, st.dictionaries(st.sampled_from("abcde"), values | st.booleans()), max_size=20)


@given(architectures)
def test_what_is_packed_is_unpacked_alike(written: dict[str, dict[str, Any]]) -> None:
    found = unpack(pack(written))
    assert json.dumps(found, sort_keys=True) == json.dumps(written, sort_keys=True)
    assert [*found] == [*written]


@pytest.mark.parametrize("preset", get_args(Preset))
def test_a_thousand_architectures_of_each_preset_fit_an_environment_variable(preset: str) -> None:
    space, random = build_space(SearchSpace.model_validate({"preset": preset})), Random(0)
    some = [{name: one.domain.sample(random) for name, one in space.decisions.items()} for _ in range(1024)]
    written = {str(number): one for number, one in enumerate(some)}
    assert unpack(pack(written)) == written
    assert len(pack(written)) < DOCUMENT_BYTES - 4096


def packed(document: Any) -> str:
    return b64encode(zlib.compress(json.dumps(document).encode())).decode()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "no base64",
        b64encode(b"no zlib").decode(),
        packed([]),
        packed({"ids": ["0"]}),
        packed({"ids": ["0"], "decisions": {"a": {"values": ["x"], "indices": [1]}}}),
        packed({"ids": ["0", "1"], "decisions": {"a": {"values": ["x"], "indices": [0]}}}),
        packed({"ids": ["0"], "decisions": {"a": ["x"]}}),
    ],
)
def test_what_is_not_packed(text: str) -> None:
    with pytest.raises(ValueError, match="no packed architectures"):
        unpack(text)
