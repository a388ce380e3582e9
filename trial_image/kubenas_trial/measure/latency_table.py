"""Latency as a sum over an architecture's decisions: a lookup table that a search space can carry.

Fitted on measured architectures as `searchSpace.costs` has it, so that a constraint on the latency of a device that is
not at hand is checked before an architecture becomes a trial (ProxylessNAS' lookup tables, Cai et al., ICLR 2019).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

import numpy as np
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_predict

from kubenas.space.base import Architecture, Space, Value
from kubenas.space.domains import Choice
from kubenas_trial.errors import InvalidTrialError
from kubenas_trial.measure.predictor import FOLDS, spearman

_PENALTIES: Final = np.logspace(-4, 2, 25)


@dataclass(frozen=True, slots=True)
class LatencyTable:
    """A sum: `base`, and what each decision's value adds.

    Attributes:
        base: latency of the parts that no decision changes.
        adds: latency by decision and value, in the unit of what was measured.
        rank_correlation: Spearman's, of each measured latency with the one from a table fitted without its fifth.
    """

    base: float
    adds: Mapping[str, Mapping[Value, float]]
    rank_correlation: float

    def latency(self, architecture: Architecture) -> float:
        """The latency of one architecture."""
        known = (self.adds[decision].get(value, 0.0) for decision, value in architecture.items())
        return self.base + sum(known)

    def document(self, name: str) -> dict[str, Any]:
        """An entry of `searchSpace.costs`."""
        terms = [
            {
                "parameter": decision,
                "values": [
                    {"value" if isinstance(value, str) else "number": value, "add": round(add, 6)}
                    for value, add in adds.items()
                ],
            }
            for decision, adds in self.adds.items()
        ]
        return {"name": name, "base": round(self.base, 6), "terms": terms}


def fit_latency_table(space: Space, measured: Mapping[Architecture, float]) -> LatencyTable:
    """The table that fits latencies best, by ridge regression; its penalty is chosen by leave-one-out errors.

    A value that was never measured adds about as much as the others do on average.

    Args:
        space: that the architectures belong to.
        measured: latency of some of them, in any unit; at least five.

    Raises:
        InvalidTrialError: a decision is no choice, so that there is no table of its values.
    """
    columns: list[tuple[str, Value]] = []
    for name, decision in space.decisions.items():
        if not isinstance(decision.domain, Choice):
            raise InvalidTrialError(
                f"{name} is a number, of which there is no table: give it values to choose from, or use a predictor"
            )
        columns += [(name, value) for value in decision.domain.values]
    features = np.array([[float(each.get(name) == value) for name, value in columns] for each in measured])
    values = np.array(list(measured.values()))
    model = RidgeCV(_PENALTIES).fit(features, values)
    adds: dict[str, dict[Value, float]] = {}
    for (name, value), add in zip(columns, model.coef_, strict=True):
        adds.setdefault(name, {})[value] = float(add)
    folds = KFold(FOLDS, shuffle=True, random_state=0)
    predicted = cross_val_predict(RidgeCV(_PENALTIES), features, values, cv=folds)
    return LatencyTable(float(model.intercept_), adds, spearman(predicted, values))
