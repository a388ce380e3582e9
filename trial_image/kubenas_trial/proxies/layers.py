"""The parts of networks that proxies look at."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from typing import Any, Final, TypeAlias

import torch
from torch import Tensor, nn

from kubenas_trial.networks.base import Graph, Images, Interface, Series
from kubenas_trial.proxies.base import UnfitNetworkError

WeightedLayer: TypeAlias = nn.Conv1d | nn.Conv2d | nn.Linear
BATCH_NORMS: Final = (nn.BatchNorm1d, nn.BatchNorm2d)
NORMS: Final = (*BATCH_NORMS, nn.GroupNorm, nn.LayerNorm)
_WEIGHTED: Final = (nn.Conv1d, nn.Conv2d, nn.Linear)
_GLOBAL_POOLS: Final = (nn.AdaptiveAvgPool1d, nn.AdaptiveAvgPool2d)


def weighted_layers(network: nn.Module) -> list[WeightedLayer]:
    """The convolutions and linear layers, which papers on pruning score.

    Raises:
        UnfitNetworkError: there is none.
    """
    found = [module for module in network.modules() if isinstance(module, _WEIGHTED)]
    if not found:
        raise UnfitNetworkError("evaluation.proxies: this network has no convolution or linear layer to score")
    return found


def summed(layers: list[WeightedLayer], value: Callable[[Tensor, Tensor], Tensor]) -> float:
    """The sum over `layers` of `value` of weight and gradient, 0 for those that the loss does not depend on."""
    pairs = ((each.weight.detach(), each.weight.grad) for each in layers)
    return sum(float(value(weight, gradient)) for weight, gradient in pairs if gradient is not None)


@contextmanager
def calls_seen(modules: Sequence[nn.Module], see: Callable[[nn.Module, Tensor, Any], None]) -> Iterator[None]:
    """Call `see` with each of `modules` that is called, its first input and its output."""
    with ExitStack() as hooks:
        for module in modules:
            handle = module.register_forward_hook(lambda called, inputs, output: see(called, inputs[0], output))
            hooks.callback(handle.remove)
        yield


def check_numeric(interface: Interface, proxy: str) -> None:
    """Check that inputs can be made: images or series, of any numbers.

    Raises:
        UnfitNetworkError: they cannot.
    """
    if not isinstance(interface, Images | Series):
        raise UnfitNetworkError(f"evaluation.proxies: {proxy} makes inputs of its own: images or series")


def relu_inputs(network: nn.Module, interface: Interface, inputs: tuple[Tensor, ...], proxy: str) -> list[Tensor]:
    """What each ReLU of `network` gets for `inputs`, (examples, units) each.

    Raises:
        UnfitNetworkError: there is none, or the input is a graph, which is one example.
    """
    if isinstance(interface, Graph):
        raise UnfitNetworkError(f"evaluation.proxies: {proxy} compares examples, and a graph is only one")
    found: list[Tensor] = []
    relus = [module for module in network.modules() if isinstance(module, nn.ReLU | nn.ReLU6)]
    with torch.no_grad(), calls_seen(relus, lambda _, given, __: found.append(given.detach().flatten(1).clone())):
        network(*inputs)
    examples = len(inputs[0])
    if found := [each for each in found if len(each) == examples]:
        return found
    raise UnfitNetworkError(f"evaluation.proxies: {proxy} looks at ReLUs, and this network has none")


def pooled_features(network: nn.Module, inputs: tuple[Tensor, ...], proxy: str) -> Tensor:
    """What the last global average pool of `network` gets for `inputs`.

    Raises:
        UnfitNetworkError: there is none.
    """
    found: list[Tensor] = []
    pools = [module for module in network.modules() if isinstance(module, _GLOBAL_POOLS)]
    with calls_seen(pools, lambda _, given, __: found.append(given)):
        network(*inputs)
    if not found:
        raise UnfitNetworkError(
            f"evaluation.proxies: {proxy} looks at what is pooled over all positions before the classifier, and this "
            "network has no such pool: it is for convolutional classifiers"
        )
    return found[-1]


def blocks(network: nn.Module) -> list[nn.Module]:
    """The parts of `network` that stand one after another, such as stem, cells, residual blocks, transformer layers.

    Containers are gone into; a part is what has layers of its own, so that single layers between parts are none.
    """
    return [part for child in network.children() for part in _blocks(child)]


def _blocks(module: nn.Module) -> Iterator[nn.Module]:
    children = list(module.children())
    if type(module) in {nn.Sequential, nn.ModuleList} and any(True for each in children for _ in each.children()):
        for each in children:
            yield from _blocks(each)
    elif children:
        yield module


def block_outputs(network: nn.Module, inputs: tuple[Tensor, ...]) -> list[Tensor]:
    """What each of `blocks` gives for `inputs`, in the order of their calls."""
    found: dict[nn.Module, Tensor] = {}

    def see(called: nn.Module, _: Tensor, output: Any) -> None:
        if isinstance(output, Tensor) and output.is_floating_point():
            found.setdefault(called, output)

    with calls_seen(blocks(network), see):
        network(*inputs)
    return [*found.values()]
