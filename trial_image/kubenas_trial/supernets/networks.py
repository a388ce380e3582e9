"""The networks of a search space without storage: names and shapes of their parameters, at no cost in memory."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

import torch
from torch import Size, nn
from torch.overrides import TorchFunctionMode

from kubenas.api.space import SearchSpace
from kubenas.space.base import Architecture
from kubenas_trial.networks.base import AnyFamily
from kubenas_trial.networks.build import build_network, family_of
from kubenas_trial.tasks.base import Task

_DRAWING: Final = frozenset({nn.init.uniform_, nn.init.normal_, nn.init.kaiming_uniform_, nn.init.constant_})


@dataclass(frozen=True, slots=True)
class Networks:
    """The networks of one space for one task.

    Attributes:
        family: that of the space.
        settings: `task.settings.network`.
        interface: what goes in and comes out.
    """

    family: AnyFamily
    settings: Mapping[str, Any]
    interface: object

    @classmethod
    def of(cls, task: Task[Any, Any], space: SearchSpace) -> Networks:
        """Those that `task` has of `space`.

        Raises:
            InvalidTrialError: it has none.
        """
        return cls(family_of(space, task.families, task.name), task.settings.network, task.interface)

    def bare(self, architecture: Architecture) -> nn.Module:
        """The network of `architecture`, the weights of its layers without storage, all else on the CPU.

        Raises:
            InvalidTrialError: there is none.
        """
        with _WithoutStorage():
            return self.build(architecture)

    def build(self, architecture: Architecture) -> nn.Module:
        """The network of `architecture` with weights of its own, drawn from torch's global generator.

        Raises:
            InvalidTrialError: there is none.
        """
        return build_network(architecture, self.family, self.settings, self.interface)

    def shapes(self, architecture: Architecture) -> dict[str, Size]:
        """Of each parameter the name in a supernet and the shape."""
        return {place.shared: place.parameter.shape for place in self.places(self.bare(architecture))}

    def size(self, architecture: Architecture) -> int:
        """Number of weights."""
        return sum(parameter.numel() for parameter in self.bare(architecture).parameters())

    def places(self, network: nn.Module) -> Iterator[Place]:
        """Where the parameters of `network` are."""
        for path, module in network.named_modules():
            for name, parameter in module._parameters.items():
                if parameter is not None:
                    full = f"{path}.{name}".lstrip(".")
                    centred = self.family.kernels is not None and self.family.kernels.search(full) is not None
                    yield Place(module, name, _shared(full, self.family.kernels), parameter, centred=centred)


@dataclass(frozen=True, slots=True)
class Place:
    """A parameter of a network.

    Attributes:
        module: whose it is.
        name: its name there.
        shared: its name in a supernet, the same for all kernels that are parts of one.
        parameter: itself.
        centred: whether it is the centre of a larger kernel, in all dimensions but the first two.
    """

    module: nn.Module
    name: str
    shared: str
    parameter: nn.Parameter
    centred: bool = False


class _WithoutStorage(TorchFunctionMode):
    """Gives layers weights that have a shape alone, and draws no values for them.

    Unlike `torch.device("meta")` it leaves constants their values, and takes a third of the time.
    """

    def __torch_function__(
        self, function: Any, _types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = kwargs or {}
        if function is torch.empty and kwargs.get("device") is None:
            kwargs = {**kwargs, "device": "meta"}
        elif function in _DRAWING:
            return args[0] if args else kwargs["tensor"]
        return function(*args, **kwargs)


def _shared(name: str, kernels: re.Pattern[str] | None) -> str:
    """`name` without the size of its kernel, where kernels are parts of one."""
    if kernels is None or not (found := kernels.search(name)):
        return name
    return name[: found.start(1)] + name[found.end(1) :]
