"""NePS' multi-fidelity searches (Stoll et al., "Neural Pipeline Search (NePS)", 2023) as peers."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any, Final

import numpy as np
import torch
from neps import AskAndTell, algorithms
from neps.space import HPOCategorical, HPOFloat, HPOInteger, SearchSpace

from kubenas.bench.peers import Asked, Peer
from kubenas.bench.table import Table
from kubenas.space.base import Architecture, Value
from kubenas.space.decisions import Decision
from kubenas.space.domains import Choice, Int, Number

_EPOCHS: Final = "epochs"


class NePS(Peer):
    """One of its algorithms that need no priors: trials end at a rung, and go on from there in another one.

    Its rungs are counted from the last epoch down, so the table has no values for some: what a training has shown last
    stands for them. Decisions that are not switched on are suggested and left out.
    """

    def __init__(self, table: Table, algorithm: str, seed: int, eta: int | None) -> None:
        # It draws from all of these, and takes no seed.
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
        self._space = table.space
        self._sign = table.goals[0].sign
        decisions = table.space.decisions.values()
        # Places stand for values, which may be of any type.
        parameters = {f"d{place}": _parameter(decision) for place, decision in enumerate(decisions)}
        parameters[_EPOCHS] = HPOInteger(min(table.curve), table.epochs, is_fidelity=True)
        settings = {} if eta is None else {"eta": eta}
        self._search = AskAndTell(getattr(algorithms, algorithm)(SearchSpace(parameters), **settings))

    def ask(self) -> Asked:
        """The next configuration, or one before, to be trained further."""
        trial = self._search.ask()
        before = trial.metadata.previous_trial_id
        start = 0 if before is None else int(self._search.trials[before].config[_EPOCHS])
        return Asked(trial.id, self._architecture(trial.config), start, int(trial.config[_EPOCHS]))

    def tell(self, token: Any, values: Sequence[float] | None) -> None:
        """The value that it has come to."""
        if values is None:
            self._search.tell(token, RuntimeError("the trial failed"))
        else:
            self._search.tell(token, -self._sign * values[0])

    def _architecture(self, config: Any) -> Architecture:
        places = {name: f"d{place}" for place, name in enumerate(self._space.decisions)}
        decided: dict[str, Value] = {}
        while decision := self._space.next_decision(decided):
            value = config[places[decision.name]]
            chosen = decision.domain.values[value] if isinstance(decision.domain, Choice) else value
            decided[decision.name] = decision.domain.parse(chosen)
        return Architecture(decided)


def _parameter(decision: Decision) -> Any:
    domain = decision.domain
    if isinstance(domain, Choice):
        return HPOCategorical(list(range(len(domain.values))))
    if not isinstance(domain, Number):
        raise TypeError(f"{decision.name}: NePS has nothing like {domain}")
    kind = HPOInteger if isinstance(domain, Int) else HPOFloat
    return kind(domain.low, domain.high, log=domain.scale == "log")
