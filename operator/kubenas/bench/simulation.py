"""One search on a table, through the operator's own plan loop on a simulated clock."""

from __future__ import annotations

import heapq
import json
from dataclasses import dataclass, field, replace
from itertools import count
from random import Random
from time import perf_counter
from typing import Final

from kubenas.api.experiment import NASExperiment
from kubenas.api.fidelity import Fidelity
from kubenas.bench.run import Run
from kubenas.bench.table import Table
from kubenas.experiment.actions import NewTrial, Plan, WriteTrial
from kubenas.experiment.ledger import Ledger
from kubenas.experiment.plan import Observed, plan
from kubenas.experiment.resolution import resolve
from kubenas.experiment.state import Attempt, AttemptPhase, Readings, Trial
from kubenas.search.base import History, Strategy
from kubenas.space.base import Architecture

# When simulated experiments begin, in seconds since the epoch.
BEGIN: Final = 1_000_000_000.0


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


def simulate(
    table: Table,
    strategy: Strategy,
    evaluations: int,
    workers: int,
    scheduler: str = "none",
    eta: int | None = None,
    top: int | None = None,
) -> Run:
    """Search `table` until so many candidates have been tried, or the space is used up.

    A trial takes the table's seconds, evenly over its epochs; one whose architecture the table lacks fails at once.
    What the table's curve has is read when a trial has come so far, and `scheduler`, whose first rung is the first of
    the curve, may then stop it.

    Args:
        table: to be searched.
        strategy: that proposes.
        evaluations: candidates.
        workers: that run at the same time.
        scheduler: one that a specification may name, `asha-promotion` for the promoting mode of asha, or none.
        eta: of a scheduler that has one; None for its default.
        top: of a scheduler that has one; None for its default.
    """
    fidelity = fidelity_of(scheduler, min(table.curve) if scheduler != "none" else None, eta, top)
    backend = _Backend(table, strategy, _experiment(table, evaluations, workers, fidelity))
    backend.run()
    return Run(
        backend.rows,
        backend.strategy.laps,
        backend.stopped,
        backend.epochs if table.curve else (),
        backend.ends,
        backend.continued,
        backend.early,
    )


@dataclass(frozen=True, slots=True, order=True)
class _Event:
    """When an attempt has come to some epochs; at the last of its own it ends."""

    time: float
    number: int
    name: str = field(compare=False)
    row: int | None = field(compare=False)
    epochs: int = field(compare=False)


class _Backend:
    """Trials and attempts in memory: an attempt runs from its creation, and ends by itself."""

    def __init__(self, table: Table, strategy: Strategy, experiment: NASExperiment) -> None:
        self.rows: list[int | None] = []
        self.stopped: dict[int, int] = {}
        self.epochs: list[float] = []
        self.ends: list[float] = []
        self.continued: set[int] = set()
        self.early: dict[int, int] = {}
        self.strategy = Stopwatch(strategy)
        self._table = table
        self._experiment = experiment
        spec = self._experiment.spec
        self._stages = [replace(stage, strategy=self.strategy) for stage in resolve(spec)]
        self._ledger = Ledger(table.space, self._stages)
        self._attempts: dict[str, Attempt] = {}
        self._now = BEGIN
        self._version = count(1)
        self._readings = Readings(source="Pod")
        self._events: list[_Event] = []
        # Of running attempts, and the epochs of those that have ended.
        self._rows: dict[str, int | None] = {}
        self._spent = 0.0
        # Epochs from and to which attempts train, and those that a row's architecture has come to.
        self._from: dict[str, int] = {}
        self._until: dict[str, int] = {}
        self._reached: dict[int, int] = {}

    def run(self) -> None:
        """Go from event to event until nothing runs."""
        self._settle()
        while self._events:
            event = heapq.heappop(self._events)
            if event.name not in self._rows:
                continue  # it was stopped
            self._now = event.time
            if event.epochs < self._until[event.name] and event.row is not None:
                value = float(self._table.curve[event.epochs][event.row])
                known = self._readings.curves.get(event.name, {}).get("0", {})
                self._readings.curves[event.name] = {"0": {**known, event.epochs: {_metric(0): value}}}
            else:
                self._attempts[event.name] = self._ended(self._attempts[event.name], event.row, event.epochs)
                self._finish(event.name, event.row, event.epochs)
            self._settle()

    def _finish(self, name: str, row: int | None, epochs: int) -> None:
        """Note that a trial has come to its last epoch, which may be one that it waits at to be promoted."""
        if row is not None:
            self._spent += epochs - self._from[name]
            self._reached[row] = epochs
        if row is not None and epochs < self._table.epochs:
            self.stopped[len(self.rows)] = row
            row = None
        self._end(name, row)

    def _end(self, name: str, row: int | None) -> None:
        """Note that a trial has come to this."""
        del self._rows[name]
        if self._from[name] > 0:
            self.continued.add(len(self.rows))
        running = sum(map(self._trained, self._rows))
        self.rows.append(row)
        self.epochs.append(round(self._spent + running, 3))
        self.ends.append(self._now - BEGIN)

    def _trained(self, name: str) -> float:
        """Epochs that a running attempt has added."""
        row, started = self._rows[name], self._attempts[name].started
        if row is None or started is None:
            return 0.0
        epochs = (self._now - started) / float(self._table.seconds[row]) * self._table.epochs
        return min(epochs, self._until[name] - self._from[name])

    def _settle(self) -> None:
        """Carry out plans until there is nothing to do; between two ends nothing happens that would wake the loop."""
        while True:
            observed = Observed(self._experiment, self._stages, self._ledger, self._attempts, self._readings)
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
        written = replace(write.trial, status=write.status, resource_version=str(next(self._version)))
        name, row = written.attempt_name, self._rows.get(written.attempt_name)
        if written.finished and row is not None:
            self._spent += self._trained(name)
            if written.status.phase == "Succeeded":
                self.early[len(self.rows)] = max(self._readings.curves[name]["0"])
                self._end(name, row)
            else:
                self.stopped[len(self.rows)] = row
                self._end(name, None)
        self._ledger.put(written)
        self._readings.forget(written)

    def _create(self, new: NewTrial) -> None:
        spec = new.spec
        version = next(self._version)
        trial = Trial.new(new.name, spec, resource_version=str(version))
        self._ledger.put(trial)
        name = trial.attempt_name
        self._attempts[name] = Attempt(name, trial.name, AttemptPhase.RUNNING, created=self._now, started=self._now)
        candidate = spec.candidates[0]
        row = self._table.row(self._table.space.parse(candidate.architecture or {}))
        self._rows[name] = row
        # One that goes on from a checkpoint adds to what its architecture has been trained before.
        start = self._from[name] = self._reached[row] if candidate.resume_from and row is not None else 0
        end = self._until[name] = candidate.epochs or self._table.epochs
        seconds = 0.0 if row is None else float(self._table.seconds[row])
        between = [epochs for epochs in self._table.curve if start < epochs < end and row is not None]
        for epochs in (*between, end):
            due = self._now + seconds * (epochs - start) / self._table.epochs
            heapq.heappush(self._events, _Event(due, version, name, row, epochs))

    def _ended(self, attempt: Attempt, row: int | None, epochs: int) -> Attempt:
        if row is None:
            document: dict[str, object] = {"error": {"reason": "NotInTable", "message": "the table has no such row"}}
        else:
            values = [self._table.seen(row, epochs), *self._table.values[row, 1:].tolist()]
            metrics = {_metric(index): value for index, value in enumerate(values)}
            document = {"results": [{"candidate": "0", "step": epochs, "metrics": metrics}]}
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


def fidelity_of(scheduler: str, first: int | None = None, eta: int | None = None, top: int | None = None) -> Fidelity:
    """The specification of a scheduler by its name here.

    Args:
        scheduler: see `simulate`.
        first: its first rung, in epochs; None for its default.
        eta: of one that has one; None for its default.
        top: of one that has one; None for its default.
    """
    name, mode = ("asha", {"mode": "promotion"}) if scheduler == "asha-promotion" else (scheduler, {})
    settings: dict[str, object] = {"scheduler": name, **mode} | ({"minEpochs": first} if first is not None else {})
    has = Fidelity.model_validate(settings).resolved()
    given = {"eta": eta, "top": top}
    settings |= {name: value for name, value in given.items() if value is not None and getattr(has, name) is not None}
    return Fidelity.model_validate(settings)


def _experiment(table: Table, evaluations: int, workers: int, fidelity: Fidelity) -> NASExperiment:
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
                "evaluation": {"epochs": table.epochs},
                "fidelity": fidelity.model_dump(by_alias=True, exclude_none=True),
                "trials": {"max": evaluations, "parallelism": workers, "retries": 0, "maxFailures": 100_000},
            },
        }
    )
