"""Searches with early stopping on a table with values at several epochs."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from random import Random

import pytest

from kubenas.api.errors import SpecError
from kubenas.bench.algorithms import with_fidelity
from kubenas.bench.figures import figures
from kubenas.bench.run import Run
from kubenas.bench.simulation import simulate
from kubenas.bench.table import Goal, Rung, Source, Table, parse_curve
from kubenas.fidelity.load import SCHEDULERS
from kubenas.search.base import History, Observation
from kubenas.search.random import RandomSearch
from kubenas.space.base import Architecture
from tests.bench.tables import ALL, write

EPOCHS = 27
CURVE = (Rung("one", 1), Rung("three", 3), Rung("whole", EPOCHS))


def curved(folder: Path, codes: list[str] | None = None, *, liar: str = "") -> Table:
    """Early values tell the order of the last ones; but for `liar`, the best, which seems the worst."""
    codes = codes or ALL
    rows = [
        (code, *((0, 0) if code == liar else (index, 2 * index)), 10 * len(codes) if code == liar else 4 * index, 10.0)
        for index, code in enumerate(codes)
    ]
    path = write(folder / "t.csv", rows, ("code", "one", "three", "whole", "seconds"))
    return Table(Source(path, ("code",), "choices", (Goal("whole", "maximize"),), cost="seconds", curve=CURVE))


def searched(table: Table, scheduler: str = "none", trials: int = 30) -> Run:
    return simulate(table, RandomSearch(table.space, 1), trials, 4, scheduler)


@pytest.mark.parametrize("scheduler", ["none", "asha"])
def test_the_clock_goes_on_with_the_epochs(tmp_path: Path, scheduler: str) -> None:
    """One at a time, each of them ten seconds for all epochs."""
    table = curved(tmp_path)
    run = simulate(table, RandomSearch(table.space, 1), 30, 1, scheduler)
    assert list(run.ends) == pytest.approx([epochs * 10 / EPOCHS for epochs in run.epochs], abs=1e-3)


def test_without_a_scheduler_each_trial_takes_all_epochs(tmp_path: Path) -> None:
    run = searched(curved(tmp_path))
    assert run.stopped == {}
    assert run.epochs[-1] == 30 * EPOCHS
    # Four run at the same pace; two of them end at the same time, one after the other.
    assert list(run.epochs[:4]) == [4 * EPOCHS] * 4


@pytest.mark.parametrize("scheduler", sorted({*SCHEDULERS} - {"patience"}))
def test_losers_are_stopped_and_take_the_epochs_to_their_rung(tmp_path: Path, scheduler: str) -> None:
    table = curved(tmp_path)
    run = searched(table, scheduler)
    assert run.stopped
    assert len(run.rows) == len(run.epochs) == 30
    assert all(run.rows[place] is None for place in run.stopped)
    whole = [row for row in run.rows if row is not None]
    assert run.epochs[-1] < 30 * EPOCHS
    assert len(whole) * EPOCHS + len(run.stopped) <= run.epochs[-1]
    assert list(run.epochs) == sorted(run.epochs)
    assert max(whole) > max(run.stopped.values()), "early values tell the order here"


class Noting(RandomSearch):
    """Notes what it was shown last."""

    seen: Sequence[Observation] = ()

    def next(self, history: History, rng: Random) -> Architecture | None:
        self.seen = history.scored
        return super().next(history, rng)


def test_a_strategy_sees_values_at_all_rungs(tmp_path: Path) -> None:
    table = curved(tmp_path)
    strategy = Noting(table.space, 1)
    simulate(table, strategy, 30, 4, "asha")
    assert {one.epochs for one in strategy.seen} == {1, 3, None}
    for one in strategy.seen:
        row = table.row(one.architecture)
        assert row is not None
        reached = [epochs for epochs in table.curve if epochs <= (one.epochs or EPOCHS)]
        known = {epochs: float(table.curve[epochs][row]) for epochs in reached}
        assert one.rungs == {epochs: ((0.0, value), (value,)) for epochs, value in known.items()}
        assert one.known_score[1] == (known[one.epochs] if one.epochs else table.values[row, 0])


@pytest.mark.parametrize("scheduler", ["asha-promotion", "pasha"])
def test_who_is_promoted_takes_the_epochs_that_it_adds(tmp_path: Path, scheduler: str) -> None:
    table = curved(tmp_path)
    run = simulate(table, RandomSearch(table.space, 1), 20, 1, scheduler, 3)
    assert len({*run.stopped.values()} | {row for row in run.rows if row is not None}) == 20
    # Each candidate has been trained for as many epochs as it came to, and none twice.
    reached: dict[int, int] = {}
    for place, row in enumerate(run.rows):
        one = run.stopped[place] if row is None else row
        rungs = [1, 3, 9, EPOCHS]
        reached[one] = EPOCHS if row is not None else rungs[rungs.index(reached[one]) + 1 if one in reached else 0]
    assert run.epochs[-1] == pytest.approx(sum(reached.values()), abs=1e-2)
    whole = [row for row in run.rows if row is not None]
    assert max(whole) == max(reached), "early values tell the order here"


def test_what_was_stopped_wrongly_is_counted(tmp_path: Path) -> None:
    codes = ["aa", "ab", "ba", "bb"]
    honest, lying = (
        searched(curved(tmp_path, codes), "asha", 4),
        searched(curved(tmp_path, codes, liar="ab"), "asha", 4),
    )
    assert honest.stopped
    for run, liar, share in ((honest, "", 0.0), (lying, "ab", 1.0)):
        table = curved(tmp_path, codes, liar=liar)
        (row,) = figures(table, {"random/asha": [run]}, [4], 4, target=12.0)
        assert (row.algorithm, row.fidelity, row.stopped_wrongly) == ("random", "asha", share)


def test_what_no_longer_improves_is_a_result_by_its_last_value(tmp_path: Path) -> None:
    """As in the operator: the search reports it, and what it would have come to later counts as stopped wrongly."""
    head = ("code", "ten", "twenty", "whole", "test")
    rows = [("aa", 1.0, 1.0, 9.0, 90.0), ("ab", 2.0, 3.0, 4.0, 40.0), ("ba", 3.0, 2.0, 2.5, 25.0), ("bb", 0, 0, 0, 0)]
    path = write(tmp_path / "t.csv", rows, head)
    curve = (Rung("ten", 10), Rung("twenty", 20), Rung("whole", 30))
    goals = (Goal("whole", "maximize"),)
    table = Table(Source(path, ("code",), "choices", goals, curve=curve))
    run = simulate(table, RandomSearch(table.space, 0), 4, 1, "patience")
    assert run.stopped == {}
    assert sorted(row for row in run.rows if row is not None) == [0, 1, 2, 3]
    assert {run.rows[place]: epochs for place, epochs in run.early.items()} == {0: 20, 2: 20, 3: 20}
    assert run.epochs[-1] == 3 * 20 + 30
    (line,) = figures(table, {"random/patience": [run]}, [4], 1)
    assert (line.reported_mean, line.stopped_wrongly) == (4.0, 1.0)
    reporting = Table(Source(path, ("code",), "choices", goals, report="test", curve=curve))
    (line,) = figures(reporting, {"random/patience": [run]}, [4], 1)
    assert line.reported_mean == 40.0


def test_a_training_that_goes_on_is_no_further_evaluation(tmp_path: Path) -> None:
    table = curved(tmp_path)
    run = simulate(table, RandomSearch(table.space, 1), 12, 4, "asha-promotion", 3, 5)
    assert len(run.rows) - len(run.continued) == 12
    assert all(run.rows[place] is None for place in range(len(run.rows)) if place not in run.continued)
    assert len([row for row in run.rows if row is not None]) == 5, "so many are trained to the end"
    assert run.until(12) == len(run.rows)
    assert [run.evaluations_by(run.until(count) - 1) for count in range(1, 13)] == [*range(1, 13)]
    six, twelve = figures(table, {"random/asha-promotion": [run]}, [6, 12], 4)
    assert (six.epochs, twelve.epochs) == (run.epochs[run.until(6) - 1], run.epochs[-1])


def test_epochs_to_a_target_are_those_of_all_trials_by_then(tmp_path: Path) -> None:
    table = curved(tmp_path, ["aa", "ab", "ba", "bb"])
    runs = [
        Run([0, None, 3], [], {1: 2}, [27.0, 30.0, 57.0], [10.0, 11.0, 20.0]),
        Run([0, 1], [], {}, [27.0, 54.0], [10.0, 20.0]),
    ]
    (row,) = figures(table, {"random/asha": runs}, [3], 1, target=12.0)
    assert (row.epochs_to_target, row.seconds_to_target, row.target_share, row.epochs) == (57.0, 20.0, 0.5, 55.5)
    (none,) = figures(table, {"random/asha": runs}, [3], 1)
    assert (none.epochs_to_target, none.seconds_to_target, none.target_share) == (None, None, None)


@pytest.mark.parametrize(
    ("parts", "says"),
    [
        (["whole"], "'whole' is no part of a curve: write COLUMN:EPOCHS"),
        (["one:0", "whole:9"], "'one:0' is no part of a curve"),
        (["whole:9"], "needs two columns or more, in order of their epochs"),
        (["one:9", "whole:9"], "needs two columns or more, in order of their epochs"),
    ],
)
def test_a_curve_that_is_none_is_told(parts: list[str], says: str) -> None:
    with pytest.raises(SpecError, match=says):
        parse_curve(parts)


def test_a_curve_ends_with_the_objective(tmp_path: Path) -> None:
    with pytest.raises(SpecError, match="must end with whole, the column of the first --objective"):
        Source(tmp_path, ("code",), "choices", (Goal("whole", "maximize"),), curve=CURVE[:2])


def test_schedulers_go_with_strategies_and_need_a_curve(tmp_path: Path) -> None:
    table = curved(tmp_path)
    assert with_fidelity(["random", "optuna-tpe"], ["none", "asha"], table) == ["random", "random/asha", "optuna-tpe"]
    with pytest.raises(SpecError, match="'sha' is unknown: there are none, asha"):
        with_fidelity(["random"], ["sha"], table)
    flat = Table(Source(tmp_path / "t.csv", ("code",), "choices", (Goal("whole", "maximize"),)))
    with pytest.raises(SpecError, match="asha needs values before the last epoch"):
        with_fidelity(["random"], ["asha"], flat)
