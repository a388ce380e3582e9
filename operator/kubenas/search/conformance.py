"""What every strategy must hold to, as checks that a strategy's own tests call; third parties' too.

Example:
    def test_conforms() -> None:
        check_strategy(lambda space, seed: MyStrategy(space, seed))
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from hashlib import sha256
from random import Random
from typing import Final, TypeAlias

from kubenas.scores.combine import combined
from kubenas.search.base import Comparison, History, Observation, Score, Strategy
from kubenas.space.base import Architecture, Space
from kubenas.space.conformance import require
from kubenas.space.decisions import Decision, When
from kubenas.space.domains import Choice, Float, Int, Ordinal
from kubenas.space.parameters import parameter_space
from kubenas.space.presets.nasbench201 import NASBench201

Build: TypeAlias = Callable[[Space, int], Strategy]

PARALLELISM: Final = 8

TINY: Final = parameter_space({"operation": Choice(("a", "b", "c")), "layers": Int(1, 4, "linear")})
CONDITIONAL: Final = Space(
    [
        Decision("depth", Ordinal((1, 2, 3))),
        Decision("kernel.0", Ordinal((3, 5, 7))),
        Decision("kernel.1", Ordinal((3, 5, 7)), When("depth", frozenset({2, 3}))),
        Decision("kernel.2", Ordinal((3, 5, 7)), When("depth", frozenset({3}))),
        Decision("width", Int(8, 64, "log")),
    ],
    [lambda architecture: int(architecture["width"]) * int(architecture["depth"]) <= 96],
)
MIXED: Final = parameter_space(
    {"operation": Choice(("a", "b")), "width": Int(8, 512, "log"), "rate": Float(1e-5, 1.0, "log")}
)


@dataclass(frozen=True, slots=True)
class Case:
    """A search to check.

    Attributes:
        objectives: how many are to be improved.
        earlier: results that are known before it begins.
        features: proxies of architectures that are known before it begins.
        pool: what it is to choose from.
        relative: whether scores are those of training-free scores, which change with each result.
    """

    space: Space
    seed: int
    objectives: int = 1
    earlier: tuple[Observation, ...] = ()
    features: Mapping[Architecture, Sequence[float]] = field(default_factory=dict)
    pool: tuple[Observation, ...] = ()
    relative: bool = False

    @property
    def history(self) -> History:
        """That of the search before its first proposal."""
        return History(self.space, self.earlier, self.pool, self.compared, self.features)

    @property
    def compared(self) -> Comparison | None:
        """What makes the scores among all results."""
        return _compared if self.relative else None

    def after(self, count: int) -> Case:
        """The same search after at most so many earlier results: those that failed are left out."""
        rng, found = Random(f"{self.seed}/{count}"), dict[str, Architecture]()
        for _ in range(count):
            architecture = self.space.sample(rng)
            found.setdefault(self.space.key(architecture), architecture)
        outcomes = [_outcome(self, architecture) for architecture in found.values()]
        return replace(self, earlier=tuple(one for one in outcomes if one.score is not None))

    def choosing(self, count: int) -> Case:
        """The same search from a pool of at most so many architectures, whose proxies are known."""
        pool = replace(self, seed=self.seed + 1).after(count).earlier
        return replace(self, pool=pool, features={one.architecture: (one.known_score[1],) for one in pool})

    def scored(self, count: int) -> Case:
        """The same search where proxies of at most so many architectures are known: odd numbers, and missing ones."""
        rng, numbers = Random(f"{self.seed}/scored"), (float("nan"), float("-inf"), -1e308, 0.0, 3.0, 1e308)
        scored = [self.space.sample(rng) for _ in range(count)]
        return replace(
            self, features={one: (float(index), rng.choice(numbers), float("nan")) for index, one in enumerate(scored)}
        )


CASES: Final = (
    Case(NASBench201(), 0),
    Case(NASBench201(), 1, objectives=2),
    Case(MIXED, 0),
    Case(CONDITIONAL, 1),
    Case(CONDITIONAL, 0, objectives=2),
    Case(NASBench201(), 2, relative=True),
    Case(CONDITIONAL, 2, objectives=2, relative=True),
)


def check_strategy(build: Build, trials: int = 40, every: int = 1) -> None:
    """All checks of this module, on spaces of their own.

    Args:
        build: makes the strategy for a space and a seed.
        trials: of each search.
        every: at how many steps the answer of a strategy with a past is compared with that of a new one; 1 is all.

    Raises:
        AssertionError: the strategy breaks a promise of `Strategy`; the message says which.
    """
    for case in CASES:
        check_pure(build, case, trials, every)
        check_distinct(build, case, trials)
        check_failures(build, case, trials)
        check_seed_matters(build, case)
    check_exhaustion(build, Case(TINY, 0))
    for case in (
        Case(NASBench201(), 0).after(40).scored(60),
        Case(NASBench201(), 1).choosing(25),
        Case(CONDITIONAL, 1, objectives=2).after(20),
        Case(MIXED, 1, relative=True).after(20),
    ):
        check_pure(build, case, trials, every)
        check_distinct(build, case, trials)
        check_failures(build, case, trials)
    check_exhaustion(build, Case(TINY, 0).after(12).scored(6))
    check_exhaustion(build, Case(TINY, 0).choosing(6))
    for case in hostile():
        check_distinct(build, case, PARALLELISM + 2)


def hostile() -> Iterator[Case]:
    """Searches after earlier results, or proxies, that tell little: few, equal, infeasible, odd numbers, too many."""
    numbers = (float("-inf"), -1e308, -0.0, 5e-324, 1e308, float("inf"))
    for objectives in (1, 2):
        case = Case(MIXED, 0, objectives)
        yield from (case.after(count) for count in (1, 3))
        some = case.after(20)
        yield _rescored(some, [(0.0, 1.0)] * 20)
        yield _rescored(some, [(-1.0 - number, float(number)) for number in range(20)])
        yield _rescored(some, [(0.0, number) for number in numbers * 4])
    yield Case(MIXED, 1).after(10_000)
    yield from (Case(MIXED, 0, objectives).scored(count) for objectives, count in ((1, 1), (2, 20)))


def _rescored(case: Case, scores: Sequence[Score]) -> Case:
    """The same with other scores of the earlier results."""
    earlier = zip(case.earlier, scores, strict=False)
    rescored = tuple(replace(one, score=score, values=(score[1],) * case.objectives) for one, score in earlier)
    return replace(case, earlier=rescored)


def asked(strategy: Strategy, history: History, count: int) -> list[Architecture]:
    """What a strategy proposes; where it is to make a request first, that is made here and now."""
    work = strategy.preparation(history, count)
    if work is not None and work.waits:
        strategy.accept(work, work.result())
    return strategy.propose(history, count)


def check_pure(build: Build, case: Case, trials: int, every: int) -> None:
    """After every proposal and result, one made a moment ago answers as the one that lived through it all.

    The history of the new one is read from JSON objects in another order, as after a restart; it is asked one by one
    where the other is asked for several at once, and has its work prepared where the other does it itself. In the
    end the one with a past is asked about the middle of it once more.
    """
    lived = build(case.space, case.seed)
    answers: list[tuple[History, list[Architecture]]] = []
    for step, history in enumerate(_search(lived, case, trials)):
        if step % every:
            continue
        answer = asked(lived, _copy(case, history), PARALLELISM)
        copied, fresh = _copy(case, history), build(case.space, case.seed)
        if work := fresh.preparation(copied, PARALLELISM):
            fresh.accept(work, work.result())
        singly = [one for _ in range(PARALLELISM) for one in fresh.propose(copied, 1)]
        require(answer == singly, f"at {history.proposed}: {answer} with a past, {singly} without")
        answers.append((history, answer))
    history, answer = answers[len(answers) // 2]
    again = asked(lived, _copy(case, history), PARALLELISM)
    require(again == answer, f"at {history.proposed}: {answer} at first, {again} after a later history")


def check_distinct(build: Build, case: Case, trials: int) -> None:
    """Proposals belong to the space, constraints included; are pending; and none repeats another by key."""
    history = case.history
    for history in _search(build(case.space, case.seed), case, trials):
        require(history.distinct == history.proposed, f"proposal {history.proposed} repeats an earlier one")
        for architecture in history.pending:
            require(case.space.parse(architecture.to_json()) == architecture, f"{architecture!r} is outside the space")
    require(history.proposed == trials, f"{history.proposed} proposals instead of {trials}")


def check_failures(build: Build, case: Case, trials: int) -> None:
    """It goes on where every trial fails."""
    history, strategy = case.history, build(case.space, case.seed)
    for number in range(trials):
        proposals = asked(strategy, history, 1)
        require(len(proposals) == 1, f"no proposal after {number} failures")
        history.observe(Observation(proposals[0], None))


def check_seed_matters(build: Build, case: Case) -> None:
    """Different seeds search differently."""
    searches = {tuple(asked(build(case.space, seed), case.history, PARALLELISM)) for seed in range(3)}
    require(len(searches) == 3, "two seeds give the same proposals")


def check_exhaustion(build: Build, case: Case) -> None:
    """It proposes every architecture of a small space once, then none, whether results have come in or not."""
    space, size = case.space, case.space.size() or 0
    require(size > 0, "the check needs a finite space")
    require(len(build(space, case.seed).propose(case.history, size + 1)) == size, "not all at once")
    *_, history = _search(build(space, case.seed), case, size + 1)
    require(history.proposed == size, f"{history.proposed} proposals in a space of {size}")
    require(build(space, case.seed).propose(_copy(case, history), 1) == [], "a proposal though none is left")


def _search(strategy: Strategy, case: Case, trials: int) -> Iterator[History]:
    """Copies of the history after each step of a search whose trials end in any order, every seventh by failing."""
    history, rng = case.history, Random(case.seed)
    proposes = True
    while proposes or history.pending:
        proposes = proposes and history.proposed < trials
        if proposes and len(history.pending) < PARALLELISM:
            proposes = bool(asked(strategy, history, 1))
        elif history.pending:
            history.observe(_outcome(case, rng.choice(history.pending)))
        yield _copy(case, history)


def _outcome(case: Case, architecture: Architecture) -> Observation:
    """Every seventh fails, and half of the others break a limit."""
    digest = sha256(case.space.key(architecture).encode()).digest()
    values = tuple(float(number) for number in digest[: case.objectives])
    if digest[-1] % 7 == 0:
        return Observation(architecture, None)
    metrics = {"first": float(digest[3]), "second": float(digest[4] % 8)} if case.relative else {}
    return Observation(architecture, (-float(digest[-2] % 2), values[0]), values, metrics)


def _compared(observations: Sequence[Observation]) -> list[Observation]:
    """The same with a primary objective of their ranks among all."""
    columns = {name: [one.metrics[name] for one in observations] for name in ("first", "second")}
    scores = combined(columns, "log-rank-sum")
    return [
        replace(one, score=(one.known_score[0], found), values=(found, *one.values[1:]))
        for one, found in zip(observations, scores, strict=True)
    ]


def _copy(case: Case, history: History) -> History:
    """An equal history, read from JSON."""
    space = case.space
    features = {_reread(space, one): tuple(row) for one, row in history.features.items()}
    earlier, pool = ([_reread_result(space, one) for one in known] for known in (history.earlier, history.pool))
    copied = History(space, earlier, pool, case.compared, features)
    copied.propose(_reread(space, observation.architecture) for observation in history.observations)
    copied.propose(_reread(space, architecture) for architecture in history.pending)
    for observation in history.observations:
        copied.observe(_reread_result(space, observation))
    return copied


def _reread_result(space: Space, observation: Observation) -> Observation:
    return replace(observation, architecture=_reread(space, observation.architecture))


def _reread(space: Space, architecture: Architecture) -> Architecture:
    return space.parse(dict(reversed(architecture.to_json().items())))
