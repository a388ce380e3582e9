"""A surrogate model of an objective: a random forest and a Gaussian process, averaged."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.spatial.distance import cdist
from scipy.stats import norm
from sklearn import config_context
from sklearn.tree import DecisionTreeRegressor
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kubenas.search.encoding import Matrix

TREES: Final = 40
# Rows that one tree, and the Gaussian process, see at most: their time does not grow with a long history.
TREE_ROWS: Final = 2_000
GAUSSIAN_ROWS: Final = 300
# Rows by which the process's two hyperparameters are chosen, from a grid in units of the median distance.
CHOOSING_ROWS: Final = 150
LENGTHS: Final = (0.3, 0.6, 1.0, 2.0)
NOISES: Final = (0.01, 0.1, 0.3)


class Surrogate:
    """Predicts an objective from encodings.

    Forests keep their word on steps and interactions, Gaussian processes between observations; their average ranks
    better than either.

    Args:
        blocks: matrices of one row for each observation; a block is one kind of encoding.
        scores: the objective on a scale without outliers, see `normal_scores` and `without_outliers`.
        seed: of the forest, and of what it leaves out.
    """

    def __init__(self, blocks: Sequence[Matrix], scores: NDArray[np.float64], seed: int) -> None:
        self._trees = _forest(_joined(blocks), scores, seed)
        self._process = GaussianProcess(blocks, scores, seed)

    def predict(self, blocks: Sequence[Matrix]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Mean and standard deviation for each row: those of an even mixture of the two models."""
        rows = _joined(blocks)
        trees = np.stack([tree.predict(rows, check_input=False) for tree in self._trees])
        means = np.stack([trees.mean(axis=0), (process := self._process.predict(blocks))[0]])
        deviations = np.stack([trees.std(axis=0), process[1]])
        mean: NDArray[np.float64] = means.mean(axis=0)
        variance = (deviations**2 + means**2).mean(axis=0) - mean**2
        return mean, np.sqrt(np.maximum(variance, 1e-12))


class GaussianProcess:
    """A Gaussian process with the mean of one Matérn 5/2 kernel for each block (Rasmussen & Williams 2006)."""

    def __init__(self, blocks: Sequence[Matrix], scores: NDArray[np.float64], seed: int) -> None:
        limit_threads()
        kept = _telling(scores, seed)
        self._shift = [block.mean(axis=0) for block in blocks]
        # A number that never varies says nothing.
        spread = [block.std(axis=0) for block in blocks]
        self._scale = [np.where(s > 1e-9, 1 / np.maximum(s, 1e-9), 0.0) for s in spread]
        self._rows = [block[kept] for block in self._scaled(blocks)]
        medians = [np.median(cdist(block, block)) for block in self._rows]
        self._median = [float(m) if m > 0 else 1.0 for m in medians]
        self._center = float(scores[kept].mean())
        targets = scores[kept] - self._center
        self._length, noise = self._choose(targets)
        factor, whitened = _factorized(self._kernel(self._rows, self._length), noise, targets)
        self._factor = factor
        self._variance = float(whitened @ whitened) / len(targets)
        self._weights = solve_triangular(factor.T, whitened, lower=False)

    def predict(self, blocks: Sequence[Matrix]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Posterior mean and standard deviation, without the noise of an observation."""
        kernel = self._kernel(self._scaled(blocks), self._length)
        projected = solve_triangular(self._factor, kernel.T, lower=True)
        remaining = np.maximum(1.0 - (projected**2).sum(axis=0), 1e-9)
        return self._center + kernel @ self._weights, np.sqrt(self._variance * remaining)

    def _choose(self, targets: NDArray[np.float64]) -> tuple[float, float]:
        """Length scale and noise of the largest marginal likelihood."""
        some = [block[:CHOOSING_ROWS] for block in self._rows]
        found = []
        for length in LENGTHS:
            kernel = self._kernel(some, length, some)
            for noise in NOISES:
                factor, whitened = _factorized(kernel, noise, targets[:CHOOSING_ROWS])
                fit = -0.5 * len(whitened) * np.log(max(float(whitened @ whitened), 1e-12) / len(whitened))
                found.append((float(fit - np.log(np.diag(factor)).sum()), length, noise))
        return max(found)[1:]

    def _scaled(self, blocks: Sequence[Matrix]) -> list[Matrix]:
        return [(block - shift) * scale for block, shift, scale in zip(blocks, self._shift, self._scale, strict=True)]

    def _kernel(self, rows: Sequence[Matrix], length: float, others: Sequence[Matrix] | None = None) -> Matrix:
        total = np.zeros((len(rows[0]), len((others or self._rows)[0])))
        for block, other, median in zip(rows, others or self._rows, self._median, strict=True):
            distance = cdist(block, other) * (5**0.5 / (length * median))
            total += (1.0 + distance + distance**2 / 3.0) * np.exp(-distance)
        return total / len(rows)


def normal_scores(values: Sequence[object]) -> NDArray[np.float64]:
    """Quantiles of the standard normal at the ranks of comparable values; equal for equal values.

    They are indifferent to an objective's scale, and to how badly the worst architectures fail.
    """
    order = {value: place for place, value in enumerate(sorted(set(values)))}  # type: ignore[type-var]
    places = np.array([order[value] for value in values])
    counts = np.bincount(places)
    below = np.cumsum(counts) - counts
    scores: NDArray[np.float64] = norm.ppf((below + counts / 2) / len(places))[places]
    return scores


def without_outliers(values: NDArray[np.float64]) -> NDArray[np.float64]:
    """Values, of which the worst are raised to the lower fence of Tukey's box plot: how bad they are says little."""
    lower, upper = np.quantile(values, [0.25, 0.75])
    raised: NDArray[np.float64] = np.maximum(values, lower - 1.5 * (upper - lower))
    return raised


def _telling(scores: NDArray[np.float64], seed: int) -> NDArray[np.intp]:
    """Which rows the process sees: half of them the best, the others drawn from the rest, in a mixed order."""
    rng = np.random.default_rng(seed)
    if len(scores) <= GAUSSIAN_ROWS:
        return rng.permutation(len(scores))
    best, rest = np.split(np.argsort(-scores, kind="stable"), [GAUSSIAN_ROWS // 2])
    drawn = rng.choice(rest, GAUSSIAN_ROWS - len(best), replace=False)
    return rng.permutation(np.concatenate([best, drawn]))


def _factorized(
    kernel: Matrix, noise: float, targets: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    factor = cholesky(kernel + noise * np.eye(len(kernel)), lower=True)
    return factor, solve_triangular(factor, targets, lower=True)


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


@cache
def limit_threads() -> None:
    """Have this process do linear algebra in one thread: with matrices as small as here, more only wait."""
    threadpool_limits(limits=1, user_api="blas")
