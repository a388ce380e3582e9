"""A model of earlier results as the prior mean of a model of a search's own."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from kubenas.search.earlier import representative
from kubenas.search.gaussian_process import GaussianProcess
from kubenas.search.normal_scores import normal_scores

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kubenas.search.base import History, Observation
    from kubenas.search.encoding import Encoder, Matrix

# Earlier results that a model is fitted to, at least and at most.
FEWEST: Final = 8
MOST: Final = 2_000
# The prior of the slope: the correlation of own scores with predicted ones, and as how many own results it counts.
CORRELATION: Final = 0.7
PSEUDO_RESULTS: Final = 3
# One in so many of the first proposals is drawn.
CALIBRATED: Final = 4
# Standard deviation below which numbers count as equal.
CONSTANT: Final = 1e-9


class Model(Protocol):
    """A fitted model."""

    @property
    def spread(self) -> float:
        """Standard deviation of the mean over the rows that it is fitted to."""

    def predict(self, blocks: Sequence[Matrix]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation for each row."""


class PriorMean:
    """The prior mean of a search's own scores: a slope times what a model of earlier results predicts.

    own score = slope * prediction + residual, where a second model learns the residual: the autoregressive model of
    Kennedy & O'Hagan, Biometrika 2000. The slope is a ridge regression on the own results, and at least 0: earlier
    scores may be on another scale, and may tell nothing. So their own scale does not matter, and they can be normal
    scores (Salinas, Shen, Perrone, ICML 2020, arXiv:1909.13595).

    Args:
        model: of earlier results.
        blocks: encodings of the own results.
        scores: of the own results.
        same_scale: whether a slope near 1 is expected, as the scores mean the same.

    Attributes:
        residuals: what the own model is to be fitted to.
    """

    def __init__(
        self, model: Model, blocks: Sequence[Matrix], scores: NDArray[np.float64], *, same_scale: bool = False
    ) -> None:
        self._model = model
        predicted = model.predict(blocks)[0]
        expected = model.spread if same_scale else float(scores.std())
        self._slope = _slope(predicted, scores, model.spread, expected)
        self.residuals: NDArray[np.float64] = scores - self._slope * predicted

    def predict(self, blocks: Sequence[Matrix]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """What is to be added to the mean of the model of residuals, and the standard deviation of that."""
        mean, deviation = self._model.predict(blocks)
        return self._slope * mean, self._slope * deviation


def informative(encoder: Encoder, earlier: Sequence[Observation]) -> Sequence[Observation]:
    """The earlier results that a model is to be fitted to; none where architectures do not tell their scores.

    That is so where the scores of either half, predicted from the other one, correlate with the true ones by less than
    two standard errors of a correlation of 0.
    """
    if len(earlier) < FEWEST:
        return ()
    known = representative(earlier, MOST)
    scores = normal_scores([one.known_score for one in known])
    blocks = encoder.blocks([one.architecture for one in known])
    predicted = np.empty(len(known))
    for half in (slice(0, None, 2), slice(1, None, 2)):
        rest = slice(1 - half.start, None, 2)
        process = GaussianProcess([block[rest] for block in blocks], scores[rest], 0)
        predicted[half] = process.predict([block[half] for block in blocks])[0]
    if min(predicted.std(), scores.std()) < CONSTANT:
        return ()
    return known if np.corrcoef(predicted, scores)[0, 1] > 2.0 / len(known) ** 0.5 else ()


def calibrates(history: History, initial: int) -> bool:
    """Whether the next of the first `initial` proposals after earlier results is one of those that are drawn evenly.

    Results of nothing but what the earlier ones call good could not tell whether these are right.
    """
    return history.unfailed < initial and history.unfailed % CALIBRATED == 1


def _slope(predicted: NDArray[np.float64], scores: NDArray[np.float64], spread: float, expected: float) -> float:
    """By how much scores grow with predicted ones, where their standard deviations are `expected` and `spread`."""
    centered = predicted - predicted.mean()
    covariance = float(centered @ scores) + PSEUDO_RESULTS * CORRELATION * spread * expected
    variance = float(centered @ centered) + PSEUDO_RESULTS * spread**2
    return max(0.0, covariance / variance) if variance > 0 else 0.0
