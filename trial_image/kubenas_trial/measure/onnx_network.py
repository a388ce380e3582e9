"""A network that onnxruntime runs, in place of the one that it was exported from."""

from __future__ import annotations

from pathlib import Path

import onnxruntime
import torch
from torch import Tensor, nn


class OnnxNetwork(nn.Module):
    """The network in an ONNX file, on the CPU.

    Args:
        path: the file.
        threads: those that one operation may use.
    """

    def __init__(self, path: Path, threads: int) -> None:
        super().__init__()
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
        # Name, type and sizes of each input; a size that may vary is a name, or None.
        self.inputs = [(each.name, each.type, each.shape) for each in self._session.get_inputs()]

    def forward(self, *inputs: Tensor) -> Tensor:
        """What the network gives, on the device of the first input."""
        arrays = (each.numpy(force=True) for each in inputs)
        [output] = self._session.run(
            None, {name: array for (name, _, _), array in zip(self.inputs, arrays, strict=True)}
        )
        return torch.from_numpy(output).to(inputs[0].device)
