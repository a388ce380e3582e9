"""Trained networks as files for other programs: ONNX, and torch's own exported programs."""

from __future__ import annotations

import logging
import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

import torch
from torch import Tensor, nn

from kubenas_trial.errors import InvalidTrialError

# What onnxruntime's quantization and most converters know.
_OPSET = 18


def export(network: nn.Module, inputs: Sequence[Tensor], path: Path) -> None:
    """Write `network` to `path`: `.onnx` as ONNX, `.pt2` as a program of torch.export.

    The number of examples may differ from call to call, as may the length of sequences of tokens; all else is as in
    `inputs`, which should be two examples, since one is taken for always one.

    Raises:
        InvalidTrialError: the path ends in neither.
    """
    check_suffix(path)
    if path.suffix == ".onnx":
        export_onnx(network, inputs, path)
    else:
        with _quiet():
            torch.export.save(export_program(network, inputs), path)


def check_suffix(path: Path) -> None:
    """Refuse a path that `export` cannot write, before anything is trained for it.

    Raises:
        InvalidTrialError: it ends in neither of the suffixes.
    """
    if path.suffix not in {".onnx", ".pt2"}:
        raise InvalidTrialError(f"export: {path.name} must end in .onnx or .pt2")


def export_program(network: nn.Module, inputs: Sequence[Tensor]) -> torch.export.ExportedProgram:
    """`network` as torch.export sees it, in evaluation mode."""
    with evaluating(network), torch.no_grad():
        return torch.export.export(network, tuple(inputs), dynamic_shapes=_dynamic(inputs))


def export_onnx(network: nn.Module, inputs: Sequence[Tensor], path: Path) -> None:
    """`network` as one ONNX file, with inputs `input_0`, `input_1` … and the output `output`."""
    names = [f"input_{index}" for index in range(len(inputs))]
    with evaluating(network), torch.no_grad(), _quiet():
        torch.onnx.export(
            network,
            tuple(inputs),
            path,
            dynamo=True,
            opset_version=_OPSET,
            input_names=names,
            output_names=["output"],
            dynamic_shapes=_dynamic(inputs),
            external_data=False,
            verbose=False,
        )


@contextmanager
def evaluating(network: nn.Module) -> Iterator[None]:
    """The network in evaluation mode, afterwards in the mode it was in."""
    training = network.training
    network.eval()
    try:
        yield
    finally:
        network.train(training)


def _dynamic(inputs: Sequence[Tensor]) -> tuple[dict[int, object], ...]:
    """Which sizes may vary: the first of each input, and of integers, which are tokens, the second."""
    varying = torch.export.Dim.AUTO
    return tuple(
        dict.fromkeys(range(each.ndim if not each.is_floating_point() else min(each.ndim, 1)), varying)
        for each in inputs
    )


@contextmanager
def _quiet() -> Iterator[None]:
    """Without what exporters say of their own insides."""
    logger = logging.getLogger("onnxscript")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            yield
    finally:
        logger.setLevel(level)
