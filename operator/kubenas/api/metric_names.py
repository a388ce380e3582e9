"""The metrics of KubeNAS' own trainer, by their names: known before anything is trained."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

TASKS: Final[Mapping[str, tuple[str, ...]]] = {
    "image-classification": ("accuracy", "loss"),
    "object-detection": ("map", "map_50"),
    "semantic-segmentation": ("mean_iou", "pixel_accuracy"),
    "text-classification": ("accuracy", "f1", "loss"),
    "text-representation": ("probe_accuracy", "mlm_loss"),
    "language-model": ("perplexity", "bits_per_character", "loss"),
    "translation": ("bleu", "chrf", "loss"),
    "keyword-spotting": ("accuracy", "loss"),
    "node-classification": ("accuracy", "loss"),
    "visual-question-answering": ("accuracy", "loss"),
}
ALWAYS: Final = ("params", "flops", "seconds", "peak_memory_mb")
INT8: Final = "int8"
# What each entry of `task.settings.measure` adds; int8 also the task's metrics.
MEASURES: Final[Mapping[str, tuple[str, ...]]] = {
    "latency_ms": ("latency_ms", "latency_ms_lower", "latency_ms_upper"),
    "onnx_latency_ms": ("onnx_latency_ms", "onnx_latency_ms_lower", "onnx_latency_ms_upper"),
    "size_mb": ("size_mb",),
    INT8: ("int8_size_mb",),
}


def of_measure(measure: str, task: str) -> list[str]:
    """What an entry of `task.settings.measure` adds."""
    return [*MEASURES[measure], *([f"{INT8}_{name}" for name in TASKS[task]] if measure == INT8 else [])]


def metric_names(task: str, measured: Iterable[str], costs: Iterable[str]) -> list[str]:
    """All metrics of a result: on the validation split, on the test split, of the network.

    Args:
        task: one of `TASKS`.
        measured: `task.settings.measure`.
        costs: what the space knows of an architecture.
    """
    own = TASKS[task]
    names = [*own, *ALWAYS, *costs, *(f"test_{name}" for name in own)]
    for measure in dict.fromkeys(measured):
        names += of_measure(measure, task)
        names += [f"test_{INT8}_{name}" for name in own if measure == INT8]
    return list(dict.fromkeys(names))
