"""Transformers that others have trained, built as our networks: LiteTransformerSearch's and NAS-Bench-BERT's."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import torch
from torch import nn

from kubenas_trial.measure.cost import count_parameters
from kubenas_trial.networks.base import Tokens
from kubenas_trial.networks.build import build_network
from kubenas_trial.networks.transformer_decoder import TRANSFORMER_DECODER
from kubenas_trial.proxies.decoder_params import decoder_params

# The tokens and the context of both of LiteTransformerSearch's data sets.
_TOKENS: Final = Tokens(vocabulary=50_264, length=192, classes=50_264)
# Its networks for LM1B have Transformer-XL's attention and one width of embeddings.
_AROUND: Final[Mapping[str, Mapping[str, Any]]] = {
    "GPT2_wt103": {"width": 1},
    "GPT2_lm1b": {"width": 1, "positions": "relative", "adaptive": False},
}


@dataclass(frozen=True, slots=True)
class LanguageModel:
    """A row of LiteTransformerSearch's GPT-2 networks: what was published, and the parameters of our network."""

    data: str
    published_decoder: int
    published_total: int
    perplexity: float
    decoder: int
    total: int


def language_models(path: Path) -> Iterator[LanguageModel]:
    """The GPT-2 rows of the table at `path`, each built without storage."""
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if row["space"] in _AROUND:
                network = _decoder(row)
                yield LanguageModel(
                    row["space"].removeprefix("GPT2_"),
                    int(row["decoder_params"]),
                    int(row["total_params"]),
                    float(row["valid_ppl"]),
                    decoder_params(network),
                    count_parameters(network),
                )


def _decoder(row: Mapping[str, str]) -> nn.Module:
    architecture = {name: int(row[name]) for name in ("n_layer", "d_model", "d_embed", "div_val")}
    for name in ("d_inner", "n_head"):
        architecture |= {f"{name}.{layer}": int(value) for layer, value in enumerate(row[name].split())}
    if architecture["d_embed"] == -1:
        architecture["d_embed"] = architecture["d_model"]
    with torch.device("meta"):
        return build_network(architecture, TRANSFORMER_DECODER, _AROUND[row["space"]], _TOKENS)
