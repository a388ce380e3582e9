"""Searches replayed on the published table of NAS-Bench-201."""

from __future__ import annotations

import csv
import os
from pathlib import Path
from statistics import mean

import pytest

from kubenas.api.search import Search
from kubenas.search.base import History, Observation
from kubenas.search.load import build_strategy
from kubenas.space.presets.nasbench201 import NASBench201

DATA = Path(os.environ.get("KUBENAS_DATA") or Path(__file__).parents[3] / "shared" / "data")
TABLE = DATA / "nasbench201.csv"
SPACE = NASBench201()
SEEDS = 60

# Name of a cell: CIFAR-10 validation accuracy after 12 epochs, test accuracy after 200 (mean of seeds), in percent.
Table = dict[str, tuple[float, float]]

pytestmark = pytest.mark.skipif(not TABLE.is_file(), reason=f"{TABLE} is not there: set KUBENAS_DATA to its folder")


@pytest.fixture(scope="module")
def table() -> Table:
    with TABLE.open(newline="") as file:
        return {
            row["arch"]: (float(row["cifar10_val_12ep"]), float(row["cifar10_test_200ep"]))
            for row in csv.DictReader(file)
        }


def _found(table: Table, search: Search, evaluations: int) -> float:
    """The test accuracy of the cell with the best validation accuracy that `search` comes upon, 4 trials at a time."""
    strategy, history = build_strategy(search, SPACE), History(SPACE)
    while len(history.observations) < evaluations:
        strategy.propose(history, min(4 - len(history.pending), evaluations - history.proposed))
        ended = history.pending[0]
        history.observe(Observation(ended, (0.0, table[SPACE.name(ended)][0])))
    return max(table[SPACE.name(observation.architecture)] for observation in history.observations)[1]


def test_every_cell_is_in_the_table(table: Table) -> None:
    assert len(table) == 5**6
    assert all(SPACE.name(SPACE.parse(name)) == name for name in table)


@pytest.mark.parametrize("evaluations", [100, 300])
def test_evolution_is_better_than_random(table: Table, evaluations: int) -> None:
    """The published figures, with repeats, are 93.7 for random search and 93.9 for evolution at 100 evaluations."""
    random = mean(_found(table, Search(algorithm="random", seed=seed), evaluations) for seed in range(SEEDS))
    evolution = mean(
        _found(table, Search(algorithm="regularized-evolution", seed=seed), evaluations) for seed in range(SEEDS)
    )
    assert 93.3 < random < 94.1
    assert random < evolution <= 94.37
