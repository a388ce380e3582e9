"""What a sampler is: how the alphas become the weights of operations."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeAlias

import torch
from torch import Tensor

# Of (alphas, what is not pruned), each (places, operations): rows of probabilities, 0 for what is pruned.
Mean: TypeAlias = Callable[[Tensor, Tensor], Tensor]
# Of (probabilities, alphas, the share of the search that is done): the weights of one pass.
Draw: TypeAlias = Callable[[Tensor, Tensor, float], Tensor]
_TINY = 1e-30


@dataclass(frozen=True, slots=True)
class Sampler:
    """How the alphas of a cell become the weights of its operations; random numbers are torch's global ones.

    Attributes:
        mean: the weights that are expected. What is derived has the largest.
        draw: the weights of one pass in training; the gradient goes to the alphas.
        hard: whether a draw has one operation at each place: no other is computed.
        penalty: a term of the alphas' loss.
    """

    mean: Mean
    draw: Draw
    hard: bool = False
    penalty: Callable[[Tensor], Tensor] | None = None


def softmax(alphas: Tensor, kept: Tensor) -> Tensor:
    """The softmax of each row over what is kept."""
    return alphas.masked_fill(~kept, -torch.inf).softmax(-1)


def gumbel_softmax(probabilities: Tensor, temperature: float) -> Tensor:
    """A sample of each row, relaxed (Jang, Gu and Poole, ICLR 2017; Maddison, Mnih and Teh, ICLR 2017)."""
    noise = -torch.empty_like(probabilities).exponential_().log()
    return ((probabilities.clamp(min=_TINY).log() + noise) / temperature).softmax(-1)
