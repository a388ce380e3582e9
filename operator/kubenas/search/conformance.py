"""What every strategy must hold to, as checks that a strategy's own tests call.

Example:
    def test_conforms() -> None:
        check_strategy(lambda space, seed: MyStrategy(space, seed))
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from hashlib import sha256
from random import Random
from typing import Final, TypeAlias

from kubenas.search.base import History, Observation, Strategy
from kubenas.space.base import Architecture, Space
from kubenas.space.conformance import require
from kubenas.space.domains import Choice, Float, Int
from kubenas.space.nasbench201 import NASBench201
from kubenas.space.parameters import ParameterSpace

Build: TypeAlias = Callable[[Space, int], Strategy]

TRIALS: Final = 40
PARALLELISM: Final = 4
SEEDS: Final = range(3)

TINY: Final = ParameterSpace({"operation": Choice(("a", "b", "c")), "layers": Int(1, 4, "linear")})
SPACES: Final[tuple[Space, ...]] = (
    NASBench201(),
    ParameterSpace({"operation": Choice(("a", "b")), "width": Int(8, 512, "log"), "rate": Float(1e-5, 1.0, "log")}),
)


def check_strategy(build: Build) -> None:
    """All checks of this module, on spaces of their own.

    Raises:
        AssertionError: the strategy breaks a promise of `Strategy`; the message says which.
    """
    for space in SPACES:
        for seed in SEEDS:
            check_pure(build, space, seed)
            check_distinct(build, space, seed)
            check_batches(build, space, seed)
            check_failures(build, space, seed)
        check_seed_matters(build, space)
    for seed in SEEDS:
        check_exhaustion(build, TINY, seed)


def check_pure(build: Build, space: Space, seed: int) -> None:
    """After every proposal and every result, one made a moment ago answers as the one that lived through it all.

    The history of the new one is read from JSON objects in another order, as after a restart.
    """
    lived = build(space, seed)
    for history in _search(lived, space, TRIALS, Random(seed)):
        answer = lived.propose(_copy(space, history), 2)
        fresh = build(space, seed).propose(_copy(space, history), 2)
        require(answer == fresh, f"at {history.proposed}: {answer} with a past, {fresh} without")


def check_distinct(build: Build, space: Space, seed: int) -> None:
    """Proposals belong to the space, are pending, and none repeats another by key."""
    history = History(space)
    for history in _search(build(space, seed), space, TRIALS, Random(seed)):
        require(history.distinct == history.proposed, f"proposal {history.proposed} repeats an earlier one")
        for architecture in history.pending:
            require(space.parse(architecture.to_json()) == architecture, f"{architecture!r} is outside the space")
    require(history.proposed == TRIALS, f"{history.proposed} proposals instead of {TRIALS}")


def check_batches(build: Build, space: Space, seed: int) -> None:
    """Asking for n at once answers as asking n times for one."""
    for history in _search(build(space, seed), space, TRIALS, Random(seed)):
        at_once = build(space, seed).propose(_copy(space, history), PARALLELISM)
        singly, strategy = _copy(space, history), build(space, seed)
        one_by_one = [one for _ in range(PARALLELISM) for one in strategy.propose(singly, 1)]
        require(at_once == one_by_one, f"at {history.proposed}: {at_once} at once, {one_by_one} one by one")


def check_failures(build: Build, space: Space, seed: int) -> None:
    """It goes on where every trial fails."""
    history, strategy = History(space), build(space, seed)
    for number in range(TRIALS):
        proposals = strategy.propose(history, 1)
        require(len(proposals) == 1, f"no proposal after {number} failures")
        history.observe(Observation(proposals[0], None))


def check_seed_matters(build: Build, space: Space) -> None:
    """Different seeds search differently."""
    searches = {tuple(build(space, seed).propose(History(space), PARALLELISM)) for seed in SEEDS}
    require(len(searches) == len(SEEDS), "two seeds give the same proposals")


def check_exhaustion(build: Build, space: Space, seed: int) -> None:
    """It proposes every architecture of a small space once, then none, whether results have come in or not."""
    size = space.size()
    require(size is not None, "the check needs a finite space")
    require(len(build(space, seed).propose(History(space), (size or 0) + 1)) == size, "not all at once")
    *_, history = _search(build(space, seed), space, (size or 0) + 1, Random(seed))
    require(history.proposed == size, f"{history.proposed} proposals in a space of {size}")
    require(build(space, seed).propose(_copy(space, history), 1) == [], "a proposal though none is left")


def _search(strategy: Strategy, space: Space, trials: int, rng: Random) -> Iterator[History]:
    """Copies of the history after each step of a search whose trials end in any order, every seventh by failing."""
    history = History(space)
    proposes = True
    while proposes or history.pending:
        proposes = proposes and history.proposed < trials
        if proposes and len(history.pending) < PARALLELISM:
            proposes = bool(strategy.propose(history, 1))
        elif history.pending:
            history.observe(_outcome(space, rng.choice(history.pending)))
        yield _copy(space, history)


def _outcome(space: Space, architecture: Architecture) -> Observation:
    digest = int.from_bytes(sha256(space.key(architecture).encode()).digest()[:4])
    return Observation(architecture, None if digest % 7 == 0 else (-float(digest % 2), float(digest)))


def _copy(space: Space, history: History) -> History:
    """An equal history, read from JSON."""
    copied = History(space)
    copied.propose(_reread(space, observation.architecture) for observation in history.observations)
    copied.propose(_reread(space, architecture) for architecture in history.pending)
    for observation in history.observations:
        copied.observe(Observation(_reread(space, observation.architecture), observation.score))
    return copied


def _reread(space: Space, architecture: Architecture) -> Architecture:
    return space.parse(dict(reversed(architecture.to_json().items())))
