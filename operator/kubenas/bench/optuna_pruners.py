"""Optuna's pruners (Akiba et al., KDD 2019, arXiv:1907.10902) as peers, with its default sampler."""

from __future__ import annotations

from typing import Any

import optuna

from kubenas.bench.optuna_peer import Optuna
from kubenas.bench.table import Table


class Pruned(Optuna):
    """A study with a pruner, whose first rung and last epoch are the table's."""

    def __init__(self, table: Table, pruner: str, seed: int, eta: int | None) -> None:
        super().__init__(table, "TPESampler", seed)
        settings: dict[str, Any] = {}
        if pruner != "MedianPruner":
            settings = {"min_resource": min(table.curve)} | ({"reduction_factor": eta} if eta else {})
        if pruner == "HyperbandPruner":
            settings["max_resource"] = table.epochs
            # Brackets are drawn by the study's name and the trial's number.
            self._study = optuna.create_study(
                sampler=self._study.sampler, direction=table.goals[0].goal, study_name=f"table-{seed}"
            )
        self._study.pruner = getattr(optuna.pruners, pruner)(**settings)

    def report(self, token: Any, epochs: int, value: float) -> bool:
        """Whether the pruner lets the trial go on; one that it does not is told to be pruned."""
        token.report(value, epochs)
        if not token.should_prune():
            return True
        self._study.tell(token, state=optuna.trial.TrialState.PRUNED)
        return False
