"""Every preset keeps the promises of a space, and has the size and the costs that its paper says."""

from __future__ import annotations

import csv
import json
import os
from pathlib import Path
from random import Random
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenas.api.space import Preset, SearchSpace
from kubenas.space.base import InvalidArchitectureError, Space
from kubenas.space.conformance import check_space, check_uniform
from kubenas.space.load import build_space
from tests.properties import examples

DATA = Path(os.environ.get("KUBENAS_DATA") or Path(__file__).resolve().parents[3] / "shared" / "data")
PRESETS = {name: build_space(SearchSpace(preset=name)) for name in get_args(Preset)}


def _table(name: str) -> list[dict[str, str]]:
    if not (DATA / name).is_file():
        pytest.skip(f"{name} is not in {DATA}: set KUBENAS_DATA to the folder of published tables")
    with (DATA / name).open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


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


def test_macro_is_uniform_over_networks() -> None:
    check_uniform(PRESETS["nasbench-macro"])


def test_macro_skips_have_no_place_but_the_first() -> None:
    space = PRESETS["nasbench-macro"]
    assert space.key(space.parse("11101101")) == space.key(space.parse("11110110"))
    assert space.key(space.parse("01111111")) != space.key(space.parse("10111111"))
    assert space.name(space.parse("01201201")) == "01201201"
    with pytest.raises(InvalidArchitectureError, match="write 8 digits"):
        space.parse("0120120")


def test_published_parameters_of_language_models() -> None:
    space = PRESETS["transformer-decoder"]
    rows = [row for row in _table("lts_language_models.csv") if row["space"] == "GPT2_wt103"]
    assert len(rows) == 200
    for row in rows:
        document = {name: int(row[name]) for name in ("n_layer", "d_model", "d_embed", "div_val")}
        for name in ("d_inner", "n_head"):
            document |= {f"{name}.{layer}": int(value) for layer, value in enumerate(row[name].split())}
        assert space.costs(space.parse(document)) == {
            "params": int(row["total_params"]),
            "decoder_params": int(row["decoder_params"]),
        }


def test_published_encoders_are_in_the_space() -> None:
    space = PRESETS["bert-encoder"]
    for row in _table("nasbenchbert.csv"):
        text = f"{row['hidden_size']}:{row['layers']}"
        assert space.name(space.parse(text)) == text
    with pytest.raises(InvalidArchitectureError, match="is no encoder"):
        space.parse("256:SA")


def test_vit_costs_are_those_of_deit() -> None:
    """DeiT-Ti, whose shape is in the space: 12 layers of 192 with 3 heads and ratio 4 have 5.717 million parameters."""
    space = PRESETS["vit"]
    layers = {f"num_heads.{layer}": 3 for layer in range(12)} | {f"mlp_ratio.{layer}": 4 for layer in range(12)}
    costs = space.costs(space.parse({"embed_dim": 192, "depth": 12, **layers}))
    assert costs["params"] == 5_717_416
    assert costs["flops"] == pytest.approx(1.25e9, rel=0.02)
