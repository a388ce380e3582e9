"""Gaussian process regression on encodings (Rasmussen & Williams 2006)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache, cached_property
from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.linalg import cholesky, solve_triangular
from scipy.spatial.distance import cdist
from threadpoolctl import threadpool_limits

from kubenas.search.relevance import relevances

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from kubenas.search.encoding import Matrix
    from kubenas.search.transfer import PriorMean

# Rows that the process sees at most: its time does not grow with a long history.
ROWS: Final = 300
# Rows by which hyperparameters are chosen.
CHOOSING_ROWS: Final = 150
# The grid of the shared length, in units of the median distance, and of the noise, in units of the variance.
LENGTHS: Final = (0.3, 0.6, 1.0, 2.0)
NOISES: Final = (0.01, 0.1, 0.3)


@dataclass(frozen=True, slots=True)
class Posterior:
    """The posterior of a process at some rows.

    Attributes:
        rows: as the process scales them, one matrix a block.
        mean: of the objective.
        projected: covariance with what was observed, whitened; (observed, rows).
    """

    rows: Sequence[Matrix]
    mean: NDArray[np.float64]
    projected: NDArray[np.float64]

    def at(self, indices: Sequence[int]) -> Posterior:
        """That of some of the rows."""
        return Posterior([block[indices] for block in self.rows], self.mean[indices], self.projected[:, indices])


class GaussianProcess:
    """A Gaussian process with the mean of one Matérn 5/2 kernel for each block.

    Args:
        blocks: matrices of one row for each observation; a block is one kind of encoding.
        scores: the objective on a scale without outliers.
        seed: of the rows that are left out where there are more than `ROWS`.
        relevance: whether each number has a length scale of its own, which takes some ten times as long to choose.
        prior: of earlier results; the scores are its residuals then.

    Attributes:
        noise: variance of an observation's noise, in units of the process's own.
    """

    def __init__(
        self,
        blocks: Sequence[Matrix],
        scores: NDArray[np.float64],
        seed: int,
        *,
        relevance: bool = False,
        prior: PriorMean | None = None,
    ) -> None:
        limit_threads()
        self._blocks, self._prior = blocks, prior
        kept = _telling(scores, seed)
        self._shift = [block.mean(axis=0) for block in blocks]
        # A number that never varies says nothing.
        spread = [block.std(axis=0) for block in blocks]
        self._scale = [np.where(s > 1e-9, 1 / np.maximum(s, 1e-9), 0.0) for s in spread]
        self._rows = [block[kept] for block in self._scaled(blocks)]
        medians = [np.median(cdist(block, block)) for block in self._rows]
        self._divide([float(m) if m > 0 else 1.0 for m in medians])
        self._center = float(scores[kept].mean())
        targets = scores[kept] - self._center
        some = [block[:CHOOSING_ROWS] for block in self._rows]
        if relevance:
            lengths, self.noise = relevances(some, targets[:CHOOSING_ROWS])
            self._divide(lengths)
        else:
            length, self.noise = _best_of_grid(some, targets[:CHOOSING_ROWS])
            self._divide([length] * len(blocks))
        factor, whitened = _factorized(matern(self._rows, self._rows), self.noise, targets)
        self._factor = factor
        # Equal observations leave a little doubt.
        self._variance = max(float(whitened @ whitened) / len(targets), 1e-12)
        self._weights = solve_triangular(factor.T, whitened, lower=False)

    def predict(self, blocks: Sequence[Matrix]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Posterior mean and standard deviation, without the noise of an observation."""
        posterior = self.posterior(blocks)
        return posterior.mean, self.deviation(posterior)

    def posterior(self, blocks: Sequence[Matrix]) -> Posterior:
        """The posterior at some rows."""
        rows = self._scaled(blocks)
        kernel = matern(rows, self._rows)
        mean = self._center + kernel @ self._weights
        if self._prior is not None:
            mean += self._prior.predict(blocks)[0]
        return Posterior(rows, mean, solve_triangular(self._factor, kernel.T, lower=True))

    @cached_property
    def spread(self) -> float:
        """Standard deviation of the posterior mean over the observations."""
        return float(self.posterior(self._blocks).mean.std())

    def deviation(self, posterior: Posterior, pending: Posterior | None = None) -> NDArray[np.float64]:
        """Posterior standard deviation, and what remains of it once the results of `pending` are known."""
        remaining = 1.0 - (posterior.projected**2).sum(axis=0)
        if pending is not None:
            among = matern(pending.rows, pending.rows) - pending.projected.T @ pending.projected
            factor = cholesky(among + self.noise * np.eye(len(among)), lower=True)
            across = matern(pending.rows, posterior.rows) - pending.projected.T @ posterior.projected
            remaining -= (solve_triangular(factor, across, lower=True) ** 2).sum(axis=0)
        deviation: NDArray[np.float64] = np.sqrt(self._variance * np.maximum(remaining, 1e-9))
        return deviation

    def _scaled(self, blocks: Sequence[Matrix]) -> list[Matrix]:
        return [(block - shift) * scale for block, shift, scale in zip(blocks, self._shift, self._scale, strict=True)]

    def _divide(self, lengths: Sequence[float | NDArray[np.float64]]) -> None:
        """Take on length scales: one for each block, or for each number of it."""
        self._scale = [scale / length for scale, length in zip(self._scale, lengths, strict=True)]
        self._rows = [block / length for block, length in zip(self._rows, lengths, strict=True)]


def matern(rows: Sequence[Matrix], others: Sequence[Matrix]) -> Matrix:
    """The mean over blocks of Matérn 5/2 kernels of length 1; (rows, others)."""
    total = np.zeros((len(rows[0]), len(others[0])))
    for block, other in zip(rows, others, strict=True):
        distance = cdist(block, other) * 5**0.5
        total += (1.0 + distance + distance**2 / 3.0) * np.exp(-distance)
    return total / len(rows)


@cache
def limit_threads() -> None:
    """Have this process do linear algebra in one thread: with matrices as small as here, more only wait."""
    threadpool_limits(limits=1, user_api="blas")


def _best_of_grid(rows: Sequence[Matrix], targets: NDArray[np.float64]) -> tuple[float, float]:
    """Length scale and noise of the largest marginal likelihood."""
    found = []
    for length in LENGTHS:
        scaled = [block / length for block in rows]
        kernel = matern(scaled, scaled)
        for noise in NOISES:
            factor, whitened = _factorized(kernel, noise, targets)
            fit = -0.5 * len(whitened) * np.log(max(float(whitened @ whitened), 1e-12) / len(whitened))
            found.append((float(fit - np.log(np.diag(factor)).sum()), length, noise))
    return max(found)[1:]


def _telling(scores: NDArray[np.float64], seed: int) -> NDArray[np.intp]:
    """Which rows the process sees: half of them the best, the others drawn from the rest, in a mixed order."""
    rng = np.random.default_rng(seed)
    if len(scores) <= ROWS:
        return rng.permutation(len(scores))
    best, rest = np.split(np.argsort(-scores, kind="stable"), [ROWS // 2])
    drawn = rng.choice(rest, ROWS - len(best), replace=False)
    return rng.permutation(np.concatenate([best, drawn]))


def _factorized(
    kernel: Matrix, noise: float, targets: NDArray[np.float64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    factor = cholesky(kernel + noise * np.eye(len(kernel)), lower=True)
    return factor, solve_triangular(factor, targets, lower=True)
