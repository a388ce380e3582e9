"""Searches by name: the operator's own strategies, and peers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from kubenas.api.errors import SpecError
from kubenas.api.search import Search
from kubenas.bench.peers import PEERS, PRUNING, build_peer, is_peer
from kubenas.bench.replay import replay
from kubenas.bench.run import Run
from kubenas.bench.simulation import simulate
from kubenas.bench.table import Table
from kubenas.fidelity.load import PROMOTERS, SCHEDULERS
from kubenas.search.base import Strategy
from kubenas.search.load import ALGORITHMS, build_strategy

# By their names here: a scheduler that also promotes has two.
FIDELITIES: Final = ("none", *SCHEDULERS, *(f"{name}-promotion" if name in SCHEDULERS else name for name in PROMOTERS))


def with_fidelity(names: Sequence[str], schedulers: Sequence[str], table: Table) -> list[str]:
    """Each search with each scheduler, as `NAME` or `NAME/SCHEDULER`; peers without any.

    Raises:
        SpecError: there is no such scheduler, or the table has no curve to stop at.
    """
    for scheduler in schedulers:
        if scheduler not in FIDELITIES:
            raise SpecError("--fidelity", f"{scheduler!r} is unknown: there are {', '.join(FIDELITIES)}")
        if scheduler != "none" and not table.curve:
            raise SpecError(
                "--fidelity", f"{scheduler} needs values before the last epoch: name their columns by --curve"
            )
    return [
        name if scheduler == "none" else f"{name}/{scheduler}"
        for name in names
        for scheduler in schedulers
        if scheduler == "none" or not is_peer(name)
    ]


def check_algorithm(name: str, table: Table) -> None:
    """Make the search once, so that what is wrong is told before any runs.

    Raises:
        SpecError: there is none of that name, a package is missing, or it cannot search this table.
    """
    if is_peer(name):
        build_peer(name, table, 0)
    elif name in ALGORITHMS:
        _strategy(name, table, 0)
    else:
        raise SpecError("--algorithms", f"{name!r} is unknown: there are {', '.join((*ALGORITHMS, *PEERS, *PRUNING))}")


def search(
    name: str,
    table: Table,
    seed: int,
    evaluations: int,
    workers: int,
    eta: int | None = None,
    top: int | None = None,
) -> Run:
    """One search of `table`, by `NAME` or `NAME/SCHEDULER`.

    Args:
        name: of it.
        table: to be searched.
        seed: of its draws.
        evaluations: candidates to be tried.
        workers: trials that run at the same time.
        eta: of those with rungs; None for their own default.
        top: of own schedulers that have one; None for their default.
    """
    name, _, scheduler = name.partition("/")
    if is_peer(name):
        return replay(table, build_peer(name, table, seed, eta), evaluations, workers)
    return simulate(table, _strategy(name, table, seed), evaluations, workers, scheduler or "none", eta, top)


def _strategy(name: str, table: Table, seed: int) -> Strategy:
    try:
        return build_strategy(Search.model_validate({"algorithm": name, "seed": seed}), table.space, table.scores)
    except ModuleNotFoundError as error:
        raise SpecError("--algorithms", f"{name} needs {error.name}: pip install 'kubenas[search]'") from None
    except ValueError as error:  # a SpecError is one
        raise SpecError("--algorithms", f"{name} cannot be run on this table: {error}") from None
