"""Searches on published tables, ours and other packages', as the rows of docs/benchmarks.md.

    python -m benchmarks.search [--seeds N] [CASE …]

Needs nasbench201.csv and nasbench201_latency.csv in the folder KUBENAS_DATA, or in ../shared/data beside the checkout.
"""

from __future__ import annotations

import csv
import os
import resource
import tempfile
from argparse import ArgumentParser
from collections.abc import Callable, Container, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from functools import cache, partial
from itertools import pairwise
from multiprocessing import get_context
from pathlib import Path
from random import Random
from statistics import fmean
from time import perf_counter
from typing import Final

from benchmarks.graph_tables import ARCHITECTURE, write_tables
from kubenas.api.search import Search
from kubenas.bench.figures import Figures, figures, reach, reported_curve
from kubenas.bench.runner import Budget, run_all
from kubenas.bench.table import Goal, Source, Table
from kubenas.search.base import History, Observation
from kubenas.search.load import build_strategy
from kubenas.space.base import Architecture
from kubenas.space.domains import Choice
from kubenas.space.parameters import parameter_space

DATA: Final = Path(os.environ.get("KUBENAS_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
DEFAULT: Final = Search().algorithm
JOBS: Final = os.cpu_count() or 1

OWN: Final = ("random", "regularized-evolution", "local-search")
QUICK_PEERS: Final = ("optuna-tpe", "optuna-nsga2", "syne-tune-rea")
# They take about half a second a proposal.
SLOW_PEERS: Final = ("optuna-gp", "syne-tune-bore")
# Cells of the earlier stage.
EARLIER: Final = 60
# CIFAR-10 test accuracy that few searches miss.
NEARLY: Final = 94.2

HEAD: Final = (
    "| table: reported | algorithm | evaluations | seeds | value | at the optimum | hypervolume | ms a proposal |\n"
    "| --- | --- | --- | --- | --- | --- | --- | --- |"
)


def cifar10(seeds: int | None) -> None:
    """12-epoch validation, reported: 200-epoch test of the chosen."""
    source = _nasbench201("cifar10")
    compare(source, (DEFAULT, *OWN), [50, 100, 300], seeds or 50)
    compare(source, QUICK_PEERS, [50, 100, 300], seeds or 20)
    compare(source, SLOW_PEERS, [50, 100], seeds or 3)


def cifar100(seeds: int | None) -> None:
    """The same on CIFAR-100."""
    source = _nasbench201("cifar100")
    compare(source, (DEFAULT, *OWN), [50, 100], seeds or 50)
    compare(source, QUICK_PEERS, [50, 100], seeds or 20)


def graphs(seeds: int | None) -> None:
    """NAS-Bench-Graph: validation, reported as such and by the test value of the chosen; and the mean ranks."""
    ranks: dict[tuple[str, int], list[float]] = {}
    with tempfile.TemporaryDirectory() as folder:
        for path in write_tables(Path(folder)).values():
            # Its networks have 5 of the 9 operations.
            space = "choices" if path.stem == "proteins" else "gnn"
            source = Source(path, ARCHITECTURE, space, (Goal("valid_perf", "maximize"),))
            algorithms = (DEFAULT, "random", "regularized-evolution", *QUICK_PEERS)
            rows = compare(source, algorithms, [50, 100, 300], seeds or 3, reports=(None, "test_perf"))
            for row in rows:
                same = [other.reported_mean or 0.0 for other in rows if other.evaluations == row.evaluations]
                ranks.setdefault((row.algorithm, row.evaluations), []).append(_rank(row.reported_mean or 0.0, same))
    print("\nMean rank by validation:", end=" ")
    print(", ".join(f"{name} at {budget}: {fmean(found):.1f}" for (name, budget), found in ranks.items()), flush=True)


def two_objectives(seeds: int | None) -> None:
    """CIFAR-10 validation after 200 epochs, and latency on a Raspberry Pi 4."""
    goals = Goal("cifar10_val_200ep", "maximize"), Goal("cifar10_raspi4_latency", "minimize")
    with tempfile.TemporaryDirectory() as folder:
        joined = _join(Path(folder) / "nasbench201+latency.csv")
        source = Source(joined, ("arch",), "nasbench201", goals)
        compare(source, (DEFAULT, "nsga2", "random", "optuna-nsga2", "optuna-tpe"), [100, 300], seeds or 4)


def workers(seeds: int | None) -> None:
    """What eight trials at a time cost in evaluations: to the optimum (at most 100), to nearly that, and after 100."""
    source = _nasbench201("cifar10")
    table = Table(source)
    print(f"\n| {DEFAULT} on CIFAR-10 | to the optimum | to {NEARLY} | after 100 |\n| --- | --- | --- | --- |")
    for count in (1, 8):
        runs = run_all(source, [DEFAULT], Budget(100, count, seeds or 20), JOBS, _nothing)[DEFAULT]
        optimum = fmean(_until(reported_curve(table, run), table.optimum) for run in runs)
        nearly = reach(table, runs, NEARLY)
        (after,) = figures(table, {DEFAULT: runs}, [100], count)
        print(
            f"| {count} at a time | {optimum:.1f} | {nearly.evaluations} ({nearly.seeds} of {len(runs)} seeds) |",
            end=" ",
        )
        print(f"{after.reported_mean:.5g} ± {after.reported_std:.2g} |", flush=True)


def earlier(seeds: int | None) -> None:
    """A stage of 200 epochs after 60 random cells of 12: the best validation found, with these results and without.

    Shuffled, the earlier accuracies are of other cells; reversed, what was best is said to be worst.
    """
    budgets = 8, 16, 32
    with ProcessPoolExecutor(JOBS, get_context("spawn")) as pool:
        for dataset in ("cifar10", "cifar100"):
            print(f"\n| {dataset}: 200-epoch validation | earlier results | {' | '.join(map(str, budgets))} |")
            print("| --- | --- |" + " --- |" * len(budgets))
            for algorithm in (DEFAULT, "regularized-evolution", "local-search"):
                for known in ("none", "12 epochs", "12 epochs, shuffled", "12 epochs, reversed"):
                    run = partial(_second_stage, dataset, algorithm, known, budgets[-1])
                    curves = list(pool.map(run, range(seeds or 20)))
                    cells = [fmean(max(curve[:budget]) for curve in curves) for budget in budgets]
                    print(f"| {algorithm} | {known} | {' | '.join(f'{cell:.2f}' for cell in cells)} |", flush=True)


def proposals(_: int | None) -> None:
    """Time of a proposal with a long history, refits included, on 8^16 architectures."""
    space = parameter_space({f"layer{index}": Choice(tuple("abcdefgh")) for index in range(16)})
    print()
    for observed, measured in ((1_000, 200), (10_000, 1_000)):
        strategy = build_strategy(Search(), space)
        history, rng = History(space), Random(0)
        for _ in range(observed):
            architecture = space.sample(rng)
            history.propose([architecture])
            history.observe(_synthetic(architecture))
        strategy.propose(history, 1)
        began = perf_counter()
        for _ in range(measured):
            (architecture,) = strategy.propose(history, 1)
            history.observe(_synthetic(architecture))
        lasted = (perf_counter() - began) / measured
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        print(
            f"{DEFAULT} at {observed:,} observations: {lasted * 1000:.1f} ms a proposal, peak {peak:.0f} MB", flush=True
        )


CASES: Final[dict[str, Callable[[int | None], None]]] = {
    "cifar10": cifar10,
    "cifar100": cifar100,
    "graphs": graphs,
    "two-objectives": two_objectives,
    "workers": workers,
    "earlier": earlier,
    "proposals": proposals,
}


def compare(
    source: Source,
    algorithms: Sequence[str],
    budgets: Sequence[int],
    seeds: int,
    reports: Sequence[str | None] = (),
) -> list[Figures]:
    """Run the searches and print their rows, once for each report; those of the first."""
    runs = run_all(source, algorithms, Budget(budgets[-1], 1, seeds), JOBS, _nothing)
    told = []
    for report in reports or (source.report,):
        seen = replace(source, report=report)
        told.append(figures(Table(seen), runs, budgets, 1))
        for row in told[-1]:
            print(_row(seen, row), flush=True)
    return told[0]


def _second_stage(dataset: str, algorithm: str, known: str, evaluations: int, seed: int) -> list[float]:
    """The 200-epoch validation accuracy of each evaluation."""
    short, long = _stages(dataset)
    space, rng = long.space, Random(f"earlier/{seed}")
    cells = [space.sample(rng) for _ in range(EARLIER)]
    values = [_value(short, cell) for cell in cells]
    if known.endswith("shuffled"):
        rng.shuffle(values)
    if known.endswith("reversed"):
        values = [-value for value in values]
    results = [Observation(cell, (0.0, value)) for cell, value in zip(cells, values, strict=True)]
    history = History(space, () if known == "none" else results)
    strategy = build_strategy(Search.model_validate({"algorithm": algorithm, "seed": seed}), space)
    for _ in range(evaluations):
        (cell,) = strategy.propose(history, 1)
        history.observe(Observation(cell, (0.0, _value(long, cell))))
    return [one.known_score[1] for one in history.scored]


@cache
def _stages(dataset: str) -> tuple[Table, Table]:
    """Validation after 12 epochs and after 200."""
    first = _nasbench201(dataset)
    return Table(first), Table(replace(first, goals=(Goal(f"{dataset}_val_200ep", "maximize"),)))


def _value(table: Table, cell: Architecture) -> float:
    row = table.row(cell)
    assert row is not None  # noqa: S101 - the table has all cells
    return float(table.values[row, 0])


def _row(source: Source, row: Figures) -> str:
    hypervolume = "" if row.hypervolume is None else f"{row.hypervolume:.2%}"
    return (
        f"| {source.path.stem}: {source.report or source.goals[0].column} | {row.algorithm} | {row.evaluations} | "
        f"{row.seeds} | {row.reported_mean:.5g} ± {row.reported_std:.2g} | {row.optimum_share:.0%} | {hypervolume} | "
        f"{1000 * (row.seconds_per_proposal or 0):.1f} |"
    )


def _rank(value: float, among: Sequence[float]) -> float:
    """1 for the greatest; equal ones share the mean of their ranks."""
    return sum(other > value for other in among) + (sum(other == value for other in among) + 1) / 2


def _nasbench201(dataset: str) -> Source:
    goals = (Goal(f"{dataset}_val_12ep", "maximize"),)
    return Source(DATA / "nasbench201.csv", ("arch",), "nasbench201", goals, f"{dataset}_test_200ep")


def _join(path: Path) -> Path:
    """Accuracies and latencies in one table."""
    with (DATA / "nasbench201_latency.csv").open(encoding="utf-8") as file:
        latencies = {row["index"]: row["cifar10_raspi4_latency"] for row in csv.DictReader(file)}
    with (DATA / "nasbench201.csv").open(encoding="utf-8") as file, path.open("w", encoding="utf-8") as out:
        writer = csv.writer(out)
        writer.writerow(["arch", "cifar10_val_200ep", "cifar10_raspi4_latency"])
        writer.writerows(
            [row["arch"], row["cifar10_val_200ep"], latencies[row["index"]]] for row in csv.DictReader(file)
        )
    return path


def _until(curve: Sequence[float | None], values: Container[float | None]) -> int:
    """Evaluations until one of the values is reported; all of them where none is."""
    return next((n for n, reported in enumerate(curve, start=1) if reported in values), len(curve))


def _synthetic(architecture: Architecture) -> Observation:
    """Something to learn: letters that are early in the alphabet are good, most of all beside each other."""
    letters = [ord(str(value)) for value in architecture.values()]
    return Observation(architecture, (0.0, -float(sum(a * b for a, b in pairwise(letters)))))


def _nothing(_: str) -> None:
    pass


def main() -> None:
    """Run the named cases, all if none is named."""
    parser = ArgumentParser(prog="python -m benchmarks.search", description="Searches on published tables.")
    parser.add_argument("cases", nargs="*", metavar="CASE", help=", ".join(CASES))
    parser.add_argument("--seeds", type=int, metavar="N", help="searches of each algorithm, for all cases")
    options = parser.parse_args()
    if unknown := [case for case in options.cases if case not in CASES]:
        parser.error(f"there is no case {unknown[0]}: choose of {', '.join(CASES)}")
    began = perf_counter()
    print(HEAD, flush=True)
    for case in options.cases or CASES:
        CASES[case](options.seeds)
    print(f"\n{(perf_counter() - began) / 60:.1f} minutes on {JOBS} cores", flush=True)


if __name__ == "__main__":
    main()
