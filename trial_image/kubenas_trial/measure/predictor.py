"""Latency on a device that is not at hand, learned from a few architectures that were measured there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final, TypeAlias

import numpy as np
from sklearn.compose import ColumnTransformer
from sklearn.ensemble import VotingRegressor
from sklearn.linear_model import RidgeCV
from sklearn.model_selection import KFold, cross_val_predict
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler

from kubenas.space.base import Architecture, Space

Numbers: TypeAlias = Sequence[float] | np.ndarray[Any, np.dtype[np.float64]]

_PENALTIES: Final = np.logspace(-3, 3, 25)
FOLDS: Final = 5


class LatencyPredictor:
    """The mean of two ridge regressions: on the decisions alone, and on all encodings of the space.

    Latencies are close to a sum over a network's parts, so linear models need few measurements: 100 of NAS-Bench-201's
    architectures give a rank correlation above 0.9 on each of HW-NAS-Bench's devices (Li et al., ICLR 2021), where
    forests give 0.8. Penalties are chosen by leave-one-out errors.

    Args:
        space: that the architectures belong to.
        measured: latency of some of them, in any unit; at least five.
    """

    def __init__(self, space: Space, measured: Mapping[Architecture, float]) -> None:
        self._space = space
        self._features = self._encoded(list(measured))
        self._values = np.array(list(measured.values()))
        self._decisions = len(space.encodings["one-hot"](next(iter(measured))))
        self._model = self._unfitted().fit(self._features, self._values)

    def predict(self, architectures: Sequence[Architecture]) -> list[float]:
        """Their latencies, in the unit of what was measured."""
        predicted: list[float] = self._model.predict(self._encoded(architectures)).tolist()
        return predicted

    def rank_correlation(self) -> float:
        """Spearman's correlation of predicted and measured latencies, each predicted without its own fifth."""
        folds = KFold(FOLDS, shuffle=True, random_state=0)
        return spearman(cross_val_predict(self._unfitted(), self._features, self._values, cv=folds), self._values)

    def _encoded(self, architectures: Sequence[Architecture]) -> np.ndarray[Any, np.dtype[np.float64]]:
        """All encodings, `one-hot` first."""
        encodings = dict(self._space.encodings)
        ordered = [encodings.pop("one-hot"), *encodings.values()]
        return np.array([[number for encode in ordered for number in encode(each)] for each in architectures])

    def _unfitted(self) -> VotingRegressor:
        numbers = self._features.shape[1]
        return VotingRegressor([("decisions", _ridge(self._decisions)), ("all", _ridge(numbers))])


def spearman(first: Numbers, second: Numbers) -> float:
    """Spearman's rank correlation."""
    from scipy.stats import spearmanr  # noqa: PLC0415 - takes long to import

    return float(spearmanr(first, second).statistic)


def _ridge(columns: int) -> Any:
    """On the first so many columns."""
    return make_pipeline(ColumnTransformer([("scaled", StandardScaler(), slice(0, columns))]), RidgeCV(_PENALTIES))
