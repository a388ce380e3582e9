"""The scores of NAS-Bench-BERT's encoders (Serianni & Kalita, ACL 2023), built as our networks.

Twice: by the proxies, of each encoder as it was trained; and as the benchmark's own columns were computed, which are of
encoders that are all 256 wide with feed-forward parts of 1,024, and whose gradient is that of the sum of vectors that
have been normalised. That sum is 0 whatever the weights are, and its gradient what rounding leaves of it.
"""

from __future__ import annotations

import csv
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from random import Random
from typing import Any, Final

import torch
from torch import nn

from kubenas.space.presets.bert_encoder import bert_encoder
from kubenas_trial.datasets.data import Batch
from kubenas_trial.networks.base import Tokens
from kubenas_trial.networks.bert_encoder import BERT_CLASSIFIER
from kubenas_trial.networks.build import build_network
from kubenas_trial.proxies.base import score
from kubenas_trial.proxies.load import load_proxies
from kubenas_trial.proxies.probe import Probe
from kubenas_trial.proxies.synapses import diversity, saliency
from kubenas_trial.proxies.transformer_layers import dense_layers, transformer_parts

PROXIES: Final = ("synaptic-diversity", "synaptic-saliency", "head-confidence")
# Of the published computation.
AS_PUBLISHED: Final = "as_published_"
SEEDS: Final = 3
# Of the 500, drawn once: each takes about a second and a half.
ENCODERS: Final = 100
# Scores that are known already, as they take an hour.
KNOWN: Final = Path(os.environ.get("KUBENAS_CACHE") or Path.home() / ".cache" / "kubenas") / "nasbenchbert-scores.csv"
# No more tokens than are seen: embeddings are no part of any of these scores.
_TOKENS: Final = Tokens(vocabulary=1000, length=128, classes=2)
_EXAMPLES: Final = 4
_SPACE: Final = bert_encoder()


def encoders(path: Path) -> list[dict[str, str]]:
    """All rows of the benchmark's table at `path`, in an order that does not depend on what they are."""
    with path.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    Random(0).shuffle(rows)
    return rows


def scored(rows: list[dict[str, str]]) -> Iterator[tuple[dict[str, str], int, dict[str, float]]]:
    """Each row with each seed and its scores: those that are known, then others, which are written as they come."""
    known = {(line["id"], int(line["seed"])): line for line in _lines(KNOWN)}
    for seed in range(SEEDS):
        for row in rows:
            line = known.get((row["id"], seed))
            if line is None:
                scores = scores_of(row, seed)
                _append({"id": row["id"], "seed": seed, **scores})
            else:
                scores = {name: float(value) for name, value in line.items() if name not in {"id", "seed"}}
            yield row, seed, scores


def scores_of(row: Mapping[str, str], seed: int) -> dict[str, float]:
    """The scores of one encoder, by the proxies and as they were published."""
    torch.manual_seed(seed)
    tokens = torch.randint(1, _TOKENS.vocabulary, (_EXAMPLES, _TOKENS.length))
    batch = Batch((tokens,), (torch.zeros(_EXAMPLES, dtype=torch.int64),))
    probe = Probe((batch, batch), (tokens[:1],), _no_loss, _TOKENS, torch.device("cpu"))
    network = _network(f"{row['hidden_size']}:{row['layers']}", {"width": 1})
    found: dict[str, float] = {}
    for proxy in load_proxies(PROXIES):
        found |= score(proxy, network, probe, seed)
    found["tf_tas"] = found["synaptic_diversity"] + found["synaptic_saliency"]

    layers = (layer.split("/") for layer in row["layers"].split(";"))
    alike = ";".join("/".join((*layer[:3], "1024", layer[4])) for layer in layers)
    published = _network(f"256:{alike}", {"width": 1, "normalization": "after"})
    for dense in dense_layers(published):
        nn.init.normal_(dense.weight, std=0.02)
        if isinstance(dense, nn.Linear) and dense.bias is not None:
            nn.init.zeros_(dense.bias)
    published.get_submodule("encoder")(tokens).sum().backward()
    parts = transformer_parts(published, AS_PUBLISHED)
    own = {"synaptic_diversity": diversity(parts), "synaptic_saliency": saliency(parts)}
    return found | {AS_PUBLISHED + name: value for name, value in own.items()}


def alike(rows: list[dict[str, str]]) -> Iterator[tuple[dict[str, str], dict[str, str]]]:
    """Pairs of rows, in both orders, whose published scores are of the same network."""
    groups: dict[str, list[dict[str, str]]] = {}
    for row in rows:
        layers = (layer.split("/") for layer in row["layers"].split(";"))
        groups.setdefault(";".join("/".join((*layer[:3], layer[4])) for layer in layers), []).append(row)
    for group in groups.values():
        yield from ((one, other) for one in group for other in group if one is not other)


def _network(architecture: str, settings: Mapping[str, Any]) -> nn.Module:
    return build_network(_SPACE.parse(architecture), BERT_CLASSIFIER, settings, _TOKENS)


def _no_loss(_network: nn.Module, _batch: Batch) -> torch.Tensor:
    raise AssertionError("none of these proxies needs labels")


def _lines(path: Path) -> Iterator[dict[str, str]]:
    if path.exists():
        with path.open(newline="", encoding="utf-8") as file:
            yield from csv.DictReader(file)


def _append(line: Mapping[str, object]) -> None:
    KNOWN.parent.mkdir(parents=True, exist_ok=True)
    new = not KNOWN.exists()
    with KNOWN.open("a", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(line))
        if new:
            writer.writeheader()
        writer.writerow(line)
