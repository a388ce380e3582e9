"""The gradient of the alphas: with the weights as they are, or as the next step would make them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor

from kubenas_trial.differentiable.hessian import STEP, at_moved

# A loss, computed anew each time.
Loss: TypeAlias = Callable[[], Tensor]


def first_order(loss: Loss, parameters: Sequence[Tensor]) -> list[Tensor]:
    """The gradient of `loss`; zeros for what it does not depend on, such as cells of which the network has none."""
    value = loss()
    if not value.requires_grad:
        return [torch.zeros_like(one) for one in parameters]
    found = torch.autograd.grad(value, list(parameters), allow_unused=True)
    return [torch.zeros_like(one) if own is None else own for one, own in zip(parameters, found, strict=True)]


def second_order(
    loss: Loss, learning: Loss, deciding: Sequence[Tensor], learned: Sequence[Tensor], rate: float
) -> list[Tensor]:
    """The gradient through a step of the weights, by finite differences (DARTS, ICLR 2019, equations 6 to 8).

    The step is one of plain gradient descent, whatever optimizer the weights have.

    Args:
        loss: what alphas learn from.
        learning: what weights learn from; both are the same function of the parameters each time.
        deciding: the alphas.
        learned: the weights; changed and restored.
        rate: their learning rate.
    """

    def after_step() -> list[Tensor]:
        return first_order(loss, [*deciding, *learned])

    found = at_moved(after_step, learned, first_order(learning, learned), -rate)
    direct, towards = found[: len(deciding)], found[len(deciding) :]
    length = float(torch.stack([each.norm() for each in towards]).norm())
    if not length > 0:
        return direct
    step = STEP / length
    ahead = at_moved(lambda: first_order(learning, deciding), learned, towards, step)
    behind = at_moved(lambda: first_order(learning, deciding), learned, towards, -step)
    return [own - rate * (one - other) / (2 * step) for own, one, other in zip(direct, ahead, behind, strict=True)]
