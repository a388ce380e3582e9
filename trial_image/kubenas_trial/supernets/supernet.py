"""One network that holds all of a space: shared parameters, of which each sub-network has leading slices."""

from __future__ import annotations

from collections.abc import Mapping

import torch
from torch import Size, Tensor, nn

from kubenas.space.base import Architecture, Space, Value
from kubenas_trial.errors import InvalidTrialError
from kubenas_trial.supernets.covering import union
from kubenas_trial.supernets.networks import Networks, Place


class Supernet(nn.Module):
    """The shared parameters of a space's networks.

    A sub-network is the ordinary network of its architecture, built without storage; its parameters are views of the
    shared ones of the same names, so what it learns they learn. Statistics of batch normalization are no part of it,
    as they are another thing for each sub-network: see `calibration`.

    Args:
        shapes: of each shared parameter, by its name.
        networks: those of the space.
        device: where it is.
        branches: the decision of which each value has shared parameters of its own, and its values (few-shot).
    """

    divided: Tensor

    def __init__(
        self,
        shapes: Mapping[str, Size],
        networks: Networks,
        device: torch.device,
        branches: tuple[str, tuple[Value, ...]] | None = None,
    ) -> None:
        super().__init__()
        self.networks, self.device, self.branches = networks, device, branches
        self.trees = nn.ModuleList(nn.Module() for _ in range(1 if branches is None else len(branches[1])))
        for tree in self.trees:
            for name, shape in shapes.items():
                *path, last = name.split(".")
                owner = tree
                for part in path:
                    if part not in owner._modules:
                        owner.add_module(part, nn.Module())
                    owner = owner.get_submodule(part)
                owner.register_parameter(last, nn.Parameter(torch.zeros(shape, device=device)))
        self._shared = [dict(tree.named_parameters()) for tree in self.trees]
        # Whether the branches have parameters of their own by now, or all have those of the first.
        self.register_buffer("divided", torch.tensor(False, device=device))

    @classmethod
    def of(
        cls,
        space: Space,
        networks: Networks,
        device: torch.device,
        branches: tuple[str, tuple[Value, ...]] | None = None,
    ) -> Supernet:
        """A supernet of `space`, each weight as a network that has it initializes it, by torch's global generator.

        Raises:
            InvalidTrialError: an architecture of the space makes no network.
        """
        found = union(space, networks)
        supernet = cls({name: shape for name, (shape, _) in found.items()}, networks, device, branches)
        first = supernet._shared[0]
        with torch.no_grad():
            for architecture in dict.fromkeys(at for _, at in found.values()):
                for place in networks.places(networks.build(architecture)):
                    if found[place.shared][1] == architecture:
                        _initialize(first[place.shared], place)
        return supernet

    def subnetwork(self, architecture: Architecture) -> nn.Module:
        """The network of `architecture`, its parameters views of the shared ones.

        Raises:
            InvalidTrialError: it has parameters that the supernet lacks, as it is of another space.
        """
        network = self.networks.bare(architecture)
        shared = self._shared[self.branch(architecture)]
        for place in self.networks.places(network):
            whole = shared.get(place.shared)
            if whole is None or not _fits(place.parameter.shape, whole.shape):
                raise InvalidTrialError(
                    f"the supernet has no {place.shared} of shape {tuple(place.parameter.shape)}"
                    f"{f', but of {tuple(whole.shape)}' if whole is not None else ''}: it is of another search space "
                    "or of another task.settings.network; train one for this"
                )
            # No parameter of its own, which `setattr` would insist on.
            place.module._parameters[place.name] = _part(whole, place)  # type: ignore[assignment]
        for module in network.modules():
            for name, buffer in module._buffers.items():
                module._buffers[name] = None if buffer is None else buffer.to(self.device)
        return network

    def branch(self, architecture: Mapping[str, Value]) -> int:
        """Which of the trees holds the parameters of `architecture`."""
        if self.branches is None or not self.divided:
            return 0
        decision, values = self.branches
        return values.index(architecture[decision])

    def divide(self) -> None:
        """Give each value of the branches' decision a copy of the parameters that all have shared until now."""
        first, *others = self._shared
        with torch.no_grad():
            for other in others:
                for name, parameter in other.items():
                    parameter.copy_(first[name])
        self.divided.fill_(True)

    def weights(self, architecture: Architecture) -> dict[str, Tensor]:
        """The parameters of one sub-network by the names that they have there, each with storage of its own."""
        network = self.subnetwork(architecture)
        return {name: parameter.detach().clone() for name, parameter in network.named_parameters()}


def _fits(shape: Size, whole: Size) -> bool:
    return len(shape) == len(whole) and all(map(int.__le__, shape, whole))


def _part(whole: Tensor, place: Place) -> Tensor:
    """What `place` has of the shared parameter: leading slices, or the centre of a kernel."""
    part = whole
    for dimension, size in enumerate(place.parameter.shape):
        if size != whole.shape[dimension]:
            centred = place.centred and dimension > 1
            part = part.narrow(dimension, (whole.shape[dimension] - size) // 2 if centred else 0, size)
    return part


def _initialize(whole: Tensor, place: Place) -> None:
    """Set a shared parameter to the values of `place`, and what is beyond them to others like them."""
    values = place.parameter.detach()
    if values.shape != whole.shape:
        deviation = float(values.std()) if values.numel() > 1 else 0.0
        whole.normal_(float(values.mean()), deviation)
    _part(whole, place).copy_(values)
