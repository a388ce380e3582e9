"""Searches by other packages on the same tables, as their users would run them: by ask and tell, with defaults."""

from __future__ import annotations

import heapq
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from time import perf_counter
from typing import Any, Final

from kubenas.api.errors import SpecError
from kubenas.bench.simulation import Run
from kubenas.bench.table import Table
from kubenas.space.base import Architecture

# Proposals outside the space's constraints in a row, before the peer is held to know no other.
REFUSALS: Final = 100


class Peer(ABC):
    """One search by another package."""

    @abstractmethod
    def ask(self) -> tuple[Any, Architecture] | None:
        """What to evaluate next, and by which token to tell of it; None where nothing is left."""

    @abstractmethod
    def tell(self, token: Any, values: Sequence[float] | None) -> None:
        """What came of it: the goals' values, or None where it failed."""


def replay(table: Table, peer: Peer, evaluations: int, workers: int) -> Run:
    """Search `table` until so many evaluations have ended, a constant number of them running.

    A repeated architecture is an evaluation. One outside the space's constraints costs none: it is told at once to
    be as bad as the table's worst, so that the peer learns of the constraints.
    """
    rows: list[int | None] = []
    laps: list[float] = []
    running: list[tuple[float, int, Any, int | None]] = []
    now = 0.0
    asked = 0
    while True:
        while len(running) < workers and asked < evaluations:
            began = perf_counter()
            answer = _ask(peer, table)
            if answer is None:
                evaluations = asked
                break
            laps.append(perf_counter() - began)
            asked += 1
            token, architecture = answer
            row = table.row(architecture)
            seconds = 0.0 if row is None else float(table.seconds[row])
            heapq.heappush(running, (now + seconds, asked, token, row))
        if not running:
            return Run(rows, laps)
        now, _, token, row = heapq.heappop(running)
        peer.tell(token, None if row is None else table.values[row].tolist())
        rows.append(row)


def _ask(peer: Peer, table: Table) -> tuple[Any, Architecture] | None:
    for _ in range(REFUSALS):
        answer = peer.ask()
        if answer is None or table.space.allows(answer[1]):
            return answer
        peer.tell(answer[0], table.worst)
    return None


@dataclass(frozen=True, slots=True)
class Package:
    """Where a peer comes from: the packages that it needs, the class that drives it, what it is called there."""

    needs: tuple[str, ...]
    driver: str
    name: str


PEERS: Final[Mapping[str, Package]] = {
    "optuna-tpe": Package(("optuna",), "kubenas.bench.optuna_peer:Optuna", "TPESampler"),
    "optuna-gp": Package(("optuna", "torch"), "kubenas.bench.optuna_peer:Optuna", "GPSampler"),
    "optuna-nsga2": Package(("optuna",), "kubenas.bench.optuna_peer:Optuna", "NSGAIISampler"),
    "syne-tune-rea": Package(("syne_tune",), "kubenas.bench.syne_tune_peer:SyneTune", "REA"),
    "syne-tune-bore": Package(("syne_tune",), "kubenas.bench.syne_tune_peer:SyneTune", "BORE"),
}


def build_peer(name: str, table: Table, seed: int) -> Peer:
    """The search of that name.

    Raises:
        SpecError: a package is missing, or the peer cannot search this table.
    """
    package = PEERS[name]
    for needed in package.needs:
        if find_spec(needed) is None:
            wheel = needed.replace("_", "-")
            raise SpecError("--algorithms", f"{name} needs {wheel}, which is not installed: pip install {wheel}")
    module, _, driver = package.driver.partition(":")
    peer: Peer = getattr(import_module(module), driver)(table, package.name, seed)
    return peer
