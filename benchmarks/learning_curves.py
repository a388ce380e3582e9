"""Tables for `kubenas bench` of published learning curves, and searches on them.

    python -m benchmarks.learning_curves FOLDER [--seeds N] [--tables ID,…] [--top N]

LCDB (Mohr, Viering, Loog, van Rijn, "LCDB 1.0: An Extensive Learning Curves Database for Classification Tasks", ECML
PKDD 2022, MIT): the accuracy of 20 learners of scikit-learn on OpenML's data sets, by the size of the training set. It
comes with the package lcdb (`pip install --no-deps lcdb`, 68 MB). FOLDER gets a table for each data set on which all
learners have come to the last size, with a row for each learner.
"""

from __future__ import annotations

import csv
import os
from argparse import ArgumentParser
from collections.abc import Iterable, Mapping, Sequence
from importlib.util import find_spec
from pathlib import Path
from statistics import fmean
from typing import Final

from kubenas.bench.figures import figures, place_of
from kubenas.bench.rows import listed
from kubenas.bench.run import Run
from kubenas.bench.runner import Budget, run_all
from kubenas.bench.table import Goal, Rung, Source, Table

# Training-set sizes: a scheduler's epochs. Each four times as large, which is as far as rungs with eta 4 are.
SIZES: Final = (64, 256, 1024, 4096, 16384)
ETA: Final = 4
OBJECTIVE: Final = f"val_{SIZES[-1]}"
CURVE: Final = tuple(Rung(f"val_{size}", size) for size in SIZES)
COLUMNS: Final = ("learner", *(rung.column for rung in CURVE), "test", "seconds")
LEARNERS: Final = 20
# Peers may try a learner again.
EVALUATIONS: Final = 3 * LEARNERS
# How near to the table's best is the target, in accuracy.
NEAR: Final = 0.001

OWN: Final = (
    "random",
    "random/asha",
    "random/asha-promotion",
    "random/pasha",
    "random/hyperband",
    "random/median",
    "random/extrapolation",
    "random/one-epoch",
    "predictor/asha",
)
PEERS: Final = (
    "optuna-tpe",
    "optuna-halving",
    "optuna-hyperband",
    "optuna-median",
    "syne-tune-asha",
    "syne-tune-bohb",
)


def tables(rows: Iterable[Mapping[str, str]]) -> dict[str, list[tuple[str, ...]]]:
    """The rows of each data set's table, by its number at OpenML.

    Validation accuracies and seconds of a training are of the first of its 25 splits, as a search would see them, the
    test accuracy is the mean over splits.

    Args:
        rows: of the package's database of accuracies.
    """
    first: dict[tuple[str, str], dict[int, Mapping[str, str]]] = {}
    tests: dict[tuple[str, str], list[float]] = {}
    for row in rows:
        size = int(row["size_train"])
        if size not in SIZES:
            continue
        key = row["openmlid"], row["learner"]
        if row["outer_seed"] == row["inner_seed"] == "0":
            first.setdefault(key, {})[size] = row
        if size == SIZES[-1] and row["score_test"]:
            tests.setdefault(key, []).append(float(row["score_test"]))
    found: dict[str, list[tuple[str, ...]]] = {}
    for (dataset, learner), curve in sorted(first.items()):
        values = [curve[size]["score_valid"] for size in SIZES if size in curve]
        test = tests.get((dataset, learner))
        if test and len(values) == len(SIZES) and all(values):
            # The package rounds to a tenth of a millisecond.
            seconds = max(float(curve[SIZES[-1]]["traintime"]), 1e-4)
            name = learner.rpartition(".")[2]
            found.setdefault(dataset, []).append((name, *values, f"{fmean(test):.6f}", f"{seconds:g}"))
    return {dataset: table for dataset, table in found.items() if len(table) == LEARNERS}


def write_tables(folder: Path) -> list[Path]:
    """Write the tables of the installed package.

    Raises:
        SystemExit: the package is not installed.
    """
    spec = find_spec("lcdb")
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit("lcdb is not installed: pip install --no-deps lcdb")
    folder.mkdir(parents=True, exist_ok=True)
    paths = []
    with (Path(spec.submodule_search_locations[0]) / "database-accuracy.csv").open(
        newline="", encoding="utf-8"
    ) as file:
        for dataset, rows in tables(csv.DictReader(file)).items():
            paths.append(folder / f"lcdb-{dataset}.csv")
            with paths[-1].open("w", newline="", encoding="utf-8") as table:
                csv.writer(table).writerows([COLUMNS, *rows])
    return paths


def source(path: Path) -> Source:
    """How such a table is searched."""
    return Source(path, ("learner",), "choices", (Goal(OBJECTIVE, "maximize"),), "test", cost="seconds", curve=CURVE)


def seconds_to(table: Table, run: Run, target: float) -> float:
    """On the simulated clock until the target is reported; infinite where it never was."""
    place = place_of(table, run, len(run.rows), target)
    return float("inf") if place is None else run.ends[place]


def mean_ranks(seconds: Mapping[str, Sequence[float]]) -> dict[str, float]:
    """Of each search the mean over seeds of its place among all, equal ones sharing theirs."""
    found: dict[str, list[float]] = {name: [] for name in seconds}
    for each in zip(*seconds.values(), strict=True):
        for name, value in zip(seconds, each, strict=True):
            found[name].append(sum(other < value for other in each) + (sum(other == value for other in each) + 1) / 2)
    return {name: fmean(ranks) for name, ranks in found.items()}


def main() -> None:
    """Write the tables, search each, and print a row for each search and table."""
    parser = ArgumentParser(description=__doc__.partition("\n")[0] if __doc__ else None)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--seeds", type=int, default=50)
    parser.add_argument("--jobs", type=int, default=os.cpu_count() or 1, help="processes")
    parser.add_argument("--tables", default="", help="numbers of data sets at OpenML; all if absent")
    parser.add_argument("--top", type=int, default=None, help="of own schedulers that train so many to the end")
    parser.add_argument("--algorithms", default=",".join((*OWN, *PEERS)))
    given = parser.parse_args()
    names = given.algorithms.split(",")
    ranks: dict[str, list[float]] = {name: [] for name in names}
    print("| table | algorithm | seconds to the target, mean | seeds at it | samples | stopped wrongly | mean rank |")
    print("| --- | --- | --- | --- | --- | --- | --- |")
    wanted = listed(given.tables)
    for path in write_tables(given.folder):
        if wanted and path.stem.removeprefix("lcdb-") not in wanted:
            continue
        table = Table(source(path))
        target = min(table.optimum) - NEAR
        budget = Budget(EVALUATIONS, 4, given.seeds, ETA, given.top)
        runs = run_all(source(path), names, budget, given.jobs, _nothing)
        seconds = {name: [seconds_to(table, run, target) for run in runs[name]] for name in names}
        places = mean_ranks(seconds)
        for name, row in zip(names, figures(table, runs, [EVALUATIONS], 4, target), strict=True):
            ranks[name].append(places[name])
            mean = "" if row.seconds_to_target is None else f"{row.seconds_to_target:.3g}"
            print(
                f"| {path.stem} | {name} | {mean} | {row.target_share:.0%} | {row.epochs:,.0f} | "
                f"{row.stopped_wrongly:.0%} | {places[name]:.1f} |",
                flush=True,
            )
    print("\nMean rank over the tables:", ", ".join(f"{name} {fmean(found):.2f}" for name, found in ranks.items()))


def _nothing(_: str) -> None:
    """No progress is shown."""


if __name__ == "__main__":
    main()
