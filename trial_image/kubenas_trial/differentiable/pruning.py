"""Progressive pruning: weak operations are left out as the search goes on (P-DARTS, Chen et al., ICCV 2019).

arXiv:1904.12760 searches in three stages with 8, 5 and 3 operations at each place. Here the search is one: after each
third of it the same shares are left. What is left is learned better, and takes less time and memory.
"""

from __future__ import annotations

import math

import torch
from torch import Tensor

_SHARES = (1.0, 5 / 8, 3 / 8)


def operations_at(progress: float, operations: int) -> int:
    """How many of a place's operations are left when that share of the search is done; two at least."""
    stage = min(int(progress * len(_SHARES)), len(_SHARES) - 1)
    return min(operations, max(2, math.ceil(_SHARES[stage] * operations)))


def prune(weights: Tensor, kept: Tensor, left: int) -> None:
    """Leave out, in `kept`, all but the `left` largest weights of each place; both (places, operations)."""
    best = weights.masked_fill(~kept, -torch.inf).topk(left, dim=-1).indices
    kept &= torch.zeros_like(kept).scatter_(-1, best, value=True)
