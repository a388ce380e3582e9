"""Latency of an exported network on the local device: what a benchmark of an objective with `measuredOn` does."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from kubenas_trial.environment import termination_log
from kubenas_trial.errors import InvalidTrialError
from kubenas_trial.measure.latency import Latency, measure_latency
from kubenas_trial.measure.onnx_network import OnnxNetwork
from kubenas_trial.storage.checkpoints import place_at
from kubenas_trial.termination import write

METRIC: Final = "KUBENAS_METRIC"
_TYPES: Final[Mapping[str, torch.dtype]] = {
    "tensor(float)": torch.float32,
    "tensor(float16)": torch.float16,
    "tensor(int64)": torch.int64,
    "tensor(int32)": torch.int32,
    "tensor(bool)": torch.bool,
}


def measure_onnx(model: str, threads: int, batch_size: int, length: int) -> Latency:
    """The latency of the ONNX file `model`, by onnxruntime on the CPU.

    Args:
        model: path, or URL in a bucket.
        threads: those that one operation may use.
        batch_size: examples of a pass, where the model leaves that open.
        length: of all other sizes that it leaves open.

    Raises:
        InvalidTrialError: there is no such file, or it has inputs of a type that is not known here.
        StorageError: the bucket cannot be read.
    """
    with _file(model) as path:
        network = OnnxNetwork(path, threads)
        return measure_latency(network, [*_inputs(network, batch_size, length)], threads)


def leave(found: Latency, environment: Mapping[str, str] = os.environ) -> None:
    """Write what was measured to the termination message, or print it where no operator asks for it."""
    metric = environment.get(METRIC)
    name = metric or "latency_ms"
    values = {name: found.median_ms, f"{name}_lower": found.lower_ms, f"{name}_upper": found.upper_ms}
    if metric:
        write(termination_log(environment), json.dumps(values).encode())
    else:
        sys.stdout.write(f"{json.dumps(values)}\n")


@contextmanager
def _file(model: str) -> Iterator[Path]:
    where, _, name = model.rpartition("/")
    try:
        with place_at(where or ".").reading(name) as path:
            yield path
    except FileNotFoundError:
        raise InvalidTrialError(
            f"{model} is not there: the trainer exports it where its document asks for it"
        ) from None


def _inputs(network: OnnxNetwork, batch_size: int, length: int) -> Iterator[Tensor]:
    """One tensor for each input: noise, or zeros where it takes whole numbers, which every vocabulary has."""
    for name, kind, shape in network.inputs:
        if kind not in _TYPES:
            raise InvalidTrialError(f"input {name} is of type {kind}: there are {', '.join(_TYPES)}")
        sizes = [size if isinstance(size, int) else length if index else batch_size for index, size in enumerate(shape)]
        dtype = _TYPES[kind]
        yield torch.rand(sizes, dtype=dtype) if dtype.is_floating_point else torch.zeros(sizes, dtype=dtype)
