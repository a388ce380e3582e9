"""MeCo: minimum eigenvalue of correlation (Jiang et al., NeurIPS 2023)."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from kubenas_trial.proxies.layers import calls_seen, check_numeric
from kubenas_trial.proxies.probe import Probe


class Meco:
    """The sum over all modules of the smallest eigenvalue of the correlations of their output's channels.

    The input is noise, and of two examples, as batch normalization needs, the first counts.
    """

    name = "meco"
    metrics = ("meco",)

    def __call__(self, network: nn.Module, inputs: Probe) -> Mapping[str, float]:
        """Needs no data.

        Raises:
            UnfitNetworkError: the inputs are no images or series.
        """
        check_numeric(inputs.interface, self.name)
        total = 0.0

        def see(_: nn.Module, __: Tensor, output: object) -> None:
            nonlocal total
            # A map of one pixel has no correlations.
            if isinstance(output, Tensor) and output.dim() > 2 and output[0, 0].numel() > 1:
                correlations = torch.corrcoef(output[0].flatten(1)).nan_to_num()
                total += float(torch.linalg.eigvalsh(correlations.reshape(len(output[0]), -1))[0])

        with torch.no_grad(), calls_seen([*network.modules()], see):
            network(*(torch.randn_like(each[:1].repeat(2, *[1] * (each.dim() - 1))) for each in inputs.inputs))
        return {"meco": total}
