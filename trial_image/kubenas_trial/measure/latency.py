"""Latency of a network on the local device."""

from __future__ import annotations

import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from statistics import quantiles
from typing import Final

import torch
from torch import Tensor, nn

from kubenas_trial.measure.export import evaluating

_WARM_UP: Final = 5
_RUNS: Final = (20, 500)
_SECONDS: Final = 1.0


@dataclass(frozen=True, slots=True)
class Latency:
    """Time of one forward pass in ms: the median, and the quartiles around it."""

    lower_ms: float
    median_ms: float
    upper_ms: float


def measure_latency(network: nn.Module, inputs: Sequence[Tensor], threads: int) -> Latency:
    """The latency of `network` on `inputs`, in evaluation mode and float32, on their device.

    The first runs do not count. There are at least 20 others, and more up to 500 as long as they take less than a
    second. On a CPU torch uses `threads` threads for each operation; a network that is none of torch's has its own.
    """
    seconds: list[float] = []
    device = inputs[0].device
    with evaluating(network), torch.inference_mode(), _threads(threads):
        for _ in range(_WARM_UP):
            network(*inputs)
        least, most = _RUNS
        while len(seconds) < least or (len(seconds) < most and sum(seconds) < _SECONDS):
            _wait(device)
            start = time.perf_counter()
            network(*inputs)
            _wait(device)
            seconds.append(time.perf_counter() - start)
    lower, median, upper = (1000 * cut for cut in quantiles(seconds, n=4, method="inclusive"))
    return Latency(lower, median, upper)


def _wait(device: torch.device) -> None:
    """Until a GPU's queued work is done."""
    if device.type == "cuda":
        torch.cuda.synchronize(device)


@contextmanager
def _threads(number: int) -> Iterator[None]:
    before = torch.get_num_threads()
    torch.set_num_threads(number)
    try:
        yield
    finally:
        torch.set_num_threads(before)
