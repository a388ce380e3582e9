"""Searches by other packages on the same tables, as their users would run them: by ask and tell, with defaults."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import Any, Final

from kubenas.api.errors import SpecError
from kubenas.bench.table import Table
from kubenas.space.base import Architecture


@dataclass(frozen=True, slots=True)
class Asked:
    """A trial that a peer asks for.

    Attributes:
        token: by which the peer is told of it.
        start: epochs after which it goes on from an earlier trial's checkpoint; 0 for one that begins anew.
        end: epochs that it is trained to; None for the table's.
    """

    token: Any
    architecture: Architecture
    start: int = 0
    end: int | None = None


class Peer(ABC):
    """One search by another package."""

    @abstractmethod
    def ask(self) -> Asked | None:
        """What to evaluate next; None where nothing is left."""

    def report(self, token: Any, epochs: int, value: float) -> bool:  # noqa: ARG002 - for those that stop trials
        """The first goal's value so far; whether the trial goes on. Who is stopped by that is not told of again."""
        return True

    @abstractmethod
    def tell(self, token: Any, values: Sequence[float] | None) -> None:
        """What came of it: the goals' values, or None where it failed."""


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
# Those that stop trials early.
PRUNING: Final[Mapping[str, Package]] = {
    "optuna-halving": Package(("optuna",), "kubenas.bench.optuna_pruners:Pruned", "SuccessiveHalvingPruner"),
    "optuna-hyperband": Package(("optuna",), "kubenas.bench.optuna_pruners:Pruned", "HyperbandPruner"),
    "optuna-median": Package(("optuna",), "kubenas.bench.optuna_pruners:Pruned", "MedianPruner"),
    "syne-tune-asha": Package(("syne_tune",), "kubenas.bench.syne_tune_peer:Halving", "ASHA"),
    "syne-tune-asha-bore": Package(("syne_tune",), "kubenas.bench.syne_tune_peer:Halving", "ASHABORE"),
    "syne-tune-asha-cqr": Package(("syne_tune",), "kubenas.bench.syne_tune_peer:Halving", "ASHACQR"),
    "syne-tune-bohb": Package(("syne_tune",), "kubenas.bench.syne_tune_peer:Halving", "BOHB"),
    "neps-asha": Package(("neps",), "kubenas.bench.neps_peer:NePS", "asha"),
    "neps-async-hyperband": Package(("neps",), "kubenas.bench.neps_peer:NePS", "async_hb"),
    "neps-hyperband": Package(("neps",), "kubenas.bench.neps_peer:NePS", "hyperband"),
}

# What packages are installed by, where that is not their name.
_WHEELS: Final = {"neps": "neural-pipeline-search"}


def is_peer(name: str) -> bool:
    """Whether another package has the search of that name."""
    return name in PEERS or name in PRUNING


def build_peer(name: str, table: Table, seed: int, eta: int | None = None) -> Peer:
    """The search of that name.

    Args:
        name: of it.
        table: to be searched.
        seed: of its draws.
        eta: of those with rungs; None for their own default.

    Raises:
        SpecError: a package is missing, or the peer cannot search this table.
    """
    package = PEERS.get(name) or PRUNING[name]
    for needed in package.needs:
        if find_spec(needed) is None:
            wheel = _WHEELS.get(needed, needed.replace("_", "-"))
            raise SpecError("--algorithms", f"{name} needs {wheel}, which is not installed: pip install {wheel}")
    module, _, driver = package.driver.partition(":")
    make = getattr(import_module(module), driver)
    if name in PEERS:
        peer: Peer = make(table, package.name, seed)
        return peer
    if not table.curve:
        raise SpecError("--algorithms", f"{name} needs values before the last epoch: name their columns by --curve")
    if len(table.goals) > 1:
        raise SpecError("--algorithms", f"{name} stops trials by one objective, and there are {len(table.goals)}")
    pruning: Peer = make(table, package.name, seed, eta)
    return pruning
