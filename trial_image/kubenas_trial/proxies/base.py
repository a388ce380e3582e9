"""What every proxy has, and how one is asked."""

from __future__ import annotations

import hashlib
import math
from collections.abc import Mapping
from typing import Protocol

import torch
from torch import nn
from torch.linalg import LinAlgError  # type: ignore[attr-defined]

from kubenas_trial.errors import InvalidTrialError, NonFiniteMetricError
from kubenas_trial.proxies.probe import Probe
from kubenas_trial.proxies.unchanged import unchanged


class Proxy(Protocol):
    """A score of a network that is computed without training it; greater is better.

    `name` and `metrics` may be plain attributes of its class.
    """

    @property
    def name(self) -> str:
        """As in `evaluation.proxies`."""

    @property
    def metrics(self) -> tuple[str, ...]:
        """The names of what it gives, each a number."""

    def __call__(self, network: nn.Module, inputs: Probe) -> Mapping[str, float]:
        """The score of a freshly initialised network, by the names of `metrics`.

        Torch's global generator is seeded before. The network may be changed, as `unchanged` says.

        Args:
            network: in training mode, on the probe's device.
            inputs: what it is looked at with.

        Raises:
            UnfitNetworkError: the proxy makes no sense for this kind of network.
        """


class UnfitNetworkError(InvalidTrialError):
    """A proxy makes no sense for a kind of network; the message says for which it does."""


def score(proxy: Proxy, network: nn.Module, probe: Probe, seed: int) -> dict[str, float]:
    """What `proxy` says of `network`, which stays as it is.

    Args:
        proxy: the proxy.
        network: the network, as it was initialised.
        probe: what it is looked at with.
        seed: of the proxy's own random draws. They depend on no other proxy that is asked.

    Raises:
        UnfitNetworkError: the proxy makes no sense for this kind of network.
        NonFiniteMetricError: a score is NaN or infinite.
    """
    try:
        with unchanged(network), torch.enable_grad():
            network.train()
            network.requires_grad_()
            torch.manual_seed(int.from_bytes(hashlib.sha256(f"{seed}/{proxy.name}".encode()).digest()[:8], "big"))
            scores = {name: float(value) for name, value in proxy(network, probe).items()}
    except LinAlgError as error:
        # Of a matrix that is not finite, as where the features of a deep network overflow.
        raise NonFiniteMetricError(f"proxy {proxy.name}: {error}") from None
    for name, value in scores.items():
        if not math.isfinite(value):
            raise NonFiniteMetricError(f"proxy {proxy.name}: {name} is {value}")
    return scores
