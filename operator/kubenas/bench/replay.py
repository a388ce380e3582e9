"""A peer's search on a table, on a simulated clock."""

from __future__ import annotations

import heapq
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

from kubenas.bench.peers import Asked, Peer
from kubenas.bench.run import Run
from kubenas.bench.table import Table

# Proposals outside the space's constraints in a row, before the peer is held to know no other.
REFUSALS: Final = 100


def replay(table: Table, peer: Peer, evaluations: int, workers: int) -> Run:
    """Search `table` until so many evaluations have been asked for, a constant number of trials running.

    A trial in which a training goes on is no further evaluation; a repeated architecture is one. One outside the
    space's constraints costs none: it is told at once to be as bad as the table's worst, so that the peer learns of
    them.

    A trial takes the table's seconds, evenly over its epochs; one that goes on from a checkpoint those of the epochs
    that it adds. The peer is told of what the table's curve has when a trial has come so far, and may then stop it.
    """
    running = _Replay(table, peer)
    while True:
        while len(running.trials) < workers and running.begun < evaluations:
            if not running.begin():
                evaluations = running.begun
        if not running.trials:
            epochs = running.epochs if table.curve else ()
            return Run(running.rows, running.laps, running.stopped, epochs, running.ends, running.continued)
        running.step()


@dataclass(frozen=True, slots=True)
class _Trial:
    """One that runs.

    Attributes:
        end: epochs at which it ends.
    """

    asked: Asked
    row: int | None
    began: float
    end: int


@dataclass
class _Replay:
    """What has happened so far; the attributes of the same names are those of `Run`."""

    table: Table
    peer: Peer
    rows: list[int | None] = field(default_factory=list)
    laps: list[float] = field(default_factory=list)
    stopped: dict[int, int] = field(default_factory=dict)
    epochs: list[float] = field(default_factory=list)
    ends: list[float] = field(default_factory=list)
    continued: set[int] = field(default_factory=set)
    asked: int = 0
    begun: int = 0
    now: float = 0.0
    trials: dict[int, _Trial] = field(default_factory=dict)
    spent: float = 0.0
    # When a trial has come to some epochs; time, number of the trial, epochs.
    events: list[tuple[float, int, int]] = field(default_factory=list)

    def begin(self) -> bool:
        """Begin what the peer asks for next; whether there is something."""
        before = perf_counter()
        asked = self._ask()
        if asked is None:
            return False
        self.laps.append(perf_counter() - before)
        self.asked += 1
        self.begun += asked.start == 0
        row = self.table.row(asked.architecture)
        trial = _Trial(asked, row, self.now, asked.end or self.table.epochs)
        self.trials[self.asked] = trial
        between = [rung for rung in self.table.curve if asked.start < rung < trial.end and row is not None]
        for epochs in (*between, trial.end):
            heapq.heappush(self.events, (self.now + self._seconds(trial, epochs), self.asked, epochs))
        return True

    def step(self) -> None:
        """Go on to the next thing that happens."""
        time, number, epochs = heapq.heappop(self.events)
        trial = self.trials.get(number)
        if trial is None:
            return  # it was stopped
        self.now = time
        token, row = trial.asked.token, trial.row
        if row is None:
            self.peer.tell(token, None)
            self._end(number, None)
        elif epochs == self.table.epochs:
            self.peer.tell(token, self.table.values[row].tolist())
            self._end(number, row)
        elif epochs == trial.end:
            self.peer.tell(token, [self.table.seen(row, epochs)])
            self._stop(number, row)
        elif not self.peer.report(token, epochs, self.table.seen(row, epochs)):
            self._stop(number, row)

    def _ask(self) -> Asked | None:
        for _ in range(REFUSALS):
            asked = self.peer.ask()
            if asked is None or self.table.space.allows(asked.architecture):
                return asked
            self.peer.tell(asked.token, self.table.worst)
        return None

    def _stop(self, number: int, row: int) -> None:
        self.stopped[len(self.rows)] = row
        self._end(number, None)

    def _end(self, number: int, row: int | None) -> None:
        ended = self.trials.pop(number)
        self.spent += self._trained(ended)
        if ended.asked.start > 0:
            self.continued.add(len(self.rows))
        self.rows.append(row)
        self.epochs.append(round(self.spent + sum(map(self._trained, self.trials.values())), 3))
        self.ends.append(self.now)

    def _seconds(self, trial: _Trial, epochs: int) -> float:
        """From the trial's begin to so many epochs."""
        if trial.row is None:
            return 0.0
        return float(self.table.seconds[trial.row]) * (epochs - trial.asked.start) / self.table.epochs

    def _trained(self, trial: _Trial) -> float:
        """Epochs that a trial has added by now."""
        if trial.row is None:
            return 0.0
        share = (self.now - trial.began) / float(self.table.seconds[trial.row])
        return min(share * self.table.epochs, trial.end - trial.asked.start)
