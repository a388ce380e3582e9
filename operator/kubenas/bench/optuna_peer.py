"""Optuna's samplers (Akiba et al., KDD 2019, arXiv:1907.10902) as peers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import optuna

from kubenas.bench.peers import Asked, Peer
from kubenas.bench.table import Table
from kubenas.search.tpe import suggested


class Optuna(Peer):
    """A study with a sampler's defaults; decisions are suggested one after another as they are switched on."""

    def __init__(self, table: Table, sampler: str, seed: int) -> None:
        optuna.logging.set_verbosity(optuna.logging.ERROR)
        self._space = table.space
        self._study = optuna.create_study(
            sampler=getattr(optuna.samplers, sampler)(seed=seed), directions=[goal.goal for goal in table.goals]
        )

    def ask(self) -> Asked:
        """The next trial of the study."""
        trial = self._study.ask()
        return Asked(trial, suggested(self._space, trial))

    def tell(self, token: Any, values: Sequence[float] | None) -> None:
        """The trial's values."""
        if values is None:
            self._study.tell(token, state=optuna.trial.TrialState.FAIL)
        else:
            self._study.tell(token, list(values))
