"""Searches replayed on the published table of NAS-Bench-201."""

from __future__ import annotations

import csv
import os
from collections.abc import Sequence
from pathlib import Path
from random import Random
from statistics import mean
from typing import NamedTuple

import pytest

from kubenas.api.search import Algorithm, Search
from kubenas.search.base import History, Observation
from kubenas.search.load import build_strategy
from kubenas.space.presets.nasbench201 import NASBench201

DATA = Path(os.environ.get("KUBENAS_DATA") or Path(__file__).parents[3] / "shared" / "data")
TABLE = DATA / "nasbench201.csv"
SPACE = NASBench201()
SEEDS = 60
COLUMNS = ("val_12ep", "test_200ep", "val_200ep")


class Accuracies(NamedTuple):
    """On CIFAR-10 in percent: validation after 12 epochs, test after 200 (mean of seeds), validation after 200."""

    short: float
    test: float
    long: float


# By the name of a cell.
Table = dict[str, Accuracies]

pytestmark = pytest.mark.skipif(not TABLE.is_file(), reason=f"{TABLE} is not there: set KUBENAS_DATA to its folder")


@pytest.fixture(scope="module")
def table() -> Table:
    with TABLE.open(newline="") as file:
        return {
            row["arch"]: Accuracies(*(float(row[f"cifar10_{column}"]) for column in COLUMNS))
            for row in csv.DictReader(file)
        }


def _found(table: Table, search: Search, evaluations: int) -> float:
    """The test accuracy of the cell with the best validation accuracy that `search` comes upon, 4 trials at a time."""
    strategy, history = build_strategy(search, SPACE), History(SPACE)
    while len(history.observations) < evaluations:
        strategy.propose(history, min(4 - len(history.pending), evaluations - history.proposed))
        ended = history.pending[0]
        history.observe(Observation(ended, (0.0, table[SPACE.name(ended)].short)))
    return max(table[SPACE.name(observation.architecture)] for observation in history.observations).test


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


def _after(table: Table, search: Search, earlier: Sequence[Observation], evaluations: int) -> float:
    """The best validation accuracy after 200 epochs among so many cells."""
    strategy, history = build_strategy(search, SPACE), History(SPACE, earlier)
    for _ in range(evaluations):
        (proposed,) = strategy.propose(history, 1)
        history.observe(Observation(proposed, (0.0, table[SPACE.name(proposed)].long)))
    return max(one.known_score[1] for one in history.scored)


def _short(table: Table, seed: int, *, shuffled: bool = False) -> list[Observation]:
    """What 12 epochs say of 60 cells."""
    rng = Random(f"short/{seed}")
    cells = [SPACE.sample(rng) for _ in range(60)]
    values = [table[SPACE.name(cell)].short for cell in cells]
    if shuffled:
        rng.shuffle(values)
    return [Observation(cell, (0.0, value)) for cell, value in zip(cells, values, strict=True)]


@pytest.mark.parametrize(("algorithm", "seeds"), [("predictor", 6), ("regularized-evolution", 20)])
def test_an_earlier_stage_helps_and_a_useless_one_does_no_harm(table: Table, algorithm: Algorithm, seeds: int) -> None:
    """Accuracies after 12 epochs, true and shuffled, before a stage of 200: after 8 evaluations and after 24."""
    searches = [Search(algorithm=algorithm, seed=seed) for seed in range(seeds)]
    helped = mean(_after(table, search, _short(table, search.seed), 8) for search in searches)
    assert helped > mean(_after(table, search, (), 8) for search in searches) + 0.5
    misled = mean(_after(table, search, _short(table, search.seed, shuffled=True), 24) for search in searches)
    assert misled > mean(_after(table, search, (), 24) for search in searches) - 0.3
