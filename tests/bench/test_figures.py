from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubenas.bench.figures import Hypervolume, figures, reach, reported_curve
from kubenas.bench.run import Run
from kubenas.bench.table import Goal, Source, Table
from tests.bench.tables import write

# A row's number is its place in this list.
MEASURED = [
    # arch, accuracy, latency, test
    ("a", 0.5, 1.0, 60.0),
    ("b", 0.9, 9.0, 90.0),
    ("c", 0.7, 5.0, 95.0),
    ("d", 0.9, 8.0, 80.0),
]
PRIMARY = Goal("accuracy", "maximize")
LATENCY = Goal("latency", "minimize")


def table(folder: Path, *goals: Goal) -> Table:
    path = write(folder / "t.csv", MEASURED, ("arch", "accuracy", "latency", "test"))
    return Table(Source(path, ("arch",), "choices", goals or (PRIMARY,), "test"))


def run(*rows: int | None) -> Run:
    return Run(rows, [0.25] * len(rows))


def test_the_reported_value_is_that_of_the_best_so_far_the_earliest_of_equals(tmp_path: Path) -> None:
    curve = reported_curve(table(tmp_path), run(None, 0, 2, 3, 1))
    assert curve == [None, 60.0, 95.0, 80.0, 80.0]


def test_a_minimized_goal_is_best_where_it_is_least(tmp_path: Path) -> None:
    assert reported_curve(table(tmp_path, LATENCY), run(1, 3, 0, 2)) == [90.0, 80.0, 60.0, 60.0]


def test_figures_are_of_all_seeds_after_so_many_evaluations(tmp_path: Path) -> None:
    two, four = figures(table(tmp_path), {"x": [run(0, 2, 1, 3), run(2, 0, 3, 1)]}, [2, 4], 8)
    assert (two.algorithm, two.evaluations, two.workers, two.seeds) == ("x", 2, 8, 2)
    assert (two.reported_mean, two.reported_std, two.optimum_share) == (95.0, 0.0, 0.0)
    assert (four.reported_mean, four.reported_std, four.optimum_share) == (85.0, 5.0, 1.0)
    assert (four.hypervolume, four.seconds_per_proposal) == (None, 0.25)


def test_a_search_of_failures_reports_nothing(tmp_path: Path) -> None:
    (row,) = figures(table(tmp_path, PRIMARY, LATENCY), {"x": [run(None, None)]}, [2], 1)
    assert (row.reported_mean, row.reported_std, row.optimum_share, row.hypervolume) == (None, None, 0.0, 0.0)


def test_hypervolume_is_of_the_worst_values_and_in_shares_of_the_table(tmp_path: Path) -> None:
    measure = Hypervolume(table(tmp_path, PRIMARY, LATENCY))
    # Normalised: a is on no area, c covers .5 x .5, d covers 1 x .125; c and d share .5 x .125.
    assert measure.share([2, 3]) == pytest.approx(1.0)
    assert measure.share([2]) == pytest.approx(0.25 / (0.25 + 0.0625))
    assert measure.share([0, 1]) == 0.0


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.lists(st.one_of(st.none(), st.integers(0, 3))))
def test_hypervolume_never_falls(tmp_path: Path, rows: list[int | None]) -> None:
    measure = Hypervolume(table(tmp_path, PRIMARY, LATENCY))
    shares = [measure.share(rows[:count]) for count in range(len(rows) + 1)]
    assert shares == sorted(shares)
    assert shares[-1] <= 1.0


def test_reaching_a_value_takes_the_median_over_the_seeds_that_come_so_far(tmp_path: Path) -> None:
    of = [run(0, 2), run(2), run(0, 0, 0, 2), run(0)]
    found = reach(table(tmp_path), of, 95.0)
    assert (found.evaluations, found.seeds) == (2, 3)
    assert reach(table(tmp_path), of, 96.0).evaluations is None
    assert reach(table(tmp_path, LATENCY), [run(1, 3)], 85.0).evaluations == 2
