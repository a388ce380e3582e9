"""AZ-NAS: assembling zero-cost proxies (Lee and Ham, CVPR 2024, arXiv:2403.19232)."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import pairwise

import torch
from torch import Tensor, nn

from kubenas_trial.networks.base import Series
from kubenas_trial.proxies.base import UnfitNetworkError
from kubenas_trial.proxies.initialisation import kaiming
from kubenas_trial.proxies.layers import block_outputs
from kubenas_trial.proxies.probe import Probe

_LEAST = 1e-8
# Of a block that passes no gradient on; also that of one which changes nothing, as the authors rank it last.
_WORST = -1e6


class AzNas:
    """Four scores that are ranked together, of the outputs of a network's blocks under Kaiming's initialisation.

    Expressivity: entropies of the channels' principal components, summed over the blocks. Progressivity: by how much it
    grows at least from one block to the next. Trainability: how close to 1 the largest singular value of each block's
    Jacobian is, by a random gradient. Complexity: FLOPs.
    """

    name = "az-nas"
    metrics = ("az_expressivity", "az_progressivity", "az_trainability", "az_complexity")

    def __call__(self, network: nn.Module, inputs: Probe) -> Mapping[str, float]:
        """On the first batch.

        Raises:
            UnfitNetworkError: the network has fewer than two blocks.
        """
        kaiming(network)
        series = isinstance(inputs.interface, Series)
        outputs = block_outputs(network, inputs.inputs)
        if len(outputs) < 2:
            raise UnfitNetworkError("evaluation.proxies: az-nas compares a network's blocks, and this one has no two")
        entropies = [_entropy(_channels_second(each.detach(), series=series)) for each in outputs]
        trainability = [_trainability(first, last, series=series) for first, last in pairwise(outputs)]
        return {
            "az_expressivity": sum(entropies),
            "az_progressivity": min(last - first for first, last in pairwise(entropies)),
            "az_trainability": sum(trainability) / len(trainability),
            "az_complexity": inputs.flops(network),
        }


def _channels_second(values: Tensor, *, series: bool) -> Tensor:
    """(examples, channels, height, width) of any block's output: of a map, a series, a sequence or a vector."""
    if values.dim() == 3:
        values = values if series else values.transpose(1, 2)
    return values.reshape(*values.shape, *[1] * (4 - values.dim()))


def _rows(values: Tensor) -> Tensor:
    """(examples, channels, height, width) to (examples and positions, channels)."""
    return values.transpose(1, 3).reshape(-1, values.shape[1])


def _entropy(values: Tensor) -> float:
    rows = _rows(values)
    rows = rows - rows.mean(0)
    variances = torch.linalg.eigvalsh(rows.T @ rows / len(rows)).clamp(min=0)
    if float(variances.sum()) == 0:
        return 0.0
    shares = variances / variances.sum()
    return float(-(shares * (shares + _LEAST).log()).sum())


def _trainability(first: Tensor, last: Tensor, *, series: bool) -> float:
    signs = torch.randint_like(last, 2) * 2 - 1
    # What comes behind a cell without operations is constant.
    if not (first.requires_grad and last.requires_grad):
        return _WORST
    [gradient] = torch.autograd.grad(last, [first], signs, retain_graph=True, allow_unused=True)
    if gradient is None or (gradient.shape == signs.shape and bool((gradient == signs).all())):
        return _WORST
    signs = _channels_second(signs, series=series)
    gradient = _folded(_channels_second(gradient, series=series), signs.shape[2], signs.shape[3])
    jacobian = _rows(gradient).T @ _rows(signs) / _rows(signs).shape[0]
    largest = float(torch.linalg.matrix_norm(jacobian, 2))
    return 2 - largest - 1 / (largest + 1e-6)


def _folded(values: Tensor, height: int, width: int) -> Tensor:
    """`values` with all pixels of a patch as channels, so that there are `height` x `width` patches."""
    rows, columns = -(-values.shape[2] // height), -(-values.shape[3] // width)
    padded = nn.functional.pad(values, (0, columns * width - values.shape[3], 0, rows * height - values.shape[2]))
    patches = padded.reshape(*padded.shape[:2], height, rows, width, columns)
    return patches.permute(0, 1, 3, 5, 2, 4).flatten(1, 3)
