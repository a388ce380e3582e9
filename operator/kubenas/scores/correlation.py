"""How far two scores put candidates in the same order."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from kubenas.scores.combine import ranks


def kendall(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Kendall's tau-b (Kendall, "The Treatment of Ties in Ranking Problems", Biometrika 1945), from -1 to 1.

    Args:
        first: a number for each candidate; NaN where there is none, which leaves the candidate out.
        second: as `first`.

    Returns:
        None where fewer than two candidates have both, or where either has one value only.

    Raises:
        ValueError: they differ in length.
    """
    pair = _both(first, second)
    if pair is None:
        return None
    from scipy.stats import kendalltau  # noqa: PLC0415 - takes long to import, and few need it

    # Ranks order as the values do, infinite ones too.
    return float(kendalltau(*pair).statistic)


def spearman(first: Sequence[float], second: Sequence[float]) -> float | None:
    """Spearman's rank correlation (American Journal of Psychology 1904); arguments and result as those of `kendall`."""
    pair = _both(first, second)
    return None if pair is None else float(np.corrcoef(*pair)[0, 1])


def _both(first: Sequence[float], second: Sequence[float]) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Ranks of the candidates that have both."""
    if len(first) != len(second):
        raise ValueError(f"{len(first)} and {len(second)} numbers cannot be compared candidate by candidate")
    values = np.array([first, second], dtype=np.float64).reshape(2, -1)
    values = values[:, ~np.isnan(values).any(axis=0)]
    if values.shape[1] < 2 or any((row == row[0]).all() for row in values):
        return None
    return ranks(values[0]), ranks(values[1])
