"""Optuna's samplers (Akiba et al., KDD 2019, arXiv:1907.10902) as peers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import optuna

from kubenas.bench.peers import Peer
from kubenas.bench.table import Table
from kubenas.space.base import Architecture, Value
from kubenas.space.decisions import Decision, DecisionSpace
from kubenas.space.domains import Choice, Float, Int


class Optuna(Peer):
    """A study with a sampler's defaults; decisions are suggested one after another as they are switched on."""

    def __init__(self, table: Table, space: DecisionSpace, sampler: str, seed: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space = space
        self._study = optuna.create_study(
            sampler=getattr(optuna.samplers, sampler)(seed=seed), directions=[goal.goal for goal in table.goals]
        )

    def ask(self) -> tuple[Any, Architecture]:
        """The next trial of the study."""
        trial = self._study.ask()
        decided: dict[str, Value] = {}
        while decision := self._space.next_decision(decided):
            decided[decision.name] = _suggested(trial, decision)
        return trial, Architecture(decided)

    def tell(self, token: Any, values: Sequence[float] | None) -> None:
        """The trial's values."""
        if values is None:
            self._study.tell(token, state=optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(token, list(values))


def _suggested(trial: Any, decision: Decision) -> Value:
    name, domain = decision.name, decision.domain
    value: Value
    if isinstance(domain, Choice):
        value = trial.suggest_categorical(name, domain.values)
    elif isinstance(domain, Int):
        value = trial.suggest_int(name, int(domain.low), int(domain.high), log=domain.scale == "log")
    elif isinstance(domain, Float):
        value = trial.suggest_float(name, domain.low, domain.high, log=domain.scale == "log")
    else:
        raise TypeError(f"{name}: Optuna has nothing like {domain}")
    return value
