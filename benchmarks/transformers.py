"""Proxies of transformers on networks that others have trained.

    python -m benchmarks.transformers [lts] [bert]

`lts`: LiteTransformerSearch's GPT-2 networks, built as ours: how many parameters they have beside the published number,
and how these rank them beside the measured perplexities.
`bert`: NAS-Bench-BERT's encoders, built as ours: rank correlations of scores with the published scores and with GLUE,
mean and standard deviation over seeds of weights and tokens. Goes on where it was stopped.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping
from itertools import combinations
from statistics import fmean, stdev
from typing import Final

from benchmarks.encoder_scores import AS_PUBLISHED, ENCODERS, SEEDS, alike, encoders, scored
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
    return _ranked([score(model) for model in models], [-model.perplexity for model in models])


def encoders_of_nasbenchbert() -> None:
    """Print the table."""
    table = encoders(DATA / "nasbenchbert.csv")
    rows = table[:ENCODERS]
    by_seed: list[dict[str, list[float]]] = [{} for _ in range(SEEDS)]
    for _, seed, scores in scored(rows):
        for name, value in scores.items():
            by_seed[seed].setdefault(name, []).append(value)
    print("| score | with the published | with GLUE | between seeds | published, between networks that are the same |")
    print("| --- | --- | --- | --- | --- |")
    for name in by_seed[0]:
        own = [scores[name] for scores in by_seed]
        column = name.removeprefix(AS_PUBLISHED)
        cells = ["", _over_seeds(own, [float(row["glue"]) for row in rows]), _between(own), ""]
        if column in rows[0]:
            cells[0] = _over_seeds(own, [float(row[column]) for row in rows])
            pairs = [(float(one[column]), float(other[column])) for one, other in alike(table)]
            cells[3] = f"{_ranked([one for one, _ in pairs], [other for _, other in pairs]):.2f}"
        print(f"| {name} | {' | '.join(cells)} |")


def _over_seeds(own: list[list[float]], other: list[float]) -> str:
    found = [_ranked(scores, other) for scores in own]
    return f"{fmean(found):.3f} ± {stdev(found):.3f}"


def _between(own: list[list[float]]) -> str:
    return f"{fmean(_ranked(one, other) for one, other in combinations(own, 2)):.3f}"


def _ranked(one: list[float], other: list[float]) -> float:
    found = spearman(one, other)
    assert found is not None  # noqa: S101 - there are hundreds of different ones
    return found


CASES: Final[Mapping[str, Callable[[], None]]] = {"lts": lite_transformer_search, "bert": encoders_of_nasbenchbert}

if __name__ == "__main__":
    for case in sys.argv[1:] or CASES:
        CASES[case]()
