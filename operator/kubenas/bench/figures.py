"""What searches come to: the figures of a benchmark."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from statistics import fmean, median, pstdev

import moocore
import numpy as np
from numpy.typing import NDArray

from kubenas.bench.simulation import Run
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
        stopped_wrongly: of seeds whose best architecture by the whole training was stopped before its end.
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
    spent = [run.epochs[min(budget, len(run.epochs)) - 1] for run in runs if run.epochs]
    needed = [place_of(table, run, budget, target) for run in runs] if target is not None else []
    reached = [(run, place) for run, place in zip(runs, needed, strict=False) if place is not None]
    ends = [curve[-1] for run in runs if (curve := reported_curve(table, run)[:budget]) and curve[-1] is not None]
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
        hypervolume=fmean(measure.share(run.rows[:budget]) for run in runs) if measure else None,
        seconds_per_proposal=fmean(laps) if laps else None,
        epochs=fmean(spent) if spent else None,
        epochs_to_target=fmean(run.epochs[place] for run, place in reached) if reached and table.curve else None,
        seconds_to_target=fmean(run.ends[place] for run, place in reached) if reached else None,
        target_share=len(reached) / len(needed) if needed else None,
        stopped_wrongly=fmean(_stopped_wrongly(table, run, budget) for run in runs) if table.curve else None,
    )


def place_of(table: Table, run: Run, budget: int, target: float) -> int | None:
    """The place in the order of ending at which the target, or a better value, was reported; None if it never was."""
    sign = table.goals[0].sign
    for place, reported in enumerate(reported_curve(table, run)[:budget]):
        if reported is not None and sign * reported >= sign * target:
            return place
    return None


def _stopped_wrongly(table: Table, run: Run, budget: int) -> bool:
    """Whether one that was stopped would have become better than all that were not."""
    primary = table.utilities[:, 0]
    whole = [primary[row] for row in run.rows[:budget] if row is not None]
    stopped = [primary[row] for place, row in run.stopped.items() if place < budget]
    return bool(stopped) and (not whole or max(stopped) > max(whole))


def reported_curve(table: Table, run: Run) -> list[float | None]:
    """What is reported after each evaluation: of the best so far by the primary goal, of equal ones the earliest."""
    primary = table.utilities[:, 0]
    curve: list[float | None] = []
    best: int | None = None
    for row in run.rows:
        if row is not None and (best is None or primary[row] > primary[best]):
            best = row
        curve.append(None if best is None else float(table.reported[best]))
    return curve


def reach(table: Table, runs: Sequence[Run], value: float) -> Reach:
    """How soon `value`, or a better one in the primary goal's direction, is reported."""
    needed = [place_of(table, run, len(run.rows), value) for run in runs]
    reached = [place + 1 for place in needed if place is not None]
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
