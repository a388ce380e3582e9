"""Terms that are added to the loss that alphas learn from."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from kubenas_trial.differentiable.mixture import MixedOperation, Mixture
from kubenas_trial.measure.cost import count_flops


def beta_decay(alphas: Sequence[Tensor]) -> Tensor:
    """The mean logarithm of the sum of exponentials of each place's alphas (Ye et al., CVPR 2022, arXiv:2203.01665).

    Its gradient pulls down the largest the most, so that no operation gets far ahead early on.
    """
    return torch.cat([each.logsumexp(-1) for each in alphas]).mean()


def operation_flops(mixture: Mixture, example: Sequence[Tensor]) -> list[Tensor]:
    """Multiply-adds of each operation in all that share its place: of each cell (places, operations).

    Args:
        mixture: the network.
        example: inputs, one example.
    """
    shapes: list[tuple[MixedOperation, torch.Size]] = []

    def seen(module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        assert isinstance(module, MixedOperation)  # noqa: S101 - hooked so
        shapes.append((module, inputs[0].shape))

    hooks = [one.register_forward_pre_hook(seen) for one in mixture.modules() if isinstance(one, MixedOperation)]
    training = mixture.training
    mixture.eval()
    try:
        with torch.no_grad(), mixture.weighted():
            mixture(*example)
    finally:
        mixture.train(training)
        for hook in hooks:
            hook.remove()
    totals = [torch.zeros_like(alphas) for alphas in mixture.alphas]
    places = {label: (cell, row) for cell, one in enumerate(mixture.choices) for row, label in enumerate(one.labels)}
    for module, shape in shapes:
        cell, row = places[module.label]
        inputs = torch.zeros(shape, device=totals[0].device)
        for index, name in enumerate(module.names):
            totals[cell][row, index] += count_flops(module.get_submodule(name), [inputs])
    return totals


def expected_flops(weights: Sequence[Tensor], flops: Sequence[Tensor]) -> Tensor:
    """The mean multiply-adds of an architecture that weights are the probabilities of, as a share of the most.

    A differentiable cost as of FBNet (Wu et al., CVPR 2019, arXiv:1812.03443) and ProxylessNAS (Cai, Zhu and Han, ICLR
    2019, arXiv:1812.00332).
    """
    most = torch.stack([each.amax(-1).sum() for each in flops]).sum()
    mean = torch.stack([(rows * each).sum() for rows, each in zip(weights, flops, strict=True)]).sum()
    return mean / most.clamp(min=1)
