"""Spot nodes under a search: an autoscaler makes them for pods that wait, the cloud takes them back at any time.

The same world and controller as in `tests.experiment.simulation`, but trials take as long as their architectures do,
train on from checkpoints, and each moment is accounted for.
"""

from __future__ import annotations

import csv
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial
from itertools import count
from pathlib import Path
from random import Random

from kubenas.api.experiment import NASExperiment
from kubenas.api.trial import Candidate
from kubenas.experiment.state import AttemptPhase, Fault, Trial, Waiting, trial_number
from tests.experiment.simulation import Chances, Controller, CrashError, Nodes, World, alive, drawn, settle

Length = Callable[[Candidate], float]
TICKS = 200_000


@dataclass(frozen=True)
class Pool:
    """Spot nodes for one pod each. All times are in seconds.

    Attributes:
        most: nodes that there can be.
        life: mean time until a node is taken back, exponentially distributed; None for nodes that stay.
        notice: share of nodes whose pods are told before, and checkpoint; the others vanish.
        join: shortest and longest time from a pod that waits to a node for it.
        start: … from a pod's node to its training: images, data.
        empty: a node without a pod is removed after so long.
        checkpoint_every: training between two checkpoints.
    """

    most: int
    life: float | None
    notice: float = 0.5
    join: tuple[float, float] = (40.0, 90.0)
    start: tuple[float, float] = (2.0, 10.0)
    empty: float = 30.0
    checkpoint_every: float = 60.0


@dataclass
class Account:
    """What nodes were used for.

    Attributes:
        node_seconds: that nodes were there.
        trained: seconds of training, whatever became of it.
        interruptions: pods whose node was taken back.
        lost: seconds of training that each interruption of a pod that trained has cost.
        trained_of: seconds of training by trial.
        filled: when nine tenths of the pods that may train did for the first time.
        last_start: when a trial last began that had not trained before.
        spans: when each pod trained, from and to.
    """

    node_seconds: float = 0.0
    trained: float = 0.0
    interruptions: int = 0
    lost: list[float] = field(default_factory=list)
    trained_of: dict[str, float] = field(default_factory=dict)
    filled: float | None = None
    last_start: float = 0.0
    spans: list[tuple[float, float]] = field(default_factory=list)

    def training(self, since: float, until: float) -> float:
        """Pods that trained at a time, on average over a span."""
        inside = sum(max(0.0, min(end, until) - max(begin, since)) for begin, end in self.spans)
        return inside / (until - since)


@dataclass
class Node:
    """One node: since when it is there, its pod, and since when it has none."""

    born: float
    pod: str | None = None
    empty_since: float = 0.0


class PooledWorld(World):
    """What is written down, the pods, and the nodes they are on."""

    def __init__(
        self, experiment: NASExperiment, chances: Chances, rng: Random, pool: Pool, length: Length, slots: int
    ) -> None:
        super().__init__(experiment, chances, rng, Nodes(pool.most))
        self.pool, self.length, self.slots = pool, length, slots
        self.machines: dict[int, Node] = {}
        self.account = Account()
        # Of each trial: seconds of training that a checkpoint has.
        self.saved: dict[str, float] = {}
        self._empty: dict[int, None] = {}
        self._training: dict[str, float] = {}
        self._place: dict[str, int] = {}
        self._numbers = count()
        self._coming = 0

    def advance(self, tick: float, wake_at: float | None) -> None:
        """Go on by so many seconds, or to when something happens or is due, if that comes later."""
        due = [self._events[0][0]] if self._events else []
        due += [] if wake_at is None else [wake_at]
        assert due, "the experiment hangs: nothing is left that could happen"
        until = max(self.now + tick, min(due))
        while self._events and self._events[0][0] <= until:
            self.step(None)
        self.now = until

    def _schedule(self) -> None:
        waiting = self.pending
        placed = 0
        for name in waiting[: len(self._empty)]:
            number = next(iter(self._empty))
            del self._empty[number]
            self.machines[number].pod = name
            self._place[name] = number
            self._change(name, scheduled=self.now, waiting=None)
            trial = self.trials[trial_number(self.attempts[name].trial)]
            self._at(self.rng.uniform(*self.pool.start), partial(self._run, name, trial))
            placed += 1
        for name in waiting[placed:]:
            if self.attempts[name].waiting is None:
                self._change(name, waiting=Waiting("Unschedulable", "no node", self.attempts[name].created))
        while self._coming < min(len(waiting) - placed, self.pool.most - len(self.machines)):
            self._coming += 1
            self._at(self.rng.uniform(*self.pool.join), self._node_comes)

    def _node_comes(self) -> None:
        self._coming -= 1
        number = next(self._numbers)
        self.machines[number] = Node(self.now)
        if self.pool.life is not None:
            self._at(self.rng.expovariate(1 / self.pool.life), lambda: self._take_back(number))
        self._vacate(number)
        self._schedule()

    def _vacate(self, number: int) -> None:
        """A node has no pod: it takes the next one, or is removed after a while."""
        node = self.machines.get(number)
        if node is not None:
            node.pod, node.empty_since = None, self.now
            self._empty[number] = None
            self._at(self.pool.empty, lambda: self._remove_empty(number, node.empty_since))

    def _remove_empty(self, number: int, since: float) -> None:
        node = self.machines.get(number)
        if node is not None and node.pod is None and node.empty_since == since <= self.now - self.pool.empty:
            self._remove(number)

    def _remove(self, number: int) -> None:
        node = self.machines.pop(number)
        self._empty.pop(number, None)
        self.account.node_seconds += self.now - node.born

    def _take_back(self, number: int) -> None:
        """The cloud wants the node: its pod is told and checkpoints, or is gone with all since the last checkpoint."""
        node = self.machines.get(number)
        if node is None:
            return
        name = node.pod
        self._remove(number)
        if name is None or name not in self.attempts:
            return
        self.account.interruptions += 1
        if self.rng.random() < self.pool.notice:
            self._change(name, disruption=Fault("TerminationByKubelet", "the node is shut down"))
            self._pause(name, everything=True)
            self._end(name, None)
        else:
            self._pause(name, everything=False)
            # Until the cluster notices, the pod looks as if it ran.
            self._at(self.rng.uniform(5, 60), lambda: self._forget(name))

    def _run(self, name: str, trial: Trial) -> None:
        there = self._place.get(name) in self.machines and name in self.attempts
        if not there or self.attempts[name].phase is not AttemptPhase.WAITING:
            return
        self._change(name, phase=AttemptPhase.RUNNING, started=self.now)
        self._training[name] = self.now
        if trial.status.attempt == 1:
            self.account.last_start = self.now
        if self.account.filled is None and len(self._training) >= 0.9 * self.slots:
            self.account.filled = self.now
        left = sum(map(self.length, trial.candidates)) - self.saved.get(trial.name, 0.0)
        self.ends[name] = self.now + left
        self._at(left, lambda: self._finish(name, trial))

    def _finish(self, name: str, trial: Trial) -> None:
        # Not one whose name another pod has by now.
        if name in self._training and self.ends[name] == self.now:
            self._pause(name, everything=True)
            self._end(name, trial)

    def _pause(self, name: str, *, everything: bool) -> None:
        """A pod trains no longer: what it has trained is in a checkpoint, or what it had until the last one."""
        begun = self._training.pop(name, None)
        if begun is None:
            return
        trial, done = self.attempts[name].trial, self.now - begun
        kept = done if everything else done // self.pool.checkpoint_every * self.pool.checkpoint_every
        self.saved[trial] = self.saved.get(trial, 0.0) + kept
        if self.now < self.ends[name]:
            self.account.lost.append(done - kept)
        self.account.trained += done
        self.account.trained_of[trial] = self.account.trained_of.get(trial, 0.0) + done
        self.account.spans.append((begun, self.now))

    def _end(self, name: str, trial: Trial | None) -> None:
        super()._end(name, trial)
        self._leave(name)

    def _forget(self, name: str) -> None:
        if name in self.attempts:
            self._pause(name, everything=False)
            self._leave(name)
        super()._forget(name)

    def _leave(self, name: str) -> None:
        number = self._place.pop(name, None)
        if number is not None:
            self._vacate(number)


def search(
    experiment: NASExperiment, pool: Pool, length: Length, chances: Chances, seed: int, tick: float = 2.0
) -> PooledWorld:
    """The world once the experiment in it has ended and its nodes are gone.

    Args:
        tick: seconds between two looks of the controller, which handles together what has happened.
    """
    trials = experiment.spec.trials
    slots = min(trials.autoscale.max if trials.autoscale else trials.parallelism, pool.most)
    world = PooledWorld(experiment, chances, Random(seed), pool, length, slots)
    controller = Controller(world)
    for _ in range(TICKS):
        try:
            controller.hear(chances.delivery)
            todo = settle(controller)
        except CrashError:
            world.crashes += 1
            controller = Controller(world)
            continue
        if world.experiment.status.completion_time is not None and not alive(world.attempts) and not world.machines:
            return world
        unheard = world.unseen_attempts or world.unseen_trials
        world.advance(tick, world.now if unheard else todo.wake_at)
    raise AssertionError("the search does not end, or its nodes stay")


def measured_lengths(table: Path, mean: float) -> Length:
    """Each architecture of NAS-Bench-201 takes as long as its inference on an edge GPU does, scaled to a mean.

    Args:
        table: nasbench201_latency.csv, of HW-NAS-Bench (Li et al., ICLR 2021, arXiv:2103.10584).
        mean: seconds, over all architectures.
    """
    digits = {"skip_connect": "0", "none": "1", "nor_conv_3x3": "2", "nor_conv_1x1": "3", "avg_pool_3x3": "4"}
    with table.open(newline="", encoding="utf-8") as file:
        latency = {row["ops"]: float(row["cifar10_edgegpu_latency"]) for row in csv.DictReader(file)}
    scale = mean / (sum(latency.values()) / len(latency))

    def length(candidate: Candidate) -> float:
        edges = candidate.architecture or {}
        return scale * latency["".join(digits[str(edges[edge])] for edge in sorted(edges))]

    return length


def drawn_lengths(mean: float) -> Length:
    """Each architecture takes between half and one and a half of the mean, in seconds."""
    return lambda candidate: mean * (0.5 + drawn(candidate.architecture, "length"))
