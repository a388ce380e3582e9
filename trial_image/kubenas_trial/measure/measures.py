"""What a trial measures beside its task's metrics, as `task.settings.measure` lists it.

    latency_ms       median time of a forward pass, with its quartiles latency_ms_lower and latency_ms_upper
    onnx_latency_ms  the same in onnxruntime, on the CPU
    size_mb          weights and buffers
    int8             the task's metrics after dynamic quantization to 8 bits, as int8_…, and int8_size_mb

A name is that of the metric, so that it can be an objective or have a limit.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Final

import torch
from torch import Tensor, nn

from kubenas_trial.tasks.base import Task

# The libraries of ONNX take seconds to import, and most trials measure nothing of the kind: each function below
# imports what it needs.


# What each measure imports, but for onnxruntime, which starts a thread as it is imported.
MODULES: Final[Mapping[str, tuple[str, ...]]] = dict.fromkeys(
    ("onnx_latency_ms", "int8"), ("torch._dynamo", "onnxscript")
)


def before_training(task: Task[Any, Any], network: nn.Module) -> dict[str, float]:
    """The measures that do not depend on the weights' values."""
    wanted = set(task.settings.measure)
    measured: dict[str, float] = {}
    if "size_mb" in wanted:
        measured["size_mb"] = size_mb(network)
    if "latency_ms" in wanted:
        measured |= _latency("latency_ms", task, network)
    if "onnx_latency_ms" in wanted:
        from kubenas_trial.measure.export import export_onnx  # noqa: PLC0415
        from kubenas_trial.measure.onnx_network import OnnxNetwork  # noqa: PLC0415

        with TemporaryDirectory() as folder:
            path = Path(folder) / "network.onnx"
            export_onnx(network, task.example(2), path)
            measured |= _latency("onnx_latency_ms", task, OnnxNetwork(path, task.settings.latency_threads))
    return measured


def after_training(task: Task[Any, Any], network: nn.Module) -> dict[str, float]:
    """The measures that depend on the weights' values."""
    if "int8" not in task.settings.measure:
        return {}
    from kubenas_trial.measure.export import export_onnx  # noqa: PLC0415
    from kubenas_trial.measure.onnx_network import OnnxNetwork  # noqa: PLC0415
    from kubenas_trial.measure.quantize import quantize  # noqa: PLC0415

    with TemporaryDirectory() as folder:
        whole, quantized = Path(folder) / "network.onnx", Path(folder) / "int8.onnx"
        export_onnx(network, task.example(2), whole)
        quantize(whole, quantized)
        int8 = OnnxNetwork(quantized, torch.get_num_threads())
        with torch.inference_mode():
            validation = task.evaluate(int8, task.data.validation)
            test = task.evaluate(int8, task.data.test)
        return {
            **_named("int8_", validation),
            **_named("test_int8_", test),
            "int8_size_mb": quantized.stat().st_size / 1e6,
        }


def size_mb(network: nn.Module) -> float:
    """Size of the weights and buffers in MB (10^6 bytes)."""
    tensors: Iterable[Tensor] = network.state_dict().values()
    return sum(each.numel() * each.element_size() for each in tensors) / 1e6


def _latency(name: str, task: Task[Any, Any], network: nn.Module) -> dict[str, float]:
    from kubenas_trial.measure.latency import measure_latency  # noqa: PLC0415

    settings = task.settings
    measured = measure_latency(network, task.example(settings.latency_batch_size), settings.latency_threads)
    return {
        name: measured.median_ms,
        f"{name}_lower": measured.lower_ms,
        f"{name}_upper": measured.upper_ms,
    }


def _named(prefix: str, metrics: Mapping[str, float]) -> dict[str, float]:
    return {f"{prefix}{name}": value for name, value in metrics.items()}
