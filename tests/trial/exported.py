"""A network's export to ONNX."""

from __future__ import annotations

from collections.abc import Sequence

import onnxruntime
import torch
from torch import Tensor, nn


def assert_same_in_onnxruntime(network: nn.Module, inputs: Sequence[Tensor]) -> None:
    """`network` is exported, and onnxruntime computes from `inputs` what torch does."""
    network.eval()
    program = torch.onnx.export(network, tuple(inputs), dynamo=True, verbose=False)
    assert program
    session = onnxruntime.InferenceSession(program.model_proto.SerializeToString())
    names = [each.name for each in session.get_inputs()]
    [found] = session.run(None, dict(zip(names, (each.numpy() for each in inputs), strict=True)))
    with torch.no_grad():
        torch.testing.assert_close(torch.from_numpy(found), network(*inputs), atol=1e-4, rtol=1e-4)
