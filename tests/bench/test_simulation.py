from __future__ import annotations

from pathlib import Path
from random import Random

import pytest

from kubenas.bench.algorithms import search
from kubenas.bench.figures import figures
from kubenas.bench.simulation import simulate
from kubenas.bench.table import Goal, Source, Table
from kubenas.search.base import History, Observation
from kubenas.search.random import RandomSearch
from kubenas.search.regularized_evolution import RegularizedEvolution, RegularizedEvolutionSettings
from tests.bench.tables import ALL, published, small, write

HEAD = ("code", "value", "feature")
BOTH = (Goal("quality", "maximize"), Goal("delay", "minimize"))


@pytest.mark.parametrize(("goal", "sign"), [(Goal("quality", "maximize"), 1), (Goal("delay", "minimize"), -1)])
def test_the_loop_evaluates_what_the_strategy_proposes(tmp_path: Path, goal: Goal, sign: int) -> None:
    table = small(tmp_path, goals=[goal])
    run = simulate(table, RegularizedEvolution(table.space, 3, RegularizedEvolutionSettings()), 40, 1)
    history = History(table.space)
    strategy = RegularizedEvolution(table.space, 3, RegularizedEvolutionSettings())
    for row in run.rows:
        (architecture,) = strategy.propose(history, 1)
        assert table.row(architecture) == row
        assert row is not None
        history.observe(Observation(architecture, (0.0, sign * float(table.values[row, 0]))))
    assert len(run.rows) == len(run.proposing) == 40


def test_workers_keep_their_places_and_end_by_the_tables_seconds(tmp_path: Path) -> None:
    table = small(tmp_path, cost="seconds")
    run = simulate(table, RandomSearch(table.space, 1), 80, 4)
    proposed = [
        table.row(architecture) for architecture in RandomSearch(table.space, 1).propose(History(table.space), 80)
    ]
    ends: list[tuple[float, int, int | None]] = []
    free = [0.0] * 4
    for index, row in enumerate(proposed):
        place = free.index(min(free))
        free[place] += float(table.seconds[row])
        ends.append((free[place], index, row))
    assert list(run.rows) == [row for _, _, row in sorted(ends)]


def test_a_search_ends_once_the_space_is_used_up(tmp_path: Path) -> None:
    table = small(tmp_path, ["aa", "ab", "ba", "bb"])
    run = simulate(table, RandomSearch(table.space, 0), 50, 3)
    assert sorted(row for row in run.rows if row is not None) == [0, 1, 2, 3]


def test_what_the_table_lacks_fails_and_the_search_goes_on(tmp_path: Path) -> None:
    path = write(
        tmp_path / "t.csv",
        [("|none~0|+|none~0|none~1|+|skip_connect~0|none~1|none~2|", 1)],
        ("arch", "v"),
    )
    table = Table(Source(path, ("arch",), "nasbench201", (Goal("v", "maximize"),)))
    run = simulate(table, RandomSearch(table.space, 0), 30, 2)
    assert len(run.rows) == 30
    assert list(run.rows).count(None) >= 29


@pytest.mark.parametrize("name", ["random", "regularized-evolution", "optuna-tpe", "optuna-nsga2", "syne-tune-rea"])
def test_the_same_seed_searches_alike(tmp_path: Path, name: str) -> None:
    table = small(tmp_path, cost="seconds")
    first, again, other = (search(name, table, seed, 30, 3).rows for seed in (1, 1, 2))
    assert first == again
    assert first != other


@pytest.mark.parametrize(
    ("name", "evaluations"),
    [("optuna-tpe", 13), ("optuna-gp", 11), ("optuna-nsga2", 13), ("syne-tune-rea", 13), ("syne-tune-bore", 6)],
)
def test_peers_search_rows_of_a_part_of_the_product(tmp_path: Path, name: str, evaluations: int) -> None:
    codes = [code for index, code in enumerate(ALL) if index % 2 == 0]
    run = search(name, small(tmp_path, codes), 0, evaluations, 2)
    assert len(run.rows) == len(run.proposing) == evaluations
    assert None not in run.rows
    assert all(lap > 0 for lap in run.proposing)


@pytest.mark.parametrize("name", ["optuna-tpe", "optuna-gp", "optuna-nsga2"])
def test_optunas_samplers_see_several_objectives(tmp_path: Path, name: str) -> None:
    run = search(name, small(tmp_path, goals=BOTH), 0, 14, 2)
    assert len(run.rows) == 14


def test_the_predictor_learns_from_features(tmp_path: Path) -> None:
    """A feature that is the objective's opposite leads to the best soon, where nothing else does."""
    shuffled = Random(0).sample(range(len(ALL)), len(ALL))
    path = write(tmp_path / "t.csv", [(code, value, -value) for code, value in zip(ALL, shuffled, strict=True)], HEAD)
    table = Table(Source(path, ("code",), "choices", (Goal("value", "maximize"),), features=("feature",)))
    best = shuffled.index(len(ALL) - 1)
    assert all(best in search("predictor", table, seed, 24, 1).rows for seed in range(3))


def test_random_search_on_nasbench201_falls_inside_the_published_band() -> None:
    table = Table(
        Source(
            published("nasbench201.csv"),
            ("arch",),
            "nasbench201",
            (Goal("cifar10_val_12ep", "maximize"),),
            "cifar10_test_200ep",
        )
    )
    (row,) = figures(table, {"random": [search("random", table, seed, 100, 1) for seed in range(10)]}, [100], 1)
    assert row.reported_mean == pytest.approx(93.7, abs=0.4)
