"""What zero-cost proxies are worth to the predictor, on NAS-Bench-201: the rows of docs/benchmarks.md.

    python -m benchmarks.proxy_search [--scores FILE.csv] [--trained N]

Of the default's proxies, as benchmarks.proxies has computed them, of five of NAS-Bench-Suite-Zero's columns, and of
both. Needs nasbench201.csv and nasbench201_zc_cifar10.csv in the folder KUBENAS_DATA, or in ../shared/data beside the
checkout.
"""

from __future__ import annotations

import math
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from multiprocessing import get_context
from multiprocessing.pool import Pool
from pathlib import Path
from random import Random
from statistics import fmean, stdev
from typing import Final

from benchmarks.proxies import DATA, FOLDER, read
from benchmarks.search import JOBS
from kubenas.api.metric_names import of_proxies
from kubenas.api.search import Search
from kubenas.scores.combine import combined
from kubenas.scores.correlation import kendall
from kubenas.search.base import History, Observation
from kubenas.search.encoding import Encoder
from kubenas.search.load import build_strategy
from kubenas.search.models import Models
from kubenas.space.architecture import Architecture
from kubenas.space.presets.nasbench201 import NASBench201

JUDGED: Final = 1_000
POOL: Final = 2_000
FEW: Final = 20
SEEDS: Final = 20

# Those columns whose proxies are greater for better networks, but for sums of weights.
PUBLISHED: Final = ("jacov", "nwot", "synflow", "zen", "snip")

SPACE: Final = NASBench201()


@dataclass(frozen=True, slots=True)
class Known:
    """Architectures whose proxies are known, with what the table says of them.

    Attributes:
        architectures: each once by key.
        proxies: a row for each.
        accuracies: by column of the table, a number for each.
    """

    architectures: Sequence[Architecture]
    proxies: Sequence[tuple[float, ...]]
    accuracies: Mapping[str, Sequence[float]]

    def scores(self, indices: Sequence[int]) -> list[float]:
        """The log-rank sums of the proxies among some architectures."""
        columns = zip(*(self.proxies[index] for index in indices), strict=True)
        return combined({str(number): column for number, column in enumerate(columns)}, "log-rank-sum")


def own(scores: Path) -> dict[str, tuple[float, ...]]:
    """The default's proxies by key of the cell, each once, from a file of benchmarks.proxies."""
    columns = of_proxies(["default"])
    rows: dict[str, tuple[float, ...]] = {}
    for row in read(scores):
        rows.setdefault(SPACE.key(SPACE.parse(row["arch"])), tuple(float(row[column]) for column in columns))
    return rows


def published(table: Mapping[str, Mapping[str, str]]) -> dict[str, tuple[float, ...]]:
    """Some of NAS-Bench-Suite-Zero's columns by key of the cell, each once."""
    architectures = {row["ops"]: row["arch"] for row in table.values()}
    rows: dict[str, tuple[float, ...]] = {}
    for row in read(DATA / "nasbench201_zc_cifar10.csv"):
        numbers = tuple(float(row[column] or math.nan) for column in PUBLISHED)
        rows.setdefault(SPACE.key(SPACE.parse(architectures[row["ops"]])), numbers)
    return rows


def known(table: Mapping[str, Mapping[str, str]], *sources: Mapping[str, tuple[float, ...]]) -> Known:
    """Those cells that are in the table and in all sources, with the numbers of all of these."""
    found: dict[str, tuple[Architecture, tuple[float, ...], Mapping[str, str]]] = {}
    for text, row in table.items():
        architecture = SPACE.parse(text)
        key = SPACE.key(architecture)
        if key not in found and all(key in source for source in sources):
            found[key] = (architecture, tuple(chain.from_iterable(source[key] for source in sources)), row)
    names = [f"{data}_{split}" for data in ("cifar10", "cifar100") for split in ("val_12ep", "val_200ep", "test_200ep")]
    return Known(
        [one for one, _, _ in found.values()],
        [numbers for _, numbers, _ in found.values()],
        {name: [float(row[name]) for _, _, row in found.values()] for name in names},
    )


def rank_correlation(of: Known, column: str, count: int, seed: int, *, features: bool) -> float:
    """Kendall's tau of the predictor after `count` random trainings, over up to 1,000 other architectures."""
    order = Random(seed).sample(range(len(of.architectures)), len(of.architectures))
    trained, judged = order[:count], order[count : count + JUDGED]
    table = {SPACE.key(of.architectures[index]): of.proxies[index] for index in order} if features else {}
    encoder, values = Encoder(SPACE, table), of.accuracies[column]
    results = [Observation(of.architectures[index], (0.0, values[index])) for index in trained]
    model = Models(encoder, results, seed).score
    predicted = model.predict(encoder.blocks([of.architectures[index] for index in judged]))[0]
    return kendall(predicted.tolist(), [values[index] for index in judged]) or 0.0


def found_by(of: Known, seed: int, *, way: str, column: str, report: str) -> float:
    """What is reported of the best of 20 trainings, out of a pool of up to 2,000.

    Args:
        of: what is known.
        seed: of the pool and of the search.
        way: how the 20 are chosen.
        column: what training gives, by which the best is chosen.
        report: what is told of it.
    """
    pool = Random(seed).sample(range(len(of.architectures)), min(POOL, len(of.architectures)))
    scores = dict(zip(pool, of.scores(pool), strict=True))
    if way == "the highest scores":
        tried = sorted(pool, key=lambda index: -scores[index])[:FEW]
    elif way == "random":
        tried = pool[:FEW]
    else:
        tried = _searched(of, scores, of.accuracies[column], seed, features=way == "predictor with proxies")
    best = max(tried, key=lambda index: of.accuracies[column][index])
    return of.accuracies[report][best]


def _searched(
    of: Known, scores: Mapping[int, float], values: Sequence[float], seed: int, *, features: bool
) -> list[int]:
    """The 20 of a pool that the predictor trains; without proxies it knows nothing of them."""
    indices = {of.architectures[index]: index for index in scores}
    rows = {one: of.proxies[index] for one, index in indices.items()} if features else {}
    pool = [Observation(one, (0.0, scores[index])) for one, index in indices.items()]
    # As a strategy is given them: without features, equal scores, which tell nothing.
    history = History(SPACE, pool=pool if features else [replace(one, score=(0.0, 0.0)) for one in pool], features=rows)
    strategy = build_strategy(Search(seed=seed), SPACE)
    for _ in range(FEW):
        (one,) = strategy.propose(history, 1)
        history.observe(Observation(one, (0.0, values[indices[one]])))
    return [indices[one.architecture] for one in history.observations]


def main() -> None:
    """Print the rows."""
    parser = ArgumentParser(description="What zero-cost proxies are worth to the predictor, on NAS-Bench-201.")
    parser.add_argument("--scores", type=Path, default=FOLDER / "default.csv", help="of benchmarks.proxies")
    parser.add_argument("--trained", type=int, default=100, help="random trainings that the predictor learns from")
    arguments = parser.parse_args()
    table = {row["arch"]: row for row in read(DATA / "nasbench201.csv")}
    ours, theirs = own(arguments.scores), published(table)
    sets = {"default": (ours,), "published": (theirs,), "default and published": (ours, theirs)}
    with get_context("spawn").Pool(JOBS) as pool:
        print(f"| proxies | cells | predictor of | tau after {arguments.trained} trainings, CIFAR-10 | CIFAR-100 |")
        print("| --- | --- | --- | --- | --- |", flush=True)
        for name, sources in sets.items():
            _rank_rows(pool, name, known(table, *sources), arguments.trained)
        for name, sources in sets.items():
            _search_rows(pool, name, known(table, *sources))


def _rank_rows(pool: Pool, name: str, of: Known, count: int) -> None:
    columns = ("cifar10_test_200ep", "cifar100_test_200ep")
    for features in (False, True):
        runs = [partial(rank_correlation, of, column, count, features=features) for column in columns]
        cells = " | ".join(_spread(pool.map(run, range(SEEDS))) for run in runs)
        print(f"| {name} | {len(of.architectures)} | cells{' and proxies' * features} | {cells} |", flush=True)
    score = of.scores(range(len(of.architectures)))
    alone = (kendall(score, of.accuracies[column]) or 0.0 for column in columns)
    print(f"| {name} | {len(of.architectures)} | nothing, the score alone | {' | '.join(f'{t:.3f}' for t in alone)} |")


def _search_rows(pool: Pool, name: str, of: Known) -> None:
    chosen = {"12-epoch validation": "val_12ep", "200-epoch validation": "val_200ep", "test": "test_200ep"}
    print(f"\n| {name}: CIFAR-10 test of the best of {FEW} trainings by | {' | '.join(chosen)} |")
    print("| --- |" + " --- |" * len(chosen))
    for way in ("random", "predictor without proxies", "the highest scores", "predictor with proxies"):
        cells = []
        for column in chosen.values():
            run = partial(found_by, of, way=way, column=f"cifar10_{column}", report="cifar10_test_200ep")
            cells.append(_spread(pool.map(run, range(SEEDS)), 2))
        print(f"| {way} | {' | '.join(cells)} |", flush=True)


def _spread(values: Sequence[float], digits: int = 3) -> str:
    return f"{fmean(values):.{digits}f} ± {stdev(values):.{digits}f}"


if __name__ == "__main__":
    main()
