"""Proxies of transformers on networks that others have trained.

    python -m benchmarks.transformers [lts]

`lts`: LiteTransformerSearch's GPT-2 networks, built as ours: how many parameters they have beside the published number,
and how these rank them beside the measured perplexities.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from typing import Final

from benchmarks.published_transformers import LanguageModel, language_models
from kubenas.scores.correlation import spearman
from tests.bench.tables import DATA


def lite_transformer_search() -> None:
    """Print the table."""
    models = list(language_models(DATA / "lts_language_models.csv"))
    print("| data | networks | furthest from the published decoder, total | rank correlation: decoder | total |")
    print("| --- | --- | --- | --- | --- |")
    for data in ("wt103", "lm1b"):
        own = [model for model in models if model.data == data]
        decoder = max(abs(model.decoder / model.published_decoder - 1) for model in own)
        total = max(abs(model.total / model.published_total - 1) for model in own)
        ranks = [_correlation(own, lambda model: model.decoder), _correlation(own, lambda model: model.total)]
        print(f"| {data} | {len(own)} | {decoder:.2%}, {total:.2%} | {ranks[0]:.3f} | {ranks[1]:.3f} |")


def _correlation(models: list[LanguageModel], score: Callable[[LanguageModel], float]) -> float:
    found = spearman([score(model) for model in models], [-model.perplexity for model in models])
    assert found is not None  # noqa: S101 - there are hundreds of different ones
    return found


CASES: Final[Mapping[str, Callable[[], None]]] = {"lts": lite_transformer_search}

if __name__ == "__main__":
    for case in sys.argv[1:] or CASES:
        CASES[case]()
