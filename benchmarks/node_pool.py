"""How busy a search keeps 1,000 spot nodes: the operator's own plans, on a simulated clock.

    python -m benchmarks.node_pool [--nodes N] [--trials N] [--max-pending N …] [--life SECONDS …] [--tick SECONDS]

Trials take as long as NAS-Bench-201's architectures do on an edge GPU, scaled to a mean of half an hour; needs
nasbench201_latency.csv in the folder KUBENAS_DATA, or in ../shared/data beside the checkout.
"""

from __future__ import annotations

import os
import time
from argparse import ArgumentParser
from pathlib import Path
from statistics import fmean
from typing import Final

from tests.experiment.builders import experiment
from tests.experiment.node_pool import Pool, PooledWorld, measured_lengths, search
from tests.experiment.simulation import Chances

DATA: Final = Path(os.environ.get("KUBENAS_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data")
MEAN: Final = 1800.0
# The operator dies once in so many writes.
CRASH: Final = 1 / 1000
COLUMNS: Final = (
    "a node is there for",
    "`maxPending`",
    "interruptions",
    "node time that trains",
    "slots that train",
    "nine tenths after",
    "trained again: a pod",
    "at most",
    "of all",
    "operator killed",
    "seconds of CPU",
)


def row(world: PooledWorld, trials: int, slots: int) -> str:
    """A row of docs/benchmarks.md; fails where a trial has not ended with its result."""
    ended = [one.status.phase for one in world.trials.values()]
    if ended != ["Succeeded"] * trials:
        raise AssertionError(f"of {trials} trials these ended otherwise: {set(ended)}")
    account, begun = world.account, min(since for since, _ in world.account.spans)
    inside = account.training(account.filled or begun, account.last_start) / slots
    lost = fmean(account.lost) if account.lost else 0.0
    again = sum(account.lost) / account.trained
    filled = "never" if account.filled is None else f"{(account.filled - begun) / 60:.0f} min"
    cells = (
        f"{account.interruptions:,}",
        f"{100 * account.trained / account.node_seconds:.1f} %",
        f"{100 * inside:.1f} %",
        filled,
        f"{lost:.0f} s",
        f"{max(account.lost, default=0.0):.0f} s",
        f"{100 * again:.2f} %",
        world.crashes,
    )
    return " | ".join(map(str, cells))


def main() -> None:
    """Print the rows of docs/benchmarks.md."""
    parser = ArgumentParser(description="How busy a search keeps spot nodes.")
    parser.add_argument("--nodes", type=int, default=1000)
    parser.add_argument("--trials", type=int, default=1500)
    parser.add_argument("--max-pending", type=int, nargs="+", default=[100])
    parser.add_argument("--life", type=float, nargs="+", default=[0.0, 7200.0, 1800.0, 600.0], help="0: they stay")
    parser.add_argument("--tick", type=float, default=15.0, help="seconds between two looks at what has happened")
    asked = parser.parse_args()
    length = measured_lengths(DATA / "nasbench201_latency.csv", MEAN)
    print(f"| {' | '.join(COLUMNS)} |\n" + "| --- " * len(COLUMNS) + "|")
    for life in asked.life:
        for pending in asked.max_pending:
            begun = time.process_time()
            trials = {"max": asked.trials, "retries": 0, "maxFailures": 0}
            scale = {"min": 1, "max": asked.nodes, "maxPending": pending}
            of = experiment(search={"algorithm": "random"}, trials={**trials, "autoscale": scale})
            world = search(of, Pool(asked.nodes, life or None), length, Chances(crash=CRASH), seed=1, tick=asked.tick)
            there = f"{life / 60:.0f} min" if life else "always"
            took = time.process_time() - begun
            print(f"| {there} | {pending} | {row(world, asked.trials, asked.nodes)} | {took:.0f} |", flush=True)


if __name__ == "__main__":
    main()
