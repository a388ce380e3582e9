"""What makes a predicted architecture worth a trial."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import numpy as np
from scipy.special import erfcx
from scipy.stats import norm

if TYPE_CHECKING:
    from numpy.typing import NDArray

DIRECTIONS: Final = 64
# Deviations below the best from which an asymptotic expansion is more exact than the difference of near numbers.
FAR: Final = -1e3


def log_expected_improvement(
    mean: NDArray[np.float64], deviation: NDArray[np.float64], best: float
) -> NDArray[np.float64]:
    """Logarithm of the expected improvement on `best` (Jones, Schonlau, Welch 1998); greater is better.

    Also where the improvement itself is too small for a number, so that hopeless candidates still differ (Ament et al.,
    "Unexpected Improvements to Expected Improvement for Bayesian Optimization", NeurIPS 2023, arXiv:2310.20708).
    """
    standard = (mean - best) / deviation
    # phi(z) + z Phi(z) = phi(z) (1 + z Phi(z) / phi(z)); far below 0 the bracket is 1 / z^2 but for terms of 1 / z^4.
    below = np.minimum(standard, -1.0)
    ratio = np.sqrt(np.pi / 2) * erfcx(-below / np.sqrt(2))
    bracket = np.where(below < FAR, below**-2.0, 1.0 + below * ratio)
    small = norm.logpdf(below) + np.log(bracket)
    above = np.maximum(standard, -1.0)
    improvement: NDArray[np.float64] = np.log(deviation) + np.where(
        standard < -1.0, small, np.log(norm.pdf(above) + above * norm.cdf(above))
    )
    return improvement


def hypervolume_sequence(
    front: NDArray[np.float64], samples: NDArray[np.float64], chances: NDArray[np.float64], count: int, seed: int
) -> list[int]:
    """Points in the order in which they are expected to add most hypervolume to a front and those chosen before them.

    The hypervolume is the mean over directions of a power of the greatest length reached along each (Zhang &
    Golovin, "Random Hypervolume Scalarizations", ICML 2020, arXiv:2006.04655): exact in the limit for any number of
    objectives, and cheap to update.

    Args:
        front: objectives of what is known, a row each; greater is better, 0 is the reference point.
        samples: what the objectives of the points may be, of shape (samples, points, objectives).
        chances: probability of each point to be within the limits.
        count: how many to choose.
        seed: of the directions.
    """
    directions = random_directions(DIRECTIONS, samples.shape[2], seed)
    reached = lengths_along(front, directions).max(axis=0, initial=0.0)
    lengths = np.stack([lengths_along(points, directions) for points in samples])
    expected = lengths.mean(axis=0)
    left = np.ones(len(chances), dtype=bool)
    chosen: list[int] = []
    for _ in range(min(count, len(chances))):
        gain = np.maximum(lengths - reached, 0.0).mean(axis=(0, 2)) * chances
        # Where nothing adds any more, what comes nearest.
        near = (expected / np.maximum(reached, 1e-12)).mean(axis=1) * chances
        gain = np.where(gain > 0, gain, -1.0 + 1e-3 * near)
        pick = int(np.argmax(np.where(left, gain, -np.inf)))
        left[pick] = False
        chosen.append(pick)
        reached = np.maximum(reached, expected[pick])
    return chosen


def random_directions(count: int, objectives: int, seed: int) -> NDArray[np.float64]:
    """Directions of length 1 from the reference point, even over the positive part of the sphere, a row each."""
    directions = np.abs(np.random.default_rng(seed).standard_normal((count, objectives)))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    return directions


def lengths_along(points: NDArray[np.float64], directions: NDArray[np.float64]) -> NDArray[np.float64]:
    """How far each point reaches along each direction, to the power of their number; (points, directions)."""
    reach = (np.maximum(points, 0.0)[:, None, :] / np.maximum(directions, 1e-9)).min(axis=2)
    lengths: NDArray[np.float64] = reach ** points.shape[1]
    return lengths
