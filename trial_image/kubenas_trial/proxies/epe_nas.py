"""EPE-NAS: efficient performance estimation without training (Lopes et al., ICANN 2021, arXiv:2102.08099)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from kubenas_trial.networks.base import Images, ImageText, Series
from kubenas_trial.proxies.base import UnfitNetworkError
from kubenas_trial.proxies.jacobian import input_gradients
from kubenas_trial.proxies.probe import Probe

_K = 1e-5
# Above it, a class's sum is divided by its examples, and classes are compared with each other.
_MANY_CLASSES = 100


class EpeNas:
    """How little the gradients with respect to examples of one class are alike, summed over the classes.

    Of a class: the magnitude of the sum of log(|correlation| + 1e-5) over all pairs of its examples.
    """

    name = "epe_nas"
    metrics = ("epe_nas",)

    def __call__(self, network: nn.Module, inputs: Probe) -> Mapping[str, float]:
        """On the first batch.

        Raises:
            UnfitNetworkError: examples have no class each.
        """
        labels = inputs.batches[0].targets[0]
        if not isinstance(inputs.interface, Images | Series | ImageText) or labels.dim() != 1:
            raise UnfitNetworkError("evaluation.proxies: epe_nas compares the classes of images, series or questions")
        gradients = input_gradients(network, inputs, self.name).double()
        sums = [_sum(gradients[labels == label]) for label in sorted(set(labels.tolist()))]
        if inputs.interface.classes <= _MANY_CLASSES:
            return {"epe_nas": sum(abs(each) for each in sums)}
        return {"epe_nas": sum(abs(first - second) for first in sums for second in sums) / len(sums)}


def _sum(gradients: Tensor) -> float:
    correlations = torch.corrcoef(gradients).nan_to_num().reshape(len(gradients), len(gradients))
    return float((correlations.abs() + _K).log().sum())
