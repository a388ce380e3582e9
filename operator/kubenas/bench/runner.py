"""All searches of a benchmark, each in one of a few processes."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import dataclass
from multiprocessing import get_context
from typing import Final

from kubenas.bench.algorithms import search
from kubenas.bench.run import Run
from kubenas.bench.table import Source, Table

# A process for each core needs no threads beside it.
ONE_THREAD: Final = {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1", "MKL_NUM_THREADS": "1"}


@dataclass(frozen=True, slots=True)
class Budget:
    """How far each search goes.

    Attributes:
        evaluations: until so many have ended.
        workers: trials that run at the same time.
        seeds: searches of each algorithm, with the seeds 0, 1, …
        eta: of those with rungs; None for their own default.
        top: of own schedulers that have one; None for their default.
    """

    evaluations: int
    workers: int
    seeds: int
    eta: int | None = None
    top: int | None = None


def run_all(
    source: Source, algorithms: Sequence[str], budget: Budget, jobs: int, done: Callable[[str], None]
) -> dict[str, list[Run]]:
    """The searches of each algorithm in order of seeds; `done` hears the algorithm whenever one has ended."""
    os.environ |= ONE_THREAD
    found: dict[str, list[Run | None]] = {name: [None] * budget.seeds for name in algorithms}
    # Spawned, so that no lock of a thread of this process is copied.
    with ProcessPoolExecutor(jobs, get_context("spawn"), _Process.begin, (source,)) as pool:
        futures = {
            pool.submit(_Process.search, name, seed, budget): (name, seed)
            for seed in range(budget.seeds)
            for name in algorithms
        }
        try:
            for future in as_completed(futures):
                name, seed = futures[future]
                found[name][seed] = future.result()
                done(name)
        except BaseException:
            pool.shutdown(wait=False, cancel_futures=True)
            raise
    return {name: [run for run in runs if run is not None] for name, runs in found.items()}


class _Process:
    """What a process keeps between searches."""

    table: Table

    @classmethod
    def begin(cls, source: Source) -> None:
        cls.table = Table(source)

    @classmethod
    def search(cls, name: str, seed: int, budget: Budget) -> Run:
        return search(name, cls.table, seed, budget.evaluations, budget.workers, budget.eta, budget.top)
