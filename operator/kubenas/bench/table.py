"""A table of measured architectures, on which a search is replayed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from kubenas.api.errors import SpecError
from kubenas.bench.rows import Rows, unique
from kubenas.bench.spaces import read_architectures
from kubenas.space.base import Architecture


@dataclass(frozen=True, slots=True)
class Goal:
    """A column to be improved."""

    column: str
    goal: Literal["maximize", "minimize"]

    @property
    def sign(self) -> int:
        """What its values are multiplied with, so that greater is better."""
        return 1 if self.goal == "maximize" else -1


@dataclass(frozen=True, slots=True)
class Rung:
    """A column with the primary goal's values after so many epochs."""

    column: str
    epochs: int


@dataclass(frozen=True, slots=True)
class Source:
    """Where a table is, and what its columns mean.

    Raises:
        SpecError: an objective is there twice, or a feature is what searches are measured by.

    Attributes:
        goals: the first is the primary one, by which the best is chosen.
        report: what is told of the best, in the primary goal's direction; a search does not see it.
        features: numbers that the predictor may learn from.
        cost: seconds of a trial; None for one second each.
        curve: the primary goal's values over epochs, the last ones those of the goal itself; empty where only these are
            known.
    """

    path: Path
    architecture: tuple[str, ...]
    space: str
    goals: tuple[Goal, ...]
    report: str | None = None
    features: tuple[str, ...] = ()
    cost: str | None = None
    curve: tuple[Rung, ...] = ()

    def __post_init__(self) -> None:
        if self.curve and self.curve[-1].column != self.goals[0].column:
            raise SpecError("--curve", f"must end with {self.goals[0].column}, the column of the first --objective")
        measured = unique([goal.column for goal in self.goals], "--objective")
        for column in self.features:
            if column in (*measured, self.report):
                raise SpecError("--features", f"{column!r} is what the searches are measured by: they must not see it")


class Table:
    """What is known of each architecture of a table.

    Raises:
        SpecError: the file, a column or a value is not as it must be.

    Attributes:
        values: (architectures, goals), with the columns' own signs.
        reported: (architectures,).
        seconds: (architectures,), what a trial takes.
        epochs: of a trial.
        curve: (architectures,) of the primary goal, by epochs before the last one.
        scores: the features, by `Space.key`; empty without any.
        repeats: rows whose architecture an earlier row has; they count for nothing.
    """

    def __init__(self, source: Source) -> None:
        rows = Rows(source.path)
        self.goals = source.goals
        values = np.array([rows.numbers(goal.column, "--objective") for goal in source.goals]).T
        reported = np.array(rows.numbers(source.report, "--report")) if source.report else values[:, 0]
        self._reports = source.report is not None
        seconds = _seconds(rows, source.cost)
        self.space, architectures = read_architectures(rows, source.architecture, source.space)
        first: dict[Architecture, int] = {}
        for row, architecture in enumerate(architectures):
            first.setdefault(architecture, row)
        kept = list(first.values())
        self.values: NDArray[np.float64] = values[kept]
        self.reported: NDArray[np.float64] = reported[kept]
        self.seconds: NDArray[np.float64] = seconds[kept]
        self.epochs = source.curve[-1].epochs if source.curve else 1
        self.curve: dict[int, NDArray[np.float64]] = {
            rung.epochs: np.array(rows.numbers(rung.column, "--curve"))[kept] for rung in source.curve[:-1]
        }
        self.repeats = len(rows) - len(kept)
        self._rows = {architecture: row for row, architecture in enumerate(first)}
        self._keys: dict[str, int] = {}
        for architecture, row in self._rows.items():
            self._keys.setdefault(self.space.key(architecture), row)
        features = list(zip(*(rows.numbers(column, "--features") for column in source.features), strict=True))
        self.scores = {key: features[kept[row]] for key, row in self._keys.items()} if features else {}

    def __len__(self) -> int:
        return len(self.values)

    def row(self, architecture: Architecture) -> int | None:
        """The row of this very architecture, else of one that computes the same; None where there is neither."""
        row = self._rows.get(architecture)
        return row if row is not None else self._keys.get(self.space.key(architecture))

    def seen(self, row: int, epochs: int) -> float:
        """The primary goal's value that a training has shown by so many epochs: the last of its curve up to there.

        Raises:
            ValueError: it has shown none yet.
        """
        if epochs >= self.epochs:
            return float(self.values[row, 0])
        return float(self.curve[max(rung for rung in self.curve if rung <= epochs)][row])

    def told(self, row: int, epochs: int) -> float:
        """What is reported of a training of so many epochs: a column of its own tells that of whole ones alone."""
        return float(self.reported[row]) if self._reports else self.seen(row, epochs)

    @property
    def utilities(self) -> NDArray[np.float64]:
        """The goals' values with their signs, so that greater is better."""
        signed: NDArray[np.float64] = self.values * [goal.sign for goal in self.goals]
        return signed

    @property
    def worst(self) -> list[float]:
        """The least of each goal."""
        return [
            float((column.min if goal.goal == "maximize" else column.max)())
            for goal, column in zip(self.goals, self.values.T, strict=True)
        ]

    @property
    def optimum(self) -> frozenset[float]:
        """What is reported of the architectures that are best by the primary goal."""
        primary = self.utilities[:, 0]
        return frozenset(self.reported[primary == primary.max()].tolist())


def _seconds(rows: Rows, column: str | None) -> NDArray[np.float64]:
    if column is None:
        return np.ones(len(rows))
    seconds = rows.numbers(column, "--cost")
    for number, value in enumerate(seconds, start=2):
        if value <= 0:
            raise rows.problem(number, f"{column} is {value:g}: the seconds of a trial must be above 0")
    return np.array(seconds)


def parse_curve(parts: Sequence[str]) -> tuple[Rung, ...]:
    """The curve in parts `COLUMN:EPOCHS`, in order of epochs.

    Raises:
        SpecError: one is written otherwise, or there are less than two.
    """
    rungs = []
    for part in parts:
        column, _, epochs = part.rpartition(":")
        if not column or not epochs.isdecimal() or not 1 <= int(epochs) <= 1_000_000:
            raise SpecError("--curve", f"{part!r} is no part of a curve: write COLUMN:EPOCHS")
        rungs.append(Rung(column, int(epochs)))
    if len(rungs) < 2 or any(after.epochs <= before.epochs for before, after in pairwise(rungs)):
        raise SpecError("--curve", "needs two columns or more, in order of their epochs")
    return tuple(rungs)


def parse_goal(text: str) -> Goal:
    """The goal in `COLUMN:maximize` or `COLUMN:minimize`.

    Raises:
        SpecError: it is written otherwise.
    """
    column, _, goal = text.rpartition(":")
    if not column or goal not in ("maximize", "minimize"):
        raise SpecError("--objective", f"{text!r} is no objective: write COLUMN:maximize or COLUMN:minimize")
    return Goal(column, "maximize" if goal == "maximize" else "minimize")
