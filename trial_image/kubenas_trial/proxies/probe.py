"""What proxies look at networks with: a batch of a task's examples, or of noise."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Literal
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn

from kubenas_trial.datasets.data import Batch
from kubenas_trial.measure.cost import count_flops
from kubenas_trial.networks.base import Graph, Images, ImageText, Interface, Series, TokenPairs, Tokens
from kubenas_trial.tasks.load import AnyTask


@dataclass(frozen=True, slots=True)
class Probe:
    """Inputs, targets and loss, the same for all networks that are compared.

    Attributes:
        batches: two of the task's batch size, on the device: most proxies use the first alone. Where there are fewer
            examples than that, as in a single graph, they are the same ones, with noise of their own.
        example: one input, as FLOPs are counted with.
        loss: the mean loss of a network on a batch.
        interface: what goes into the networks and comes out.
        device: that they are on.
    """

    batches: tuple[Batch, Batch]
    example: tuple[Tensor, ...]
    loss: Callable[[nn.Module, Batch], Tensor]
    interface: Interface
    device: torch.device
    _flops: WeakKeyDictionary[nn.Module, int] = field(default_factory=WeakKeyDictionary, repr=False, compare=False)

    def flops(self, network: nn.Module) -> int:
        """Multiply-adds of `network` for an example, counted once: proxies and the trial itself ask for them."""
        if network not in self._flops:
            self._flops[network] = count_flops(network, self.example)
        return self._flops[network]

    @property
    def inputs(self) -> tuple[Tensor, ...]:
        """The inputs of the first batch: `network(*inputs)`."""
        return self.batches[0].inputs

    @classmethod
    def of(cls, task: AnyTask, kind: Literal["noise", "data"], seed: int) -> Probe:
        """The probe of `task`: training examples drawn by `seed`, or noise in their shape with their targets."""
        generator = torch.manual_seed(seed)  # augmentation draws from the global one
        count, size = len(task.data.train), task.settings.batch_size
        order = torch.randperm(count, generator=generator).tolist()
        drawn = [order[:size], order[size : 2 * size]]
        first, second = (task.data.train[numbers or drawn[0]] for numbers in drawn)
        batches = first, (second if len(drawn[1]) == len(drawn[0]) else first)
        if kind == "noise":
            batches = _noise(batches[0], task.interface), _noise(batches[1], task.interface)
        return cls(
            (_laid_out(batches[0].to(task.device)), _laid_out(batches[1].to(task.device))),
            task.example(),
            task.loss,
            task.interface,
            task.device,
        )


def _laid_out(batch: Batch) -> Batch:
    """`batch` in the layout that `base.score` gives to networks."""
    inputs = (each.contiguous(memory_format=torch.channels_last) if each.dim() == 4 else each for each in batch.inputs)
    return Batch(tuple(inputs), batch.targets)


def _noise(batch: Batch, interface: Interface) -> Batch:
    """`batch` with inputs of noise: pixels and features from a normal distribution, tokens from the vocabulary.

    Targets, edges and padding stay.
    """
    return Batch(tuple(_draws(batch.inputs, interface)), batch.targets)


def _draws(inputs: tuple[Tensor, ...], interface: Interface) -> Iterator[Tensor]:
    match interface:
        case Images() | Series():
            yield from (torch.randn_like(each) for each in inputs)
        case Graph():
            yield torch.randn_like(inputs[0])
            yield from inputs[1:]
        case Tokens():
            yield from (_tokens(each, interface.vocabulary, interface.padding) for each in inputs)
        case TokenPairs():
            yield _tokens(inputs[0], interface.source_vocabulary, interface.padding)
            yield _tokens(inputs[1], interface.target_vocabulary, interface.padding)
        case ImageText():
            yield torch.randn_like(inputs[0])
            yield _tokens(inputs[1], interface.vocabulary, interface.padding)


def _tokens(tokens: Tensor, vocabulary: int, padding: int) -> Tensor:
    drawn = torch.randint_like(tokens, vocabulary)
    return torch.where(tokens == padding, tokens, drawn)
