"""Automatic relevance determination: how much each number of an encoding tells."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.linalg import cho_solve, cholesky
from scipy.optimize import minimize
from scipy.spatial.distance import cdist

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kubenas.search.encoding import Matrix

# Prior of the logarithms: deviation of a length around 0, mean and deviation of the noise (Hvarfner, Hellsten, Nardi,
# "Vanilla Bayesian Optimization Performs Great in High Dimensions", ICML 2024, arXiv:2402.02229).
LENGTH_DEVIATION: Final = 3**0.5
NOISE_MEAN: Final = -4.0
NOISE_DEVIATION: Final = 1.0
# Steps of the optimizer; the last ones of a full search change next to nothing.
STEPS: Final = 30
_BOUND: Final = 6.0


def relevances(rows: Sequence[Matrix], targets: NDArray[np.float64]) -> tuple[list[NDArray[np.float64]], float]:
    """Length scales and noise of the greatest posterior probability, for the mean over blocks of Matérn 5/2 kernels.

    MacKay 1994; Neal 1996. The variance is the one of greatest likelihood.

    Args:
        rows: matrices of one row for each observation, divided so that a length of 1 is a good guess.
        targets: what was observed, around 0.

    Returns:
        Lengths for each block, one for each of its numbers; noise in units of the variance.
    """
    widths = [block.shape[1] for block in rows]
    start = _start(widths)
    bounds = [(center - _BOUND, center + _BOUND) for center in start]
    found = minimize(loss, start, (rows, targets), "L-BFGS-B", jac=True, bounds=bounds, options={"maxiter": STEPS})
    lengths = np.split(np.exp(found.x[:-1]), np.cumsum(widths)[:-1])
    return lengths, float(np.exp(found.x[-1]))


def _start(widths: Sequence[int]) -> NDArray[np.float64]:
    return np.append(np.zeros(sum(widths)), NOISE_MEAN)


def loss(
    logarithms: NDArray[np.float64], rows: Sequence[Matrix], targets: NDArray[np.float64]
) -> tuple[float, NDArray[np.float64]]:
    """Negative logarithm of the posterior probability but for a constant, and its gradient.

    Args:
        logarithms: of all lengths, then of the noise.
        rows: as for `relevances`.
        targets: as for `relevances`.
    """
    widths = [block.shape[1] for block in rows]
    noise, count = float(np.exp(logarithms[-1])), len(targets)
    lengths = np.split(np.exp(logarithms[:-1]), np.cumsum(widths)[:-1])
    scaled = [block / length for block, length in zip(rows, lengths, strict=True)]
    covariance, slopes = noise * np.eye(count), []
    for block in scaled:
        distance = cdist(block, block) * 5**0.5
        decay = np.exp(-distance) / len(rows)
        covariance += (1.0 + distance + distance**2 / 3.0) * decay
        # by the logarithm of a length, but for that number's squared difference
        slopes.append(5.0 / 3.0 * (1.0 + distance) * decay)
    factor = cholesky(covariance, lower=True)
    weights = cho_solve((factor, True), targets)
    quadratic = max(float(targets @ weights), 1e-12)
    value = 0.5 * count * np.log(quadratic) + np.log(np.diag(factor)).sum()
    inner = 0.5 * (cho_solve((factor, True), np.eye(count)) - count / quadratic * np.outer(weights, weights))
    gradient = [_by_lengths(inner * slope, block) for slope, block in zip(slopes, scaled, strict=True)]
    gradient.append(np.array([noise * np.trace(inner)]))
    deviations = np.append(np.full(sum(widths), LENGTH_DEVIATION), NOISE_DEVIATION)
    off = (logarithms - _start(widths)) / deviations
    return float(value + 0.5 * off @ off), np.concatenate(gradient) + off / deviations


def _by_lengths(weights: Matrix, rows: Matrix) -> NDArray[np.float64]:
    """For each column the sum over pairs of rows of a weight by the squared difference of the two."""
    sums: NDArray[np.float64] = 2.0 * (weights.sum(axis=1) @ rows**2 - (rows * (weights @ rows)).sum(axis=0))
    return sums
