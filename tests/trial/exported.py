"""A network's export to ONNX."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from tempfile import TemporaryDirectory

import torch
from torch import Tensor, nn

from kubenas_trial.measure.export import export_onnx
from kubenas_trial.measure.onnx_network import OnnxNetwork


def assert_same_in_onnxruntime(
    network: nn.Module, inputs: Sequence[Tensor], *others: Sequence[Tensor], tolerance: float = 1e-4
) -> None:
    """`network` is exported by `inputs`, and onnxruntime computes from them, and from `others`, what torch does."""
    network.eval()
    with TemporaryDirectory() as folder, torch.no_grad():
        export_onnx(network, inputs, Path(folder) / "network.onnx")
        exported = OnnxNetwork(Path(folder) / "network.onnx", threads=1)
        for each in (inputs, *others):
            torch.testing.assert_close(exported(*each), network(*each), rtol=tolerance, atol=tolerance)
