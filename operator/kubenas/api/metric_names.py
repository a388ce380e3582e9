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

# The metrics of each training-free score; one that is not here, as users may add their own, has one of its own name.
PROXIES: Final[Mapping[str, tuple[str, ...]]] = {
    **{
        name: (name.replace("-", "_"),)
        for name in (
            "params",
            "flops",
            "trainable-layers",
            "l2_norm",
            "plain",
            "grad_norm",
            "snip",
            "grasp",
            "synflow",
            "fisher",
            "jacob_cov",
            "nwot",
            "epe_nas",
            "zen",
            "zico",
            "meco",
            "swap",
            "vkdnw",
            "decoder-params",
            "synaptic-diversity",
            "synaptic-saliency",
            "tf-tas",
            "head-confidence",
        )
    },
    "az-nas": ("az_expressivity", "az_progressivity", "az_trainability", "az_complexity"),
}
# What `default` stands for.
DEFAULT_PROXIES: Final = ("az-nas", "vkdnw")
# The combination of a candidate's proxies, over all results of its stage.
SCORE: Final = "score"
# What a differentiable search tells of itself, beside the task's metrics of the architecture that it has found.
DIFFERENTIABLE: Final = (
    "skip_share",
    "alpha_entropy",
    "hessian_eigenvalue",
    "discretization_gap",
    "restored_epoch",
)
_SPELT: Final = {name.replace("_", "-"): name for name in PROXIES}


def expanded_proxies(names: Iterable[str]) -> tuple[str, ...]:
    """The proxies that are meant, each once, by their names in `PROXIES`: `-` and `_` are one in what users write."""
    each = (one for name in names for one in (DEFAULT_PROXIES if name == "default" else (name,)))
    return tuple(dict.fromkeys(_SPELT.get(name.replace("_", "-"), name) for name in each))


def of_proxies(names: Iterable[str]) -> tuple[str, ...]:
    """The metrics of proxies, each once."""
    metrics = (PROXIES.get(name, (name.replace("-", "_"),)) for name in expanded_proxies(names))
    return tuple(dict.fromkeys(metric for own in metrics for metric in own))


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
