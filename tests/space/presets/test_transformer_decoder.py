"""Language models: their parameters against published ones."""

from __future__ import annotations

import csv

from kubenas.space.presets.transformer_decoder import transformer_decoder
from tests.bench.tables import published

SPACE = transformer_decoder()


def test_published_parameters_of_language_models() -> None:
    with published("lts_language_models.csv").open(newline="", encoding="utf-8") as file:
        rows = [row for row in csv.DictReader(file) if row["space"] == "GPT2_wt103"]
    assert len(rows) == 200
    for row in rows:
        document = {name: int(row[name]) for name in ("n_layer", "d_model", "d_embed", "div_val")}
        for name in ("d_inner", "n_head"):
            document |= {f"{name}.{layer}": int(value) for layer, value in enumerate(row[name].split())}
        assert SPACE.costs(SPACE.parse(document)) == {
            "params": int(row["total_params"]),
            "decoder_params": int(row["decoder_params"]),
        }
