"""A surrogate model of an objective: a random forest and a Gaussian process, averaged."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
from sklearn import config_context
from sklearn.tree import DecisionTreeRegressor

from kubenas.search.gaussian_process import GaussianProcess

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kubenas.search.encoding import Matrix
    from kubenas.search.transfer import PriorMean

TREES: Final = 40
# Rows that one tree sees at most: its time does not grow with a long history.
TREE_ROWS: Final = 2_000


class Surrogate:
    """Predicts an objective from encodings.

    Forests keep their word on steps and interactions, Gaussian processes between observations; their average ranks
    better than either.

    Args:
        blocks: matrices of one row for each observation; a block is one kind of encoding.
        scores: the objective on a scale without outliers, see `kubenas.search.normal_scores` and `without_outliers`.
        seed: of the forest, and of what it leaves out.
        prior: of earlier results; the scores are its residuals then.
    """

    def __init__(
        self, blocks: Sequence[Matrix], scores: NDArray[np.float64], seed: int, prior: PriorMean | None = None
    ) -> None:
        self._prior = prior
        self._blocks = blocks
        self._trees = _forest(_joined(blocks), scores, seed)
        self._process = GaussianProcess(blocks, scores, seed)

    @cached_property
    def spread(self) -> float:
        """Standard deviation of the mean over the observations."""
        return float(self.predict(self._blocks)[0].std())

    def predict(self, blocks: Sequence[Matrix]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation for each row: those of an even mixture of the two models, and of the prior."""
        mean, deviation = self._mixture(blocks)
        if self._prior is None:
            return mean, deviation
        prior_mean, prior_deviation = self._prior.predict(blocks)
        return mean + prior_mean, np.hypot(deviation, prior_deviation)

    def _mixture(self, blocks: Sequence[Matrix]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        rows = _joined(blocks)
        trees = np.stack([tree.predict(rows, check_input=False) for tree in self._trees])
        means = np.stack([trees.mean(axis=0), (process := self._process.predict(blocks))[0]])
        deviations = np.stack([trees.std(axis=0), process[1]])
        mean: NDArray[np.float64] = means.mean(axis=0)
        variance = (deviations**2 + means**2).mean(axis=0) - mean**2
        return mean, np.sqrt(np.maximum(variance, 1e-12))


def without_outliers(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values, of which the worst are raised to the lower fence of Tukey's box plot: how bad they are says little."""
    lower, upper = np.quantile(values, [0.25, 0.75])
    raised: NDArray[np.float64] = np.maximum(values, lower - 1.5 * (upper - lower))
    return raised


def _joined(blocks: Sequence[Matrix]) -> NDArray[np.float32]:
    """As trees take them."""
    return np.concatenate(blocks, axis=1).astype(np.float32)


def _forest(rows: NDArray[np.float32], scores: NDArray[np.float64], seed: int) -> list[DecisionTreeRegressor]:
    """A random forest (Breiman 2001); scikit-learn's own takes two to three times as long for a short history."""
    rng = np.random.RandomState(seed)
    count = len(scores)
    trees = [DecisionTreeRegressor(max_features=1 / 3, random_state=rng) for _ in range(TREES)]
    with config_context(skip_parameter_validation=True, assume_finite=True):
        for tree in trees:
            drawn = np.bincount(rng.randint(count, size=min(count, TREE_ROWS)), minlength=count)
            tree.fit(rows, scores, sample_weight=drawn.astype(np.float64), check_input=False)
    return trees
