"""The loss's curvature in the alphas, whose growth tells of collapse (Zela et al., ICLR 2020, arXiv:1909.09656)."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

# As of DARTS' finite differences.
STEP = 1e-2
_ITERATIONS = 5
_TOLERANCE = 3e-2


def largest_eigenvalue(gradient: Callable[[], list[Tensor]], parameters: Sequence[Tensor]) -> float:
    """The largest eigenvalue of the Hessian, by power iteration on central differences of the gradient.

    Where the eigenvalue of largest size is negative, a second iteration finds the largest of the shifted Hessian.

    Args:
        gradient: the loss's gradient at the parameters' current values, the same each time.
        parameters: changed and restored in place.
    """
    found = _power(gradient, parameters, 0.0)
    return found if found >= 0 else _power(gradient, parameters, -found) + found


def _power(gradient: Callable[[], list[Tensor]], parameters: Sequence[Tensor], shift: float) -> float:
    """The eigenvalue of largest size of the Hessian plus `shift`."""
    sizes = [one.numel() for one in parameters]
    # Any start that is not at right angles to the eigenvector: the same one each time.
    vector = torch.randn(sum(sizes), generator=torch.Generator().manual_seed(0)).to(parameters[0])
    vector /= vector.norm()
    value = 0.0
    for _ in range(_ITERATIONS):
        product = _product(gradient, parameters, torch.split(vector, sizes)) + shift * vector
        last, value = value, float(vector @ product)
        if abs(value - last) <= _TOLERANCE * abs(value) or not product.norm() > 0:
            break
        vector = product / product.norm()
    return value


def _product(gradient: Callable[[], list[Tensor]], parameters: Sequence[Tensor], vector: Sequence[Tensor]) -> Tensor:
    """The Hessian times `vector`, whose length is 1."""
    ahead = at_moved(gradient, parameters, vector, STEP)
    behind = at_moved(gradient, parameters, vector, -STEP)
    return torch.cat([((one - other) / (2 * STEP)).flatten() for one, other in zip(ahead, behind, strict=True)])


def at_moved(
    gradient: Callable[[], list[Tensor]], parameters: Sequence[Tensor], direction: Sequence[Tensor], step: float
) -> list[Tensor]:
    """What `gradient` gives where the parameters are moved by `step` times `direction`; they are restored exactly."""
    before = [one.detach().clone() for one in parameters]
    with torch.no_grad():
        for one, along in zip(parameters, direction, strict=True):
            one.add_(along.view_as(one), alpha=step)
    try:
        return gradient()
    finally:
        with torch.no_grad():
            for one, value in zip(parameters, before, strict=True):
                one.copy_(value)
