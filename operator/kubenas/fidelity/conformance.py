"""What every scheduler must hold to: for those of KubeNAS, and of others.

    from kubenas.fidelity.conformance import conforms

    def test_mine():
        conforms(lambda: Mine(81, min_epochs=1), 81)

What it has broken is told by an AssertionError.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from random import Random

from kubenas.fidelity.base import Scheduler, Stop, Training, Value, highest
from kubenas.fidelity.curves import RungCurves


def _expect(holds: bool, problem: str) -> None:
    if not holds:
        raise AssertionError(problem)


@dataclass
class Told:
    """What samples have told of a stage's candidates, in whatever order they came."""

    curves: RungCurves = field(default_factory=RungCurves)

    def sample(self, training: Training, epoch: int, value: Value) -> None:
        """Take in one."""
        self.curves.put(training, {**self.curves.get(training, {}), epoch: value})


def curves_at(
    rng: Random, rungs: tuple[int, ...], objectives: int = 1, epochs: int | None = None
) -> dict[Training, dict[int, Value]]:
    """Curves of some candidates, as far as each has come: some to the end, where that is said."""
    rungs = (*rungs, epochs) if epochs else rungs
    found: dict[Training, dict[int, Value]] = {}
    for number in range(rng.randint(1, 12)):
        curve = {}
        for rung in rungs[: rng.randint(1, len(rungs))]:
            # So few different ones that some are equal.
            values = tuple(rng.randint(-20, 20) / 10 for _ in range(objectives))
            curve[rung] = Value((min(0.0, rng.randint(-4, 4) / 2), values[0]), values)
        found[Training(number, "0")] = curve
    return found


def conforms(
    make: Callable[[], Scheduler], epochs: int, *, first: int = 1, objectives: int = 1, examples: int = 200
) -> None:
    """Check a scheduler.

    Args:
        make: a new one, each time with the same settings.
        epochs: of a whole training.
        first: epochs before which it stops nothing.
        objectives: how many are traded off.
        examples: how many curves to try.

    Raises:
        AssertionError: it does not conform.
    """
    rungs = make().rungs
    _expect(list(rungs) == sorted(set(rungs)), "rungs are not ascending")
    _expect(bool(rungs), "it has no rung")

    for number in range(examples):
        rng = Random(number)
        curves = RungCurves(curves_at(rng, rungs, objectives, epochs))
        running = {training for training, curve in curves.items() if epochs not in curve}
        answer = make().stops(curves, running)
        _is_bounded(make(), curves, answer, first)
        _is_a_function_of_what_is_known(make, curves, running, answer, rng)
        _does_not_guess(make, curves, running, rng)


def _is_bounded(scheduler: Scheduler, curves: RungCurves, answer: Mapping[Training, Stop], first: int) -> None:
    _expect(answer.keys() <= curves.keys(), "what does not run is stopped")
    for training, stop in answer.items():
        _expect(stop.epoch == highest(curves[training], scheduler.rungs), "it is not judged at its highest rung")
        _expect(stop.epoch >= first, "it is stopped before the first rung")
        _expect(bool(stop.why), "nothing says why")
    _expect(scheduler.stops(curves, ()) == {}, "what does not run is stopped")


def _is_a_function_of_what_is_known(
    make: Callable[[], Scheduler],
    curves: RungCurves,
    running: Collection[Training],
    answer: Mapping[Training, Stop],
    rng: Random,
) -> None:
    """The same samples in any order, some of them twice, lead to the same answer, whatever was asked in between."""
    samples = [(training, epoch, value) for training, curve in curves.items() for epoch, value in curve.items()]
    samples += rng.choices(samples, k=len(samples) // 2)
    rng.shuffle(samples)
    told, scheduler = Told(), make()
    asked = rng.sample(range(len(samples)), min(3, len(samples)))
    for number, sample in enumerate(samples):
        told.sample(*sample)
        if number in asked:
            anew = make().stops(RungCurves(told.curves), running)
            _expect(scheduler.stops(told.curves, running) == anew, "it remembers what was asked before")
    _expect(scheduler.stops(told.curves, running) == answer, "the order of samples matters")


def _does_not_guess(
    make: Callable[[], Scheduler], curves: RungCurves, running: Collection[Training], rng: Random
) -> None:
    """Who was not seen at a rung is not stopped there; values that the scheduler has no rung for change nothing."""
    training = rng.choice(sorted(curves))
    unseen = RungCurves({**curves, training: {}})
    _expect(training not in make().stops(unseen, curves.keys()), "a candidate is stopped of which nothing is known")
    between = next(epoch for epoch in range(1, 10**6) if epoch not in make().rungs)
    objectives = len(next(iter(curves[training].values())).values)
    strange = Value((0.0, 99.0), (99.0,) * objectives)
    noisy = RungCurves({one: {**curve, between: strange} for one, curve in curves.items()})
    _expect(make().stops(noisy, running) == make().stops(curves, running), "another epoch counts as a rung")
