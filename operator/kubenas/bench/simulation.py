"""One search on a table, through the operator's own plan loop on a simulated clock."""

from __future__ import annotations

import heapq
import json
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import count
from random import Random
from time import perf_counter
from typing import Final

from kubenas.api.experiment import NASExperiment
from kubenas.bench.table import Table
from kubenas.experiment.actions import NewTrial, Plan, WriteTrial
from kubenas.experiment.ledger import Ledger
from kubenas.experiment.plan import Observed, plan
from kubenas.experiment.stages import resolve
from kubenas.experiment.state import Attempt, AttemptPhase, Readings, Trial
from kubenas.search.base import History, Strategy
from kubenas.space.base import Architecture

# When simulated experiments begin, in seconds since the epoch.
BEGIN: Final = 1_000_000_000.0
# The termination message is the exact final value, so nothing is read while trials run.
_READINGS: Final = Readings(source="Pod")


@dataclass(frozen=True, slots=True)
class Run:
    """One search.

    Attributes:
        rows: of the evaluated architectures, in order of ending; None for one that the table lacks.
        proposing: seconds that each proposal took, in order.
    """

    rows: Sequence[int | None]
    proposing: Sequence[float]


class Stopwatch(Strategy):
    """A strategy that notes how long each proposal takes, slow work included."""

    def __init__(self, strategy: Strategy) -> None:
        super().__init__(strategy.space, strategy.seed)
        self._strategy = strategy
        self.laps: list[float] = []

    def propose(self, history: History, count: int) -> list[Architecture]:
        """What the strategy proposes."""
        began = perf_counter()
        proposals = self._strategy.propose(history, count)
        lap = (perf_counter() - began) / max(1, len(proposals))
        self.laps += [lap] * len(proposals)
        return proposals

    def next(self, history: History, rng: Random) -> Architecture | None:
        """What the strategy would try next."""
        return self._strategy.next(history, rng)


def simulate(table: Table, strategy: Strategy, evaluations: int, workers: int) -> Run:
    """Search `table` until so many trials have ended, or the space is used up.

    A trial takes the table's seconds; one whose architecture the table lacks fails at once.
    """
    backend = _Backend(table, strategy, evaluations, workers)
    backend.run()
    return Run(backend.rows, backend.strategy.laps)


class _Backend:
    """Trials and attempts in memory: an attempt runs from its creation, and ends by itself."""

    def __init__(self, table: Table, strategy: Strategy, evaluations: int, workers: int) -> None:
        self.rows: list[int | None] = []
        self.strategy = Stopwatch(strategy)
        self._table = table
        self._experiment = _experiment(table, evaluations, workers)
        spec = self._experiment.spec
        self._stages = [replace(stage, strategy=self.strategy) for stage in resolve(spec)]
        self._ledger = Ledger(table.space, self._stages)
        self._attempts: dict[str, Attempt] = {}
        self._now = BEGIN
        self._version = count(1)
        # (end, attempt's number, its name, the row)
        self._ends: list[tuple[float, int, str, int | None]] = []

    def run(self) -> None:
        """Go from end to end until nothing runs."""
        self._settle()
        while self._ends:
            self._now, _, name, row = heapq.heappop(self._ends)
            self._attempts[name] = self._ended(self._attempts[name], row)
            self.rows.append(row)
            self._settle()

    def _settle(self) -> None:
        """Carry out plans until there is nothing to do; between two ends nothing happens that would wake the loop."""
        while True:
            observed = Observed(self._experiment, self._stages, self._ledger, self._attempts, _READINGS)
            todo = plan(observed, self._now)
            if not (todo.write or todo.stop or todo.start or todo.create or todo.status):
                return
            self._carry_out(todo)

    def _carry_out(self, todo: Plan) -> None:
        for write in todo.write:
            self._write(write)
        for attempt in todo.stop:
            del self._attempts[attempt.name]
        for new in todo.create:
            self._create(new)
        if todo.status is not None:
            self._experiment = self._experiment.model_copy(update={"status": todo.status})

    def _write(self, write: WriteTrial) -> None:
        self._ledger.put(replace(write.trial, status=write.status, resource_version=str(next(self._version))))

    def _create(self, new: NewTrial) -> None:
        spec = new.spec
        version = next(self._version)
        trial = Trial.new(new.name, spec, resource_version=str(version))
        self._ledger.put(trial)
        name = trial.attempt_name
        self._attempts[name] = Attempt(name, trial.name, AttemptPhase.RUNNING, created=self._now, started=self._now)
        row = self._table.row(self._table.space.parse(spec.candidates[0].architecture or {}))
        seconds = 0.0 if row is None else float(self._table.seconds[row])
        heapq.heappush(self._ends, (self._now + seconds, version, name, row))

    def _ended(self, attempt: Attempt, row: int | None) -> Attempt:
        if row is None:
            document: dict[str, object] = {"error": {"reason": "NotInTable", "message": "the table has no such row"}}
        else:
            values = self._table.values[row].tolist()
            metrics = {_metric(index): value for index, value in enumerate(values)}
            document = {"results": [{"candidate": "0", "step": 1, "metrics": metrics}]}
        return replace(
            attempt,
            phase=AttemptPhase.ENDED,
            ended=self._now,
            exit_code=1 if row is None else 0,
            message=json.dumps(document),
        )


def _metric(index: int) -> str:
    # A column may have any name, a metric may not.
    return f"objective_{index}"


def _experiment(table: Table, evaluations: int, workers: int) -> NASExperiment:
    return NASExperiment.model_validate(
        {
            "metadata": {"name": "table"},
            "apiVersion": "kubenas.io/v1alpha1",
            "kind": "NASExperiment",
            "spec": {
                "objectives": [{"metric": _metric(i), "goal": goal.goal} for i, goal in enumerate(table.goals)],
                "task": {"name": "table"},
                # The loop knows the space by its ledger only.
                "searchSpace": {"parameters": [{"name": "row", "type": "int", "min": 1, "max": len(table)}]},
                "evaluation": {"epochs": 1},
                "trials": {"max": evaluations, "parallelism": workers, "retries": 0, "maxFailures": 100_000},
            },
        }
    )
