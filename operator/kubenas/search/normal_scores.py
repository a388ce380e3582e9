"""Ranks as quantiles of the standard normal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
from scipy.stats import norm

if TYPE_CHECKING:
    from numpy.typing import NDArray


def normal_scores(values: Sequence[object]) -> NDArray[np.float64]:
    """Quantiles of the standard normal at the ranks of comparable values; equal for equal values.

    They are indifferent to an objective's scale, and to how badly the worst architectures fail.
    """
    order = {value: index for index, value in enumerate(sorted(set(values)))}  # type: ignore[type-var]
    indices = np.array([order[value] for value in values])
    counts = np.bincount(indices)
    below = np.cumsum(counts) - counts
    scores: NDArray[np.float64] = norm.ppf((below + counts / 2) / len(indices))[indices]
    return scores
