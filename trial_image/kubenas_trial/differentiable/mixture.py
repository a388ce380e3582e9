"""A mixed network: one of a space's networks whose every choice is a weighted sum of the operations to choose from."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import partial
from typing import Any

import torch
from torch import Tensor, nn

from kubenas.api.space import SearchSpace
from kubenas.space.base import Architecture
from kubenas.space.load import build_space
from kubenas_trial.differentiable.choices import NONE, best_architecture, cell_choices
from kubenas_trial.differentiable.partial_channels import PartialChannels, normalized
from kubenas_trial.differentiable.perturbation import perturbed
from kubenas_trial.differentiable.samplers.base import Sampler
from kubenas_trial.errors import InvalidTrialError, read
from kubenas_trial.networks.build import family_of
from kubenas_trial.networks.operations import operation
from kubenas_trial.tasks.base import Task

# Of the alphas' random start, as in DARTS: they begin nearly equal.
_SCALE = 1e-3


@dataclass(frozen=True, slots=True)
class Weights:
    """What a place has in one pass: weights of its operations, of which the `active` are computed, and its own."""

    operations: Tensor
    active: Sequence[int]
    strength: Tensor


class MixedOperation(nn.Module):
    """The weighted sum of all operations at a place.

    Parameters have the names that they have in the network of an architecture with that operation. Normalizations learn
    no scale and no shift, which could undo the weights (as in DARTS).

    Args:
        names: of the operations.
        channels: from and to.
        stride: that sides are divided by.
        weights: gives those of the current pass.
    """

    def __init__(self, names: Sequence[str], channels: int, stride: int, weights: _Of) -> None:
        super().__init__()
        self.names, self.label = tuple(names), weights.label
        self._stride, self._weights = stride, weights
        for name in names:
            [made] = operation(name, channels, stride).children()
            self.add_module(name, made)
        for module in self.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.requires_grad_(requires_grad=False)

    def forward(self, inputs: Tensor) -> Tensor:
        """(batch, channels, height, width) to the same, sides divided by the stride."""
        weights = self._weights()
        total: Tensor | None = None
        for index in weights.active:
            if self.names[index] != NONE:
                term = weights.operations[index] * self.get_submodule(self.names[index])(inputs)
                total = term if total is None else total + term
        return torch.zeros_like(inputs[:, :, :: self._stride, :: self._stride]) if total is None else total


@dataclass(frozen=True, slots=True)
class _Of:
    """The weights of the place called `label` in the current pass."""

    weights: Mapping[str, Weights]
    label: str

    def __call__(self) -> Weights:
        return self.weights[self.label]

    def strength(self) -> Tensor:
        return self().strength


class Mixture(nn.Module):
    """A mixed network with the numbers that decide, the alphas.

    In each pass weights are drawn as the sampler does, but within `weighted`.

    Args:
        task: whose network it is.
        space: its cells.
        sampler: makes weights of the alphas.
        parts: 1/`parts` of the channels are mixed (PC-DARTS), and edges have strengths of their own.

    Attributes:
        network: the network.
        alphas: of each cell (places, operations).
        strengths: of each cell's edges, (places,); none where all channels are mixed.
        progress: share of the search that is done.
        noise: of the perturbation of weights.
    """

    def __init__(self, task: Task[Any, Any], space: SearchSpace, sampler: Sampler, parts: int = 1) -> None:
        super().__init__()
        self.space = build_space(space)
        self.choices = cell_choices(self.space)
        family = family_of(space, task.families, task.name)
        if family.of_cells is None:
            raise InvalidTrialError(f"evaluation.method: {task.name} has no network to mix the operations of cells in")
        self.sampler = sampler
        self.progress = self.noise = 0.0
        self._current: dict[str, Weights] = {}
        self._weigh: Callable[[], list[list[Weights]]] = self._drawn
        names = {label: one.operations for one in self.choices for label in one.labels}

        def make(label: str, channels: int, stride: int) -> nn.Module:
            of = _Of(self._current, label)
            if parts == 1:
                return MixedOperation(names[label], channels, stride, of)
            mixed = partial(MixedOperation, names[label], stride=stride, weights=of)
            return PartialChannels(parts, channels, stride, mixed, of.strength)

        skeleton = read(family.skeleton, dict(task.settings.network), "task.settings.network")
        graphs = {one.cell: one.graph for one in self.choices}
        self.network = family.of_cells(graphs, skeleton, task.interface, make)
        shapes = [(len(one.labels), len(one.operations)) for one in self.choices]
        self.alphas = nn.ParameterList([_SCALE * torch.randn(shape) for shape in shapes])
        edges = [places for places, _ in shapes] if parts > 1 else []
        self.strengths = nn.ParameterList([_SCALE * torch.randn(places) for places in edges])
        for index, shape in enumerate(shapes):
            self.register_buffer(f"kept{index}", torch.ones(shape, dtype=torch.bool))
        self.to(task.device)

    @property
    def kept(self) -> list[Tensor]:
        """What is not pruned, of each cell (places, operations)."""
        return [self.get_buffer(f"kept{index}") for index in range(len(self.choices))]

    @property
    def deciding(self) -> list[nn.Parameter]:
        """The parameters that say which operations are chosen."""
        return [*self.alphas, *self.strengths]

    @property
    def learned(self) -> list[tuple[str, nn.Parameter]]:
        """The parameters of the operations and of what is around the cells, by name."""
        return [(name, one) for name, one in self.network.named_parameters() if one.requires_grad]

    def forward(self, *inputs: Tensor) -> Tensor:
        """What the network gives for `inputs`."""
        weights = self._weigh()
        for one, rows in zip(self.choices, weights, strict=True):
            self._current.update(zip(one.labels, rows, strict=True))
        outputs: Tensor = self.network(*inputs)
        return outputs

    @contextmanager
    def weighted(self, architecture: Architecture | None = None) -> Iterator[None]:
        """Within, the operations of `architecture` have weight 1, all others 0; without one, all have mean weights."""
        if architecture is None:
            self._weigh = lambda: self._rows(self.expected(), self._all())
        else:
            alone = [[self._alone(each, one.operations) for each in one.chosen(architecture)] for one in self.choices]
            self._weigh = lambda: alone
        try:
            yield
        finally:
            self._weigh = self._drawn

    def expected(self) -> list[Tensor]:
        """The mean weights of each cell, (places, operations), whose rows sum up to 1."""
        return [self.sampler.mean(alphas, kept) for alphas, kept in zip(self.alphas, self.kept, strict=True)]

    def derive(self) -> Architecture:
        """The architecture with the largest weights, of edges with strengths too, that the space allows."""
        with torch.no_grad():
            weights = [
                (rows * strengths[:, None]).tolist()
                for rows, strengths in zip(self.expected(), self._edges(), strict=True)
            ]
        return best_architecture(self.space, self.choices, weights)

    def _drawn(self) -> list[list[Weights]]:
        weights = [
            self.sampler.draw(perturbed(mean, self.noise) if self.noise else mean, alphas, self.progress)
            for mean, alphas in zip(self.expected(), self.alphas, strict=True)
        ]
        if self.sampler.hard:
            return self._rows(weights, [[[index] for index in each.argmax(-1).tolist()] for each in weights])
        return self._rows(weights, self._all())

    def _all(self) -> list[list[list[int]]]:
        """The indices of what is not pruned, of each cell and place."""
        return [[[index for index, on in enumerate(row) if on] for row in each.tolist()] for each in self.kept]

    def _rows(self, weights: Sequence[Tensor], active: Sequence[Sequence[Sequence[int]]]) -> list[list[Weights]]:
        cells = zip(weights, active, self._edges(), strict=True)
        return [[Weights(*place) for place in zip(*each, strict=True)] for each in cells]

    def _edges(self) -> list[Tensor]:
        """The strengths of each cell's edges, 1 where all channels are mixed."""
        if not self.strengths:
            return [alphas.new_ones(len(alphas)) for alphas in self.alphas]
        return [normalized(own, one.targets) for own, one in zip(self.strengths, self.choices, strict=True)]

    def _alone(self, index: int | None, names: Sequence[str]) -> Weights:
        ones = self.alphas[0].new_ones(len(names))
        return Weights(ones, [] if index is None else [index], ones[0] * (index is not None))
