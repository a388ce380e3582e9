"""A cluster in memory on which plans are carried out, with crashes, delays and accidents drawn from a seed.

The world holds what is written down and the pods; the controller sees it late, and forgets all when it crashes.
Whatever must never happen is asserted where it would happen.
"""

from __future__ import annotations

import hashlib
import heapq
import json
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from itertools import count
from random import Random
from typing import Any, TypeAlias

from kubenas.api.experiment import ExperimentSpec, NASExperiment
from kubenas.api.status import Cost, ExperimentStatus
from kubenas.api.trial import Candidate, TrialStatus
from kubenas.experiment.actions import NewTrial, Plan, WriteTrial
from kubenas.experiment.benchmarks import Benchmark
from kubenas.experiment.clocks import by_own_clock
from kubenas.experiment.curves import gathered
from kubenas.experiment.ledger import Ledger
from kubenas.experiment.plan import Observed, plan
from kubenas.experiment.resolution import resolve, with_strategies
from kubenas.experiment.stages import ResolvedStage, stage_of
from kubenas.experiment.state import (
    Attempt,
    AttemptPhase,
    Fault,
    Readings,
    Trial,
    Waiting,
    checkpoint_of,
    earliest,
    trial_number,
)
from kubenas.space.base import Space
from kubenas.space.load import build_space
from tests.experiment.builders import GPU, NOW

# Reconciles at one moment, after which nothing may be left to do.
RECONCILES = 1_000
RECONCILES_IN_ALL = 20_000
# Between two readings for a trial that has ended.
READ_SECONDS = 0.5
# Between two readings while trials run, where schedulers judge them.
INTERVAL = 2.0
# Until a pod's trainer runs, at most.
START_SECONDS = 3.0
# Between two reconciles the clock goes on.
CLOCK = 1e-3


# From a specification to those of its fields that a user changes.
Edit: TypeAlias = Callable[[ExperimentSpec], Mapping[str, Any]]


class CrashError(Exception):
    """The controller dies between two writes."""


class ConflictError(Exception):
    """What was to be written is no longer as it was read."""


@dataclass(frozen=True)
class Chances:
    """How often something happens: accidents per pod, crashes per write, deliveries per reconcile."""

    crash: float = 0.0
    delivery: float = 1.0
    failure: float = 0.0
    silence: float = 0.0
    disruption: float = 0.0
    pod_deletion: float = 0.0
    trial_deletion: float = 0.0
    reading: float = 1.0
    # Of a sample that is there, in each reading.
    sample: float = 1.0
    # Of a measurement on a device: that it fails, and that its node goes away in between.
    measurement_failure: float = 0.0
    away: float = 0.0
    # Seconds that a node's clock is ahead or behind at most.
    skew: float = 0.0


@dataclass
class Nodes:
    """Nodes for one pod each, which an autoscaler adds for pods that wait; a disruption takes the pod's node away."""

    most: int
    there: int = 0
    coming: int = 0


@dataclass
class Board:
    """A node that measures one candidate at a time; at times it is away, and after `last` for good."""

    there: bool = True
    last: float | None = None


PROXIES = ("nwot", "synflow")


def accuracy(candidate: Candidate) -> float:
    """What a candidate comes to, whenever it is trained."""
    return drawn(candidate.architecture, "")


def drawn(architecture: object, metric: str) -> float:
    """What a metric of an architecture comes to."""
    digest = hashlib.sha256((metric + json.dumps(architecture, sort_keys=True)).encode()).digest()
    return int.from_bytes(digest[:4], "big") / 2**32


def found(space: Space, trial: Trial) -> dict[str, Any]:
    """The architecture that a differentiable search comes to: by its seed, and so by its number."""
    return space.sample(Random(trial.name)).to_json()


def entry(space: Space, stage: ResolvedStage, trial: Trial, candidate: Candidate) -> dict[str, Any]:
    """What a trainer reports of a candidate."""
    whole: dict[str, Any] = {"candidate": candidate.id, "step": candidate.epochs or 0}
    if stage.trains_supernet:
        return {**whole, "metrics": {"loss": 1.0}}
    if stage.evaluation.method == "zero-cost":
        # One candidate in eight has no such score, as proxies make no sense for every network.
        values = {proxy: drawn(candidate.architecture, proxy) for proxy in PROXIES}
        return {**whole, "metrics": {proxy: value for proxy, value in values.items() if value > 1 / 8}}
    architecture = found(space, trial) if candidate.architecture is None else candidate.architecture
    brought = {"architecture": architecture} if candidate.architecture is None else {}
    value = drawn(architecture, "")
    if candidate.epochs != stage.epochs:
        value = learned(candidate, candidate.epochs or 0, stage.epochs or 1)
    return {**whole, **brought, "metrics": {"accuracy": value}}


def learned(candidate: Candidate, epoch: int, whole: int) -> float:
    """What a candidate has come to after so many epochs: at the end its accuracy, before a noisy part of it."""
    final = accuracy(candidate)
    return final if epoch == whole else (final + drawn(candidate.architecture, str(epoch)) / 2) * epoch / whole


class World:
    """What is written down, and the pods."""

    def __init__(self, experiment: NASExperiment, chances: Chances, rng: Random, nodes: Nodes | None = None) -> None:
        self.experiment = experiment
        self.space, self.stages = build_space(experiment.spec.search_space), resolve(experiment.spec)
        self.chances = chances
        self.rng = rng
        # Without any, each pod finds a node at once.
        self.nodes = nodes
        self.now = NOW
        self.trials: dict[int, Trial] = {}
        self.attempts: dict[str, Attempt] = {}
        self.benchmarks: dict[str, Attempt] = {}
        self.board = Board()
        self.deleted_trials = 0
        # Trials whose checkpoints were removed.
        self.removed: set[int] = set()
        self.crashes = 0
        # Whose pods or trials have changed since the controller last heard of them.
        self.unseen_attempts: set[str] = set()
        self.unseen_trials: set[int] = set()
        # When attempts end.
        self.ends: dict[str, float] = {}
        # By attempt, of which class it is, and from when to when it has run, or until the controller gave it up.
        self.classes: dict[str, str] = {}
        self.ran: dict[str, tuple[float, float | None]] = {}
        # By attempt, how far its node's clock is ahead.
        self.clocks: dict[str, float] = {}
        # What the user will yet change.
        self.edits = 0
        # Trials that were made although the budget was spent, whatever could be known.
        self.late = 0
        # Measurements that were begun although it was.
        self.measured_late = 0
        self._versions = count(1)
        self._tick = count()
        self._events: list[tuple[float, int, Callable[[], None]]] = []

    # What a controller writes

    def write_trial(self, trial: Trial, status: TrialStatus) -> Trial:
        there = self.trials.get(trial.number)
        if there is None or there.resource_version != trial.resource_version:
            raise ConflictError
        assert not there.finished, "a trial that has ended is changed"
        for result in status.results if status.phase == "Succeeded" else ():
            candidate = next(c for c in there.candidates if c.id == result.candidate)
            if status.conditions[0].reason == "NoImprovement":
                (metric,) = result.metrics
                assert metric.value == learned(candidate, result.step, candidate.epochs or 1), (
                    "a value is not what the trainer showed"
                )
                continue
            told = entry(self.space, stage_of(self.stages, there), there, candidate)
            values = {m.name: m.value for m in result.metrics}
            for one in status.measurements:
                if one.candidate == result.candidate and one.node is not None:
                    assert values.pop(one.metric) == drawn(candidate.architecture, one.metric), "no device said so"
            assert values == told["metrics"], "a result is not what the trainer reported"
            assert result.architecture == told.get("architecture"), "it has another architecture"
        changed = replace(there, status=status, resource_version=f"{next(self._versions)}")
        self.trials[trial.number] = changed
        if changed.finished and self.rng.random() < self.chances.trial_deletion:
            self._at(self.rng.uniform(0, 60), lambda: self._delete_trial(trial.number))
        return changed

    def write_status(self, status: ExperimentStatus) -> None:
        before, after = self.experiment.status.cost or Cost(), status.cost or Cost()
        hours = {one.price_class: one.hours for one in after.classes}
        assert after.gpu_hours >= before.gpu_hours, "GPU hours fall"
        assert all(hours.get(one.price_class, 0.0) >= one.hours for one in before.classes), "hours of a class fall"
        self.experiment = self.experiment.model_copy(update={"status": status})

    def create_trial(self, trial: Trial) -> Trial:
        assert trial.number not in self.trials, "a number is given twice"
        if not self.deleted_trials:
            needed = {*(c.resume_from for c in trial.candidates), trial.supernet} - {None}
            gone = {
                checkpoint_of("nas", number, c.id) for number in self.removed for c in self.trials[number].candidates
            }
            assert not needed & gone, "what a trial goes on from was removed"
        if trial.continues is not None:
            self._goes_on(trial)
        self.late += self._is_spent()
        self.trials[trial.number] = replace(trial, resource_version=f"{next(self._versions)}")
        return self.trials[trial.number]

    def remove(self, trials: Collection[int]) -> None:
        """Checkpoints of trials; what was removed before, too."""
        assert all(self.trials[number].finished for number in trials if number in self.trials), "of one that runs"
        assert self.deleted_trials or self.removed <= {*trials}, "what was removed is needed again"
        self.removed |= {*trials}

    def _goes_on(self, trial: Trial) -> None:
        """Check that a trial goes on from the end of the one before, and nobody else does."""
        (only,) = trial.candidates
        before = self.trials.get(trial_number((only.resume_from or "").partition("/")[0]))
        # One that was deleted has left its checkpoint.
        if before is not None:
            assert before.status.phase == "Succeeded", "there may be no checkpoint to go on from"
            assert before.candidates[0].architecture == only.architecture
            assert (before.candidates[0].epochs or 0) < (only.epochs or 0)
            assert trial.continues == before.begun_by
        twice = [t.name for t in self.trials.values() if t.continues == trial.continues if t.candidates == (only,)]
        assert not twice, "a training is promoted twice"

    def start(self, trial: Trial) -> Attempt | None:
        name = trial.attempt_name
        if trial.number not in self.trials:
            return None  # collected at once, as its owner is gone
        if name in self.attempts:
            return self.attempts[name]
        alive = [a for a in self.attempts.values() if a.phase is not AttemptPhase.ENDED]
        trials = self.experiment.spec.trials
        if trials.autoscale is None:
            assert len(alive) < trials.parallelism, "more pods than allowed"
        else:
            assert len(alive) < trials.autoscale.max, "more pods than allowed"
            assert len(self.pending) < trials.autoscale.max_pending, "more pods without a node than allowed"
        assert all(a.trial != trial.name for a in alive), "two attempts of a trial at once"
        self.classes[name] = self.experiment.spec.trial_template.after(trial.status.disruptions)[-1].price_class
        self.attempts[name] = Attempt(
            name, trial.name, AttemptPhase.WAITING, created=self.now, devices=GPU, price_class=self.classes[name]
        )
        if self.nodes is None:
            self._at(self.rng.uniform(0, START_SECONDS), lambda: self._run(name, trial))
        else:
            self._at(0.0, self._schedule)
        if self.rng.random() < self.chances.pod_deletion:
            self._at(self.rng.uniform(0, 20), lambda: self.stop(name))
        return self.attempts[name]

    def measure(self, made: Benchmark) -> Attempt | None:
        if made.trial.number not in self.trials:
            return None
        if made.name not in self.benchmarks:
            alive = [one for one in self.benchmarks.values() if one.phase is not AttemptPhase.ENDED]
            assert not alive, "two candidates are measured at once"
            self.measured_late += self._is_spent()
            device = made.objective.measured_on
            assert device is not None
            self.classes[made.name] = device.price_class or ""
            self.benchmarks[made.name] = Attempt(
                made.name,
                made.trial.name,
                AttemptPhase.WAITING,
                created=self.now,
                benchmark=made.number,
                devices=GPU if device.asked else {},
                price_class=device.price_class,
            )
            self._at(self.rng.uniform(0, 3), lambda: self._take(made))
        return self.benchmarks[made.name]

    def _take(self, made: Benchmark) -> None:
        """Run a benchmark, as soon as the board is there."""
        one = self.benchmarks.get(made.name)
        if one is None or one.phase is not AttemptPhase.WAITING or one.gone_by is not None:
            return
        if self.board.last is not None and self.now > self.board.last:
            self.board.there = False
        if not self.board.there:
            self._measured(made.name, waiting=Waiting("Unschedulable", "the board is away", one.created))
            if self.board.last is None:
                self._at(self.rng.uniform(0, 300), lambda: self._return(made))
            return
        if not self.deleted_trials:
            assert trial_number(made.trial.name) not in self.removed, "what is to be measured was removed"
        assert made.name not in self.ran or self.deleted_trials, "an attempt at a measurement is made twice"
        self.ran[made.name] = (self.now, None)
        self._measured(made.name, phase=AttemptPhase.RUNNING, started=self.now, node="board", waiting=None)
        self._at(self.rng.uniform(0, 20), lambda: self._answer(made))
        if self.rng.random() < self.chances.away:
            self._at(self.rng.uniform(0, 20), lambda: self._board_leaves(made))

    def _return(self, made: Benchmark) -> None:
        self.board.there = True
        self._take(made)

    def _board_leaves(self, made: Benchmark) -> None:
        """The board goes away, with what it measures."""
        self.board.there = False
        one = self.benchmarks.get(made.name)
        if one is not None and one.phase is AttemptPhase.RUNNING:
            self.paid(made.name)
            lost = Fault("NodeLost", "the board is away")
            self._measured(made.name, phase=AttemptPhase.ENDED, ended=self.now, exit_code=137, disruption=lost)

    def _answer(self, made: Benchmark) -> None:
        one = self.benchmarks.get(made.name)
        if one is None or one.phase is not AttemptPhase.RUNNING:
            return
        candidate = next(each for each in made.trial.candidates if each.id == made.candidate)
        value = drawn(candidate.architecture, made.objective.metric)
        self.paid(made.name)
        failed = self.rng.random() < self.chances.measurement_failure
        message = "boom" if failed else json.dumps({made.objective.metric: value})
        self._measured(made.name, phase=AttemptPhase.ENDED, ended=self.now, exit_code=int(failed), message=message)

    def _measured(self, name: str, **changes: object) -> None:
        self.benchmarks[name] = replace(self.benchmarks[name], **changes)  # type: ignore[arg-type]
        self.unseen_attempts.add(name)

    @property
    def pending(self) -> list[str]:
        """Pods without a node, the oldest first."""
        waiting = (a for a in self.attempts.values() if _waits(a) and a.gone_by is None)
        return [a.name for a in sorted(waiting, key=lambda a: a.created)]

    def stop(self, name: str) -> None:
        if name in self.benchmarks:
            if self.benchmarks[name].gone_by is None:
                self._measured(name, gone_by=self.now + 30)
                self._at(self.rng.uniform(0, 10), lambda: self._forget_benchmark(name))
            return
        attempt = self.attempts.get(name)
        if attempt is None or attempt.gone_by is not None:
            return
        self._change(name, gone_by=self.now + 30)
        # One that no node has is gone at once.
        at_once = attempt.phase is AttemptPhase.ENDED or (self.nodes is not None and _waits(attempt))
        grace = 0.0 if at_once else self.rng.uniform(0, 10)
        self._at(grace, lambda: self._forget(name))

    def seconds(self) -> dict[str, float]:
        """How long pods of each class have run."""
        found: dict[str, float] = {}
        for name, (start, end) in self.ran.items():
            found[self.classes[name]] = found.get(self.classes[name], 0.0) + (self.now if end is None else end) - start
        return found

    def paid(self, name: str) -> None:
        """Nothing is to be paid of an attempt from now on."""
        start, end = self.ran.get(name, (self.now, self.now))
        if end is None:
            self.ran[name] = (start, self.now)

    def _told(self, name: str) -> float:
        """What time it is, as an attempt's node says."""
        return self.now + self.clocks.get(name, 0.0)

    def change_budget(self, after: float, **changes: float) -> None:
        """Have the user change the budget in a while."""

        self._at(after, lambda: self._edit(lambda spec: {"budget": spec.budget.model_copy(update=changes)}))

    def change(self, after: float, edit: Edit) -> None:
        """Have the user change the specification in a while; the simulation goes on until then."""
        self.edits += 1

        def change() -> None:
            self.edits -= 1
            self._edit(edit)

        self._at(after, change)

    def _edit(self, edit: Edit) -> None:
        spec = self.experiment.spec
        self.experiment = self.experiment.model_copy(update={"spec": spec.model_copy(update=edit(spec))})

    @property
    def unknown(self) -> float:
        """Seconds of an attempt that its node's clock may hide: a trainer starts some time after its pod is made."""
        return START_SECONDS if self.chances.skew else 0.0

    def _is_spent(self) -> bool:
        budget, known = self.experiment.spec.budget, self.seconds()
        for name in self.ran:
            known[self.classes[name]] -= self.unknown
        cost = sum(seconds / 3600 * budget.prices.get(name, 0.0) for name, seconds in known.items())
        hours = sum(known.values()) / 3600
        return cost >= (budget.cost or 1e9) or hours >= (budget.gpu_hours or 1e9)

    # What happens by itself

    def step(self, until: float | None) -> bool:
        """Go on to the next event, or to `until` if that comes before; whether anything is left to come."""
        if self._events and (until is None or self._events[0][0] <= until):
            self.now, _, event = heapq.heappop(self._events)
            event()
            return True
        if until is None:
            return False
        self.now = max(until, self.now + CLOCK)
        return True

    def curves(self) -> dict[str, dict[str, dict[int, dict[str, float]]]]:
        """Values of all attempts that have reached their end, as Prometheus has them; and of others those at rungs."""
        trials = {trial.name: trial for trial in self.trials.values()}
        found: dict[str, dict[str, dict[int, dict[str, float]]]] = {}
        for name, one in self.attempts.items():
            if one.trial not in trials:
                continue
            trial = trials[one.trial]
            if one.exit_code == 0:
                found[name] = {c.id: {c.epochs or 0: self._values(trial, c)} for c in trial.candidates}
            for candidate, epoch in self.reached(one, trial):
                if self.rng.random() < self.chances.sample:
                    whole = stage_of(self.stages, trial).epochs or 1
                    values = {"accuracy": learned(candidate, epoch, whole), "epoch": float(epoch)}
                    found.setdefault(name, {}).setdefault(candidate.id, {})[epoch] = values
        return found

    def reached(self, attempt: Attempt, trial: Trial) -> list[tuple[Candidate, int]]:
        """The rungs that each candidate of an attempt has come to by now: they train one after another."""
        rungs = stage_of(self.stages, trial).rungs
        if attempt.started is None or attempt.name not in self.ends or not rungs:
            return []
        until = self.now if attempt.ended is None else attempt.ended - self.clocks.get(attempt.name, 0.0)
        started = self.ran[attempt.name][0]
        share = (until - started) / max(1e-9, self.ends[attempt.name] - started)
        done = share * sum(candidate.epochs or 0 for candidate in trial.candidates)
        found = []
        for candidate in trial.candidates:
            found += [(candidate, rung) for rung in rungs if rung <= done]
            done -= candidate.epochs or 0
        return found

    def _values(self, trial: Trial, candidate: Candidate) -> dict[str, float]:
        told = entry(self.space, stage_of(self.stages, trial), trial, candidate)
        return {**told["metrics"], "epoch": told["step"]}

    def _at(self, delay: float, event: Callable[[], None]) -> None:
        heapq.heappush(self._events, (self.now + delay, next(self._tick), event))

    def _change(self, name: str, **changes: object) -> None:
        self.attempts[name] = replace(self.attempts[name], **changes)  # type: ignore[arg-type]
        self.unseen_attempts.add(name)

    def _forget_benchmark(self, name: str) -> None:
        self.paid(name)
        self.benchmarks.pop(name, None)
        self.unseen_attempts.add(name)

    def _forget(self, name: str) -> None:
        self.paid(name)
        self.attempts.pop(name, None)
        self.unseen_attempts.add(name)
        if self.nodes is not None:
            self._at(0.0, self._schedule)

    def _delete_trial(self, number: int) -> None:
        trial = self.trials.pop(number)
        self.deleted_trials += 1
        self.unseen_trials.add(number)
        for name in [n for n, a in self.attempts.items() if a.trial == trial.name]:
            self._forget(name)
        for name in [n for n, a in self.benchmarks.items() if a.trial == trial.name]:
            self._forget_benchmark(name)

    def _schedule(self) -> None:
        """Give each node a pod, and ask for a node for each pod that is left."""
        assert self.nodes is not None
        held = sum(a.scheduled is not None and a.phase is not AttemptPhase.ENDED for a in self.attempts.values())
        pending = self.pending
        for name in pending[: max(0, self.nodes.there - held)]:
            trial = self.trials[trial_number(self.attempts[name].trial)]
            self._change(name, scheduled=self.now, waiting=None)
            self._at(self.rng.uniform(0, START_SECONDS), partial(self._run, name, trial))
        for name in pending[max(0, self.nodes.there - held) :]:
            if self.attempts[name].waiting is None:
                self._change(name, waiting=Waiting("Unschedulable", "no node", self.attempts[name].created))
        while self.nodes.coming < min(len(self.pending), self.nodes.most - self.nodes.there):
            self.nodes.coming += 1
            self._at(self.rng.uniform(30, 120), self._node_comes)

    def _node_comes(self) -> None:
        assert self.nodes is not None
        self.nodes.coming -= 1
        self.nodes.there += 1
        self._schedule()

    def _run(self, name: str, trial: Trial) -> None:
        if name in self.attempts:
            if self.chances.skew:
                self.clocks[name] = self.rng.uniform(-self.chances.skew, self.chances.skew)
            self._change(name, phase=AttemptPhase.RUNNING, started=self._told(name))
            self.ran[name] = (self.now, None)
            if self.classes[name] != "on-demand" and self.rng.random() < self.chances.disruption:
                self._at(self.rng.uniform(0, 20), lambda: self._disrupt(name))
            takes = self.rng.uniform(0, 20)
            self.ends[name] = self.now + takes
            self._at(takes, lambda: self._end(name, trial))

    def _disrupt(self, name: str) -> None:
        if name in self.attempts and self.attempts[name].phase is AttemptPhase.RUNNING:
            self._change(name, disruption=Fault("EvictionByEvictionAPI", "drained"))
            if self.nodes is not None:
                self.nodes.there -= 1
            self._at(1.0, lambda: self._end(name, None))

    def _end(self, name: str, trial: Trial | None) -> None:
        attempt = self.attempts.get(name)
        if attempt is None or attempt.phase is AttemptPhase.ENDED:
            return
        if trial is None:
            exit_code, message = 143, ""
        elif self.rng.random() < self.chances.failure:
            exit_code, message = 1, '{"error": {"reason": "TrainerError", "message": "boom"}}'
        else:
            exit_code = 0
            stage = stage_of(self.stages, trial)
            values = [entry(self.space, stage, trial, c) for c in trial.candidates]
            message = "" if self.rng.random() < self.chances.silence else json.dumps({"results": values})
        self.paid(name)
        self._change(name, phase=AttemptPhase.ENDED, ended=self._told(name), exit_code=exit_code, message=message)
        if self.nodes is not None:
            self._at(0.0, self._schedule)


class Controller:
    """Sees the world, late, and carries out what is planned, until it crashes."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.stages = self._read()
        self.ledger = Ledger(world.space, self.stages)
        trials = list(world.trials.values())
        world.rng.shuffle(trials)
        for trial in trials:
            self.ledger.put(trial)
        self.attempts: dict[str, Attempt] = {}
        for name in world.attempts:
            self._see(name)
        self.benchmarks = dict(world.benchmarks)
        self.readings = Readings()
        world.unseen_attempts.clear()
        world.unseen_trials.clear()

    def _read(self) -> tuple[ResolvedStage, ...]:
        self.spec = self.world.experiment.spec
        stages, problems = with_strategies(resolve(self.spec), self.world.space, guarded=False)
        assert not problems
        return stages

    def observed(self) -> Observed:
        if self.spec is not self.world.experiment.spec:
            self.stages = self._read()
        attempts, benchmarks = dict(self.attempts), dict(self.benchmarks)
        return Observed(self.world.experiment, self.stages, self.ledger, attempts, self.readings, benchmarks)

    def hear(self, chance: float) -> bool:
        """Take in what has changed, each change with a chance; whether there was any."""
        world, heard = self.world, False
        for name in sorted(world.unseen_attempts):
            if world.rng.random() < chance:
                heard = True
                world.unseen_attempts.remove(name)
                self._see(name)
                if name in world.benchmarks:
                    self.benchmarks[name] = world.benchmarks[name]
                else:
                    self.benchmarks.pop(name, None)
        for number in sorted(world.unseen_trials):
            if world.rng.random() < chance:
                heard = True
                world.unseen_trials.remove(number)
                self.ledger.remove(number)
                for name in [n for n in self.readings.curves if n.startswith(f"nas-{number}-")]:
                    del self.readings.curves[name]
        return heard

    def _see(self, name: str) -> None:
        """Take in what there is of an attempt."""
        there, known = self.world.attempts.get(name), self.attempts.pop(name, None)
        if there is not None:
            self.attempts[name] = by_own_clock(known, there, self.world.now)

    def reconcile(self) -> tuple[Plan, bool]:
        """One reconcile; the plan, and whether there was anything to do."""
        seen, now = self.observed(), self.world.now
        todo = plan(seen, now)
        assert plan(seen, now) == todo, "asked twice, it answers differently"
        try:
            self._carry_out(todo)
        except ConflictError:
            self.hear(1.0)
        steps = (todo.write, todo.stop, todo.start, todo.create, todo.measure)
        acted = any(steps) or todo.status is not None
        return todo, acted

    def read(self) -> None:
        if self.world.rng.random() < self.world.chances.reading:
            curves = dict(self.readings.curves)
            trials = {trial.attempt_name: trial for trial in self.ledger.unfinished.values()}
            for name, read in self.world.curves().items():
                if name in trials:
                    rungs = stage_of(self.stages, trials[name]).rungs
                    curves[name] = gathered(curves.get(name, {}), read, trials[name].candidates, (), rungs)
            self.readings = Readings(read_at=self.world.now, curves=curves)
        else:
            self.readings = replace(self.readings, fault=Fault("PrometheusUnreachable", "no answer"))

    def _carry_out(self, todo: Plan) -> None:
        """All steps in any order, as answers come in any order, and the status last."""
        steps = [
            *(partial(self._write, write) for write in todo.write),
            *(partial(self._stop, attempt) for attempt in todo.stop),
            *(partial(self._start, trial) for trial in todo.start),
            *(partial(self._create, new) for new in todo.create),
            *([partial(self._remove, todo.remove.trials)] if todo.remove else []),
            *(partial(self._measure, made) for made in todo.measure),
        ]
        self.world.rng.shuffle(steps)
        for step in steps:
            step()
        if todo.status is not None:
            self._may_crash()
            self.world.write_status(todo.status)

    def _write(self, write: WriteTrial) -> None:
        self._may_crash()
        self._keeps_values(write)
        self.ledger.put(self.world.write_trial(write.trial, write.status))

    def _keeps_values(self, write: WriteTrial) -> None:
        """Check that a trial that a budget stops keeps the last values that were read of it."""
        if write.status.phase != "Pruned" or write.status.conditions[0].reason != "BudgetExhausted":
            return
        kept = {result.candidate: result.step for result in write.status.results}
        for candidate, curve in self.readings.curves.get(write.trial.attempt_name, {}).items():
            assert kept[candidate] == max(curve), "a value that was read is lost"

    def _stop(self, attempt: Attempt) -> None:
        self._may_crash()
        self.world.paid(attempt.name)
        self.world.stop(attempt.name)
        if attempt.benchmark is not None:
            self.benchmarks[attempt.name] = self.world.benchmarks.get(attempt.name, attempt)
        elif attempt.name in self.world.attempts:
            self._see(attempt.name)
        elif attempt.name in self.attempts:
            # That it is gone is not heard of yet.
            self.attempts[attempt.name] = replace(attempt, gone_by=self.world.now)

    def _create(self, new: NewTrial) -> None:
        self._may_crash()
        written = self.world.create_trial(Trial.new(new.name, new.spec))
        self.ledger.put(written)
        self._start(written)

    def _remove(self, trials: Collection[int]) -> None:
        self._may_crash()
        self.world.remove(trials)

    def _measure(self, made: Benchmark) -> None:
        self._may_crash()
        attempt = self.world.measure(made)
        if attempt is not None:
            self.benchmarks[made.name] = attempt

    def _start(self, trial: Trial) -> None:
        self._may_crash()
        if self.world.start(trial) is not None:
            self._see(trial.attempt_name)

    def _may_crash(self) -> None:
        if self.world.rng.random() < self.world.chances.crash:
            raise CrashError


def run(
    experiment: NASExperiment,
    chances: Chances,
    seed: int,
    nodes: Nodes | None = None,
    budgets: Sequence[tuple[float, Mapping[str, float]]] = (),
    edits: Sequence[tuple[float, Edit]] = (),
) -> World:
    """The world once the experiment in it has ended.

    Args:
        budgets: what of the budget the user changes, each after so many seconds.
        edits: what else of the specification, likewise; all of them are made.
    """
    world = World(experiment, chances, Random(seed), nodes)
    for after, changes in budgets:
        world.change_budget(after, **changes)
    for after, edit in edits:
        world.change(after, edit)
    controller = Controller(world)
    for _ in range(RECONCILES_IN_ALL):
        try:
            controller.hear(chances.delivery)
            todo = settle(controller)
        except CrashError:
            world.crashes += 1
            controller = Controller(world)
            continue
        over = world.experiment.status.completion_time is not None and not world.edits
        if over and not alive(world.attempts | world.benchmarks):
            return world
        if controller.hear(0.5) or world.unseen_attempts or world.unseen_trials:
            continue
        wake_at = todo.wake_at
        if todo.read_now:
            controller.read()
            wake_at = world.now + READ_SECONDS
        elif todo.reading and any(stage.rungs for stage in world.stages):
            controller.read()
            wake_at = earliest(wake_at, world.now + INTERVAL)
        if not world.step(wake_at):
            raise AssertionError("the experiment hangs: nothing is left that could happen")
    raise AssertionError("the experiment does not end")


def settle(controller: Controller) -> Plan:
    """Reconcile until there is nothing to do: then nothing must be left to write, however often it is asked."""
    for _ in range(RECONCILES):
        todo, acted = controller.reconcile()
        if not acted:
            assert not controller.reconcile()[1]
            return todo
        controller.world.now += CLOCK
    raise AssertionError("there is always something to do")


def _waits(attempt: Attempt) -> bool:
    """Whether no node has it."""
    return attempt.phase is AttemptPhase.WAITING and attempt.scheduled is None


def alive(attempts: Mapping[str, Attempt]) -> bool:
    return any(a.phase is not AttemptPhase.ENDED for a in attempts.values())
