"""What searches come to: the figures of a benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, pstdev

import moocore
import numpy as np
from numpy.typing import NDArray

from kubenas.bench.run import Run
from kubenas.bench.table import Table


@dataclass(frozen=True, slots=True)
class Figures:
    """How good one algorithm is after some evaluations, over seeds; None where it does not apply.

    Attributes:
        reported_mean: of the reported value of the best by the primary goal.
        reported_std: over seeds (of the population).
        optimum_share: of seeds that report what the table's best by the primary goal has.
        hypervolume: of the evaluated, mean over seeds, in shares of the table's; None for one goal.
        seconds_per_proposal: mean over all proposals that led to these evaluations.
        epochs: that all trials together were trained by then, mean over seeds.
        epochs_to_target: the same by when the target was reported, mean over the seeds that come so far.
        seconds_to_target: on the simulated clock, mean over the same seeds.
        target_share: of seeds that come so far.
        stopped_wrongly: of seeds in which one that was not trained to the end would have become the best by it.
    """

    algorithm: str
    fidelity: str
    evaluations: int
    workers: int
    seeds: int
    reported_mean: float | None
    reported_std: float | None
    optimum_share: float
    hypervolume: float | None
    seconds_per_proposal: float | None
    epochs: float | None
    epochs_to_target: float | None
    seconds_to_target: float | None
    target_share: float | None
    stopped_wrongly: float | None


@dataclass(frozen=True, slots=True)
class Reach:
    """How soon a value is reported: the median of evaluations over the seeds that come so far, and how many do."""

    evaluations: float | None
    seeds: int


def figures(
    table: Table, runs: Mapping[str, Sequence[Run]], budgets: Sequence[int], workers: int, target: float | None = None
) -> list[Figures]:
    """One row for each search and number of evaluations."""
    measure = Hypervolume(table) if len(table.goals) > 1 else None
    return [
        _figures(table, name, of, budget, workers, measure, target) for name, of in runs.items() for budget in budgets
    ]


def _figures(
    table: Table,
    name: str,
    runs: Sequence[Run],
    budget: int,
    workers: int,
    measure: Hypervolume | None,
    target: float | None,
) -> Figures:
    algorithm, _, scheduler = name.partition("/")
    spent = [run.epochs[run.until(budget) - 1] for run in runs if run.epochs]
    needed = [place_of(table, run, budget, target) for run in runs] if target is not None else []
    reached = [(run, place) for run, place in zip(runs, needed, strict=False) if place is not None]
    curves = [reported_curve(table, run)[: run.until(budget)] for run in runs]
    ends = [curve[-1] for curve in curves if curve and curve[-1] is not None]
    laps = [lap for run in runs for lap in run.proposing[:budget]]
    return Figures(
        algorithm=algorithm,
        fidelity=scheduler or "none",
        evaluations=budget,
        workers=workers,
        seeds=len(runs),
        reported_mean=fmean(ends) if ends else None,
        reported_std=pstdev(ends) if ends else None,
        optimum_share=sum(end in table.optimum for end in ends) / len(runs),
        hypervolume=fmean(measure.share(run.rows[: run.until(budget)]) for run in runs) if measure else None,
        seconds_per_proposal=fmean(laps) if laps else None,
        epochs=fmean(spent) if spent else None,
        epochs_to_target=fmean(run.epochs[place] for run, place in reached) if reached and table.curve else None,
        seconds_to_target=fmean(run.ends[place] for run, place in reached) if reached else None,
        target_share=len(reached) / len(needed) if needed else None,
        stopped_wrongly=fmean(_stopped_wrongly(table, run, budget) for run in runs) if table.curve else None,
    )


def place_of(table: Table, run: Run, budget: int, target: float) -> int | None:
    """The place in the order of ending at which the target, or a better value, was reported; None if it never was.

    Args:
        table: that was searched.
        run: the search.
        budget: evaluations, after which nothing counts.
        target: that value.
    """
    sign = table.goals[0].sign
    for place, reported in enumerate(reported_curve(table, run)[: run.until(budget)]):
        if reported is not None and sign * reported >= sign * target:
            return place
    return None


def _stopped_wrongly(table: Table, run: Run, budget: int) -> bool:
    """Whether one that was not trained to the end would have become better than all results."""
    sign, primary, end = table.goals[0].sign, table.utilities[:, 0], run.until(budget)
    results = [sign * _come_to(table, run, place) for place, row in enumerate(run.rows[:end]) if row is not None]
    cut_short = [primary[row] for place, row in run.stopped.items() if place < end]
    cut_short += [primary[row] for place in run.early if place < end and (row := run.rows[place]) is not None]
    return bool(cut_short) and (not results or max(cut_short) > max(results))


def _come_to(table: Table, run: Run, place: int) -> float:
    """The primary goal's value of the result at a place.

    Raises:
        TypeError: there is none.
    """
    row = run.rows[place]
    if row is None:
        raise TypeError(f"no result at {place}")
    return table.seen(row, run.early.get(place, table.epochs))


def reported_curve(table: Table, run: Run) -> list[float | None]:
    """What is reported after each trial: of the best so far by the primary goal, of equal ones the earliest.

    A column that only reports is of whole trainings: of one that was ended before, it tells what its architecture would
    come to.
    """
    sign = table.goals[0].sign
    curve: list[float | None] = []
    best, reported = 0.0, None
    for place, row in enumerate(run.rows):
        if row is not None and (reported is None or sign * _come_to(table, run, place) > best):
            best = sign * _come_to(table, run, place)
            reported = table.told(row, run.early.get(place, table.epochs))
        curve.append(reported)
    return curve


def reported_by_evaluations(table: Table, run: Run) -> list[float | None]:
    """`reported_curve` after each evaluation, with what went on until the next one."""
    told: list[float | None] = []
    for place, reported in enumerate(reported_curve(table, run)):
        if place in run.continued and told:
            told[-1] = reported
        else:
            told.append(reported)
    return told


def reach(table: Table, runs: Sequence[Run], value: float) -> Reach:
    """How soon `value`, or a better one in the primary goal's direction, is reported."""
    needed = [(run, place_of(table, run, len(run.rows), value)) for run in runs]
    reached = [run.evaluations_by(place) for run, place in needed if place is not None]
    return Reach(median(reached) if reached else None, len(reached))


class Hypervolume:
    """The hypervolume of rows in shares of that of the whole table.

    Goals are normalised by the table's ranges, and the reference point is the table's worst value of each (Zitzler &
    Thiele, IEEE TEC 1999).
    """

    def __init__(self, table: Table) -> None:
        losses = -table.utilities
        low, high = losses.min(axis=0), losses.max(axis=0)
        self._points: NDArray[np.float64] = (losses - low) / np.where(high > low, high - low, 1.0)
        self._reference = np.ones(self._points.shape[1])
        self._whole = self._volume(self._points)

    def share(self, rows: Sequence[int | None]) -> float:
        """From 0 to 1; 0 where there is no row."""
        found = [row for row in rows if row is not None]
        return self._volume(self._points[found]) / self._whole if found and self._whole else 0.0

    def _volume(self, points: NDArray[np.float64]) -> float:
        return float(moocore.hypervolume(points, ref=self._reference))
