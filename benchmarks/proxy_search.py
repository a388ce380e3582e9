"""What zero-cost proxies are worth to the predictor, on NAS-Bench-201: the rows of docs/benchmarks.md.

    python -m benchmarks.proxy_search [--scores FILE.csv] [--columns a,b,…]

Needs nasbench201.csv in the folder KUBENAS_DATA, or in ../shared/data beside the checkout, and the proxies that
benchmarks.proxies has computed, or another file with a column `arch` and one for each metric.
"""

from __future__ import annotations

import csv
import math
from argparse import ArgumentParser
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from multiprocessing import get_context
from pathlib import Path
from random import Random
from statistics import fmean, stdev
from typing import Final

from benchmarks.proxies import DATA, FOLDER
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

TRAINED: Final = 100
JUDGED: Final = 1_000
POOL: Final = 2_000
FEW: Final = 20
SEEDS: Final = 20

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


def known(scores: Path, columns: Sequence[str]) -> Known:
    """Those of a file of proxies that the table has too."""
    with (DATA / "nasbench201.csv").open(encoding="utf-8") as file:
        table = {row["arch"]: row for row in csv.DictReader(file)}
    found: dict[str, tuple[Architecture, tuple[float, ...], Mapping[str, str]]] = {}
    with scores.open(encoding="utf-8") as file:
        for row in csv.DictReader(file):
            architecture = SPACE.parse(row["arch"])
            numbers = tuple(float(row[column] or math.nan) for column in columns)
            found.setdefault(SPACE.key(architecture), (architecture, numbers, table[row["arch"]]))
    names = [f"{data}_{split}" for data in ("cifar10", "cifar100") for split in ("val_12ep", "val_200ep", "test_200ep")]
    return Known(
        [one for one, _, _ in found.values()],
        [numbers for _, numbers, _ in found.values()],
        {name: [float(row[name]) for _, _, row in found.values()] for name in names},
    )


def rank_correlation(of: Known, column: str, seed: int, *, features: bool) -> float:
    """Kendall's tau of the predictor after 100 random trainings, over up to 1,000 other architectures."""
    order = Random(seed).sample(range(len(of.architectures)), len(of.architectures))
    trained, judged = order[:TRAINED], order[TRAINED : TRAINED + JUDGED]
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
    parser = ArgumentParser(description=__doc__)
    parser.add_argument("--scores", type=Path, default=FOLDER / "default.csv")
    parser.add_argument("--columns", default=",".join(of_proxies(["default"])))
    arguments = parser.parse_args()
    of = known(arguments.scores, arguments.columns.split(","))
    total = len(of.architectures)
    with get_context("spawn").Pool(JOBS) as pool:
        print(f"{total} architectures with {arguments.columns}\n")
        print(f"| Kendall's tau after {TRAINED} trainings | CIFAR-10 | CIFAR-100 |\n| --- | --- | --- |")
        for features in (False, True):
            cells = []
            for column in ("cifar10_test_200ep", "cifar100_test_200ep"):
                run = partial(rank_correlation, of, column, features=features)
                cells.append(_spread(pool.map(run, range(SEEDS))))
            print(f"| predictor with{'' if features else 'out'} proxies | {' | '.join(cells)} |", flush=True)
        score = of.scores(range(total))
        alone = (kendall(score, of.accuracies[f"{data}_test_200ep"]) or 0.0 for data in ("cifar10", "cifar100"))
        print(f"| the score alone, no training | {' | '.join(f'{tau:.3f}' for tau in alone)} |\n", flush=True)
        chosen = {"12-epoch validation": "val_12ep", "200-epoch validation": "val_200ep", "test": "test_200ep"}
        print(f"| CIFAR-10 test of the best of {FEW} trainings by | {' | '.join(chosen)} |")
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
