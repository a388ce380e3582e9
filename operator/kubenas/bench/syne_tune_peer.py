"""Syne Tune's searches (Salinas et al., AutoML 2022) as peers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

import numpy as np
from syne_tune import config_space
from syne_tune.backend.trial_status import Trial
from syne_tune.optimizer import baselines
from syne_tune.optimizer.scheduler import SchedulerDecision

from kubenas.api.errors import SpecError
from kubenas.bench.peers import Asked, Peer
from kubenas.bench.table import Table
from kubenas.space.base import Architecture, Value
from kubenas.space.decisions import Decision
from kubenas.space.domains import Choice, Int, Number

EPOCH: Final = "epoch"


class SyneTune(Peer):
    """A scheduler of Syne Tune; decisions that are not switched on are suggested and left out."""

    def __init__(self, table: Table, scheduler: str, seed: int, **settings: Any) -> None:
        if len(table.goals) > 1:
            raise SpecError("--algorithms", "Syne Tune's single-objective searches are no peers for several objectives")
        # Its regularized evolution draws the first population without the seed.
        np.random.seed(seed)
        self._space = table.space
        self._scheduler = getattr(baselines, scheduler)(
            {d.name: _range(d) for d in table.space.decisions.values()},
            metric="value",
            do_minimize=table.goals[0].goal == "minimize",
            random_seed=seed,
            **settings,
        )
        self._epochs = table.epochs
        self._asked = 0

    def ask(self) -> Asked | None:
        """The scheduler's next suggestion."""
        suggestion = self._scheduler.suggest()
        if suggestion is None or suggestion.config is None:
            return None
        trial = Trial(self._asked, suggestion.config, datetime.now(UTC))
        self._asked += 1
        self._scheduler.on_trial_add(trial)
        return Asked(trial, self._architecture(suggestion.config))

    def tell(self, token: Any, values: Sequence[float] | None) -> None:
        """The trial's value."""
        if values is None:
            self._scheduler.on_trial_error(token)
        else:
            self._scheduler.on_trial_complete(token, {"value": values[0], EPOCH: self._epochs})

    def _architecture(self, config: Mapping[str, Value]) -> Architecture:
        decided: dict[str, Value] = {}
        while decision := self._space.next_decision(decided):
            decided[decision.name] = decision.domain.parse(config[decision.name])
        return Architecture(decided)


class Halving(SyneTune):
    """One of its asynchronous successive halvings, which stop trials; it has none that pauses and promotes them."""

    def __init__(self, table: Table, scheduler: str, seed: int, eta: int | None) -> None:
        settings = {"time_attr": EPOCH, "max_t": table.epochs, "grace_period": min(table.curve)}
        super().__init__(table, scheduler, seed, **settings, **({"reduction_factor": eta} if eta else {}))

    def report(self, token: Any, epochs: int, value: float) -> bool:
        """Whether the trial is among the best of a rung that it has come to."""
        decision = self._scheduler.on_trial_result(token, {"value": value, EPOCH: epochs})
        if decision == SchedulerDecision.CONTINUE:
            return True
        self._scheduler.on_trial_remove(token)
        return False


def _range(decision: Decision) -> Any:
    domain = decision.domain
    if isinstance(domain, Choice):
        return config_space.choice(list(domain.values))
    if not isinstance(domain, Number):
        raise TypeError(f"{decision.name}: Syne Tune has nothing like {domain}")
    prefix = "log" if domain.scale == "log" else ""
    if isinstance(domain, Int):
        return getattr(config_space, f"{prefix}randint")(int(domain.low), int(domain.high))
    return getattr(config_space, f"{prefix}uniform")(domain.low, domain.high)
