"""Several scores of each candidate as one, by their ranks: their scales need not be alike."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal, TypeAlias

import numpy as np
from numpy.typing import NDArray

Combination: TypeAlias = Literal["log-rank-sum", "mean-rank", "vote"]
_Ranks: TypeAlias = NDArray[np.float64]
# Comparisons of candidates that are held at once.
_AT_ONCE: Final = 4_000_000


def combined(columns: Mapping[str, Sequence[float]], how: Combination) -> list[float]:
    """One number for each candidate, the greater the better.

    - log-rank-sum: the sum over columns of log(rank / N), where the best of N candidates has rank N, as AZ-NAS (Lee &
      Ham, CVPR 2024, arXiv:2403.19232) puts its scores together. One bad rank counts for more than one good rank.
    - mean-rank: the mean over columns of rank / N.
    - vote: the share of the other candidates that more columns prefer it to than the other way round; where as many do
      it counts half (the vote of Abdelfattah et al., "Zero-Cost Proxies for Lightweight NAS", ICLR 2021,
      arXiv:2101.08134, between each two).

    Args:
        columns: scores by name, each with a number for each candidate, the greater the better. Equal ones share their
            mean rank; NaN stands for a missing one and ranks last in its column.
        how: as above.

    Raises:
        ValueError: there is no column, or they are not of one length.
    """
    if not columns:
        raise ValueError("there is no column to combine")
    lengths = {name: len(column) for name, column in columns.items()}
    if len(set(lengths.values())) > 1:
        raise ValueError(f"the columns differ in length: {lengths}")
    table = np.stack([ranks(column) for column in columns.values()])
    return _COMBINATIONS[how](table).tolist() if table.size else []


def ranks(values: Sequence[float] | NDArray[np.float64]) -> _Ranks:
    """Ranks from 1 to the number of values, which the greatest has; equal values share their mean rank.

    NaN ranks below all numbers, infinite ones included.
    """
    # NaN sorts behind all numbers, so these are sorted from the greatest.
    numbers = -np.asarray(values, dtype=np.float64)
    _, groups, sizes = np.unique(numbers, return_inverse=True, return_counts=True)
    from_greatest = np.cumsum(sizes) - (sizes - 1) / 2
    found: _Ranks = len(numbers) + 1 - from_greatest[groups]
    return found


def _log_rank_sum(table: _Ranks) -> _Ranks:
    found: _Ranks = np.log(table / table.shape[1]).sum(axis=0)
    return found


def _mean_rank(table: _Ranks) -> _Ranks:
    found: _Ranks = table.mean(axis=0) / table.shape[1]
    return found


def _vote(table: _Ranks) -> _Ranks:
    count = table.shape[1]
    if count == 1:
        return np.zeros(1)
    # Twice a mean rank is whole.
    twice = (2 * table).astype(np.int32)
    found = np.empty(count)
    size = max(1, _AT_ONCE // count)
    for start in range(0, count, size):
        some = slice(start, start + size)
        margin = np.zeros((len(table[0, some]), count), dtype=np.int16)
        for column in twice:
            mine = column[some, None]
            margin += mine > column
            margin -= mine < column
        # Wins less defeats; each candidate is even with itself.
        won = np.sign(margin).sum(axis=1, dtype=np.int64)
        found[some] = (won + count - 1) / (2 * (count - 1))
    return found


_COMBINATIONS: Final[Mapping[Combination, Callable[[_Ranks], _Ranks]]] = {
    "log-rank-sum": _log_rank_sum,
    "mean-rank": _mean_rank,
    "vote": _vote,
}
