"""Syne Tune's searches (Salinas et al., AutoML 2022) as peers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import numpy as np
from syne_tune import config_space
from syne_tune.backend.trial_status import Trial
from syne_tune.optimizer import baselines

from kubenas.api.errors import SpecError
from kubenas.bench.peers import Peer
from kubenas.bench.table import Table
from kubenas.space.base import Architecture, Value
from kubenas.space.decisions import Decision
from kubenas.space.domains import Choice, Int, Number


class SyneTune(Peer):
    """A scheduler of Syne Tune; decisions that are not switched on are suggested and left out."""

    def __init__(self, table: Table, scheduler: str, seed: int) -> None:
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
        )
        self._asked = 0

    def ask(self) -> tuple[Any, Architecture] | None:
        """The scheduler's next suggestion."""
        suggestion = self._scheduler.suggest()
        if suggestion is None or suggestion.config is None:
            return None
        trial = Trial(self._asked, suggestion.config, datetime.now(UTC))
        self._asked += 1
        self._scheduler.on_trial_add(trial)
        return trial, self._architecture(suggestion.config)

    def tell(self, token: Any, values: Sequence[float] | None) -> None:
        """The trial's value."""
        if values is None:
            self._scheduler.on_trial_error(token)
        else:
            self._scheduler.on_trial_complete(token, {"value": values[0]})

    def _architecture(self, config: Mapping[str, Value]) -> Architecture:
        decided: dict[str, Value] = {}
        while decision := self._space.next_decision(decided):
            decided[decision.name] = decision.domain.parse(config[decision.name])
        return Architecture(decided)


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
