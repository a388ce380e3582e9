"""What early stopping costs a reconcile: 10,000 ended and 500 running trials of 81 epochs.

    python -m benchmarks.early_stopping [--schedulers NAME …] [--ended N] [--running N]

CPU time of `plan` alone. Before each reconcile one trial has ended, and the values of all that run were read anew, so
that nothing is decided as before.
"""

from __future__ import annotations

import time
from argparse import ArgumentParser
from collections.abc import Iterator, Mapping
from dataclasses import replace
from random import Random
from typing import Any, Final

from kubenas.api.base import MetricValue
from kubenas.api.trial import Candidate, Point, Result, TrialSpec, TrialStatus
from kubenas.experiment.actions import Plan
from kubenas.experiment.curves import gathered
from kubenas.experiment.lifecycle import CURVE_SECONDS
from kubenas.experiment.plan import Observed, plan
from kubenas.experiment.state import Curve, Curves, Readings, Trial, moment
from kubenas.experiment.trainings import promoter_of
from tests.experiment.builders import CELL, NOW, experiment, observed, running

EPOCHS: Final = 81
# Where nothing is compared, trials come as far as with rungs at these.
LEVELS: Final = (1, 3, 9, 27)
FIDELITIES: Final[Mapping[str, Mapping[str, Any]]] = {
    "none": {},
    "asha": {"scheduler": "asha"},
    "asha, two objectives": {"scheduler": "asha"},
    "hyperband": {"scheduler": "hyperband"},
    "median": {"scheduler": "median"},
    "patience": {"scheduler": "patience"},
    "extrapolation": {"scheduler": "extrapolation"},
    "one-epoch": {"scheduler": "one-epoch"},
    "asha-promotion": {"scheduler": "asha", "mode": "promotion"},
    "pasha": {"scheduler": "pasha"},
}
# Reconciles that are timed, and before them: until all that run have a curve in their status.
ENDINGS: Final = 30
SETTLING: Final = 90


class World:
    """Trials that have ended or run, by number; who is stopped gives way to another one."""

    def __init__(self, fidelity: str, ended: int, going_on: int) -> None:
        self._rng = Random(0)
        objectives = [{"metric": "accuracy"}, {"metric": "loss", "goal": "minimize"}]
        of = experiment(
            objectives=objectives[: 2 if fidelity.endswith("two objectives") else 1],
            fidelity=FIDELITIES[fidelity],
            evaluation={"epochs": EPOCHS},
            storage={"volumeClaim": "artifacts"},
            search={"algorithm": "random"},
            trials={"max": 2 * (ended + going_on), "parallelism": going_on},
        )
        self._observed = observed(of)
        self._ledger = self._observed.ledger
        (self._stage,) = self._observed.stages
        self._promotes = promoter_of(self._stage) is not None
        self._levels = (*(self._stage.rungs or LEVELS), EPOCHS)
        self._curves: dict[int, Curve] = {}
        # Epochs that running trials have done.
        self._done: dict[int, int] = {}
        self._read: dict[str, Curves] = {}
        self.now = NOW
        for number, (begun_by, epochs) in enumerate(self._come_to(ended)):
            self._ledger.put(self._ended(number, begun_by, epochs))
        for _ in range(going_on):
            self._begin()
            self._done[len(self._ledger) - 1] = self._rng.randint(0, self._end_of_first - 1)
        # Those that are stopped at once give way.
        for _ in range(SETTLING):
            self.carry_out(plan(self.step(), self.now))

    @property
    def _end_of_first(self) -> int:
        return self._levels[0] if self._promotes else EPOCHS

    def _come_to(self, count: int) -> Iterator[tuple[int, int]]:
        """Of so many ended trials, who has begun the training, and its epochs: at each rung a third goes on."""
        kept = len(self._levels) - 1
        each = 3.0 ** (-4 / kept)
        if not self._promotes:
            for number in range(count):
                place = sum((number % 1000 + 0.5) / 1000 < each**rung for rung in range(1, kept + 1))
                yield number, self._levels[place]
            return
        first = int(count / sum(each**place for place in range(kept + 1)))
        for place, epochs in enumerate(self._levels):
            last = count - sum(int(first * each**one) for one in range(kept))
            yield from ((begun_by, epochs) for begun_by in range(last if place == kept else int(first * each**place)))

    def _curve(self, number: int) -> Curve:
        """Values after each epoch; of those that were first, the first ones are the best."""
        rng = Random(number)
        quality = 1 - number / 20_000 if self._promotes and number < 10_000 else rng.random()
        return self._curves.setdefault(
            number,
            {
                epoch: {
                    "accuracy": (1 - 0.9**epoch) * quality + rng.gauss(0, 0.001),
                    "loss": 1 / epoch - quality / 3 + rng.gauss(0, 0.1),
                }
                for epoch in range(1, EPOCHS + 1)
            },
        )

    def _begin(self) -> None:
        number = self._ledger.next_number(self._stage)
        self._ledger.put(self._new(number, number, self._end_of_first))
        self._done[number] = 0

    def _new(self, number: int, begun_by: int, end: int) -> Trial:
        candidate = Candidate(id="0", name="cell", architecture=CELL, epochs=end)
        continues = None if begun_by == number else begun_by
        spec = TrialSpec(number=number, results_seen=0, candidates=[candidate], continues=continues)
        # Curves are written at times of their own.
        started = moment(self.now - self._rng.uniform(0, CURVE_SECONDS))
        status = TrialStatus(phase="Running", pod=f"nas-{number}-1", start_time=started, gpus=1.0)
        return Trial.of(f"nas-{number}", spec, status, uid="", resource_version="1")

    def _ended(self, number: int, begun_by: int, epochs: int) -> Trial:
        curve, end = self._curve(begun_by), epochs if self._promotes else EPOCHS
        shown = [one for one in self._stage.rungs if one <= epochs]
        status = TrialStatus(
            phase="Succeeded" if epochs == end else "Pruned",
            order=self._ledger.last_order + 1,
            results=[Result(candidate="0", step=epochs, metrics=_metrics(curve[epochs]), source="TerminationMessage")],
            curve=[Point(candidate="0", step=one, metrics=_metrics(curve[one])) for one in shown],
        )
        return replace(self._new(number, begun_by, end), status=status, resource_version="2")

    def step(self) -> Observed:
        """A second later: one has ended, a twentieth has come an epoch further, and the values of all were read."""
        self.now += 1
        first = next(iter(self._ledger.unfinished))
        self._ledger.put(self._ended(first, first, self._end_of_first))
        self._begin()
        self._read.pop(f"nas-{first}-1", None)
        for trial in self._ledger.unfinished.values():
            if self._rng.random() < 0.05:
                self._done[trial.number] = min(self._done[trial.number] + 1, self._end_of_first - 1)
            curve = self._curve(trial.number)
            found = {"0": {one: curve[one] for one in range(1, self._done[trial.number] + 1)}}
            known = self._read.get(trial.attempt_name, {})
            read = gathered(known, found, trial.candidates, self._stage.required, self._stage.rungs)
            self._read[trial.attempt_name] = read
        unfinished = self._ledger.unfinished.values()
        attempts = {
            one.attempt_name: running(one, (one.status.start_time or moment(NOW)).timestamp()) for one in unfinished
        }
        readings = Readings(read_at=self.now, curves=dict(self._read))
        return replace(self._observed, attempts=attempts, readings=readings)

    def carry_out(self, todo: Plan) -> None:
        """Take in what the plan writes of trials; those that have ended give way."""
        for write in todo.write:
            self._ledger.put(replace(write.trial, status=write.status, resource_version="2"))
            if write.status.completion_time is not None:
                self._begin()


def _metrics(values: Mapping[str, float]) -> list[MetricValue]:
    return [MetricValue(name=name, value=value) for name, value in sorted(values.items())]


def lasts(fidelity: str, ended: int, going_on: int) -> list[float]:
    """Seconds of CPU that reconciles take, one after each ending."""
    world, taken = World(fidelity, ended, going_on), list[float]()
    for _ in range(ENDINGS):
        seen = world.step()
        begun = time.process_time()
        todo = plan(seen, world.now)
        taken.append(time.process_time() - begun)
        world.carry_out(todo)
    return taken


def main() -> None:
    """Print the rows of docs/benchmarks.md."""
    parser = ArgumentParser(description="What early stopping costs a reconcile.")
    parser.add_argument("--schedulers", nargs="+", default=[*FIDELITIES], choices=FIDELITIES, metavar="NAME")
    parser.add_argument("--ended", type=int, default=10_000)
    parser.add_argument("--running", type=int, default=500)
    asked = parser.parse_args()
    print("| scheduler | the first reconcile | the others: median | most |\n" + "| --- " * 4 + "|")
    for fidelity in asked.schedulers:
        first, *others = lasts(fidelity, asked.ended, asked.running)
        median, most = sorted(others)[len(others) // 2], max(others)
        print(f"| {fidelity} | {first * 1e3:.0f} ms | {median * 1e3:.1f} ms | {most * 1e3:.1f} ms |", flush=True)


if __name__ == "__main__":
    main()
