"""A network is as it was, whatever a proxy has done to it."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from kubenas_trial.proxies.unchanged import unchanged


class Tied(nn.Module):
    """An embedding whose weights are also those of the output, a convolution, a list of its own."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 4)
        self.convolution = nn.Conv2d(4, 4, 3, padding=1)
        self.norm = nn.BatchNorm2d(4)
        self.output = nn.Linear(4, 5, bias=False)
        self.output.weight = self.embedding.weight
        self.seen: list[int] = [1]

    def forward(self, tokens: Tensor) -> Tensor:
        images = self.embedding(tokens).mT[..., None]
        values: Tensor = self.output(self.norm(self.convolution(images)).mean((2, 3)))
        return values


def double(network: Tied) -> None:
    network.double()


def learned(network: Tied) -> None:
    optimizer = torch.optim.SGD(network.parameters(), 1.0)
    network(torch.tensor([[1, 2], [3, 4]])).square().mean().backward()
    optimizer.step()


def frozen(network: Tied) -> None:
    network.eval().requires_grad_(False)


def positive(network: Tied) -> None:
    with torch.no_grad():
        for each in network.state_dict().values():
            each.abs_().add_(1)


def other_forward(network: Tied) -> None:
    network.norm.forward = lambda given: given  # type: ignore[assignment, method-assign]


def other_parts(network: Tied) -> None:
    network.norm = nn.Identity()  # type: ignore[assignment]
    network.output.weight = nn.Parameter(torch.zeros(5, 4))
    del network.embedding
    network.more = nn.Linear(2, 2)
    network.register_buffer("count", torch.zeros(1))
    network.seen.append(2)


def hooks(network: Tied) -> None:
    network.convolution.register_forward_hook(lambda *_: torch.zeros(()))


def raised(network: Tied) -> None:
    positive(network)
    raise ValueError("as a proxy may")


@pytest.mark.parametrize(
    "change",
    [double, learned, frozen, positive, other_forward, other_parts, hooks, raised],
    ids=lambda each: each.__name__,
)
def test_it_is_as_before(change: Callable[[Tied], None]) -> None:
    torch.manual_seed(0)
    network = Tied()
    network.norm.weight.requires_grad_(False)
    network(torch.tensor([[1, 2]])).sum().backward()
    before = described(network)
    tensors = [*network.parameters(), *network.buffers()]
    try:
        with unchanged(network):
            assert all(each.grad is None for each in network.parameters())
            assert network.convolution.weight.is_contiguous(memory_format=torch.channels_last)
            change(network)
    except ValueError:
        assert change is raised
    assert all(one is other for one, other in zip(tensors, [*network.parameters(), *network.buffers()], strict=True))
    for name, value in described(network).items():
        torch.testing.assert_close(value, before.pop(name), rtol=0, atol=0)
    assert not before
    assert network.convolution.weight.is_contiguous()


def described(network: Tied) -> dict[str, Any]:
    """Values, gradients, what learns, what there is, and what it computes in evaluation mode."""
    tensors = {**dict(network.named_parameters(remove_duplicate=False)), **dict(network.named_buffers())}
    values = {name: each.detach().clone() for name, each in tensors.items()}
    gradients = {f"{name} gradient": each.grad.clone() for name, each in tensors.items() if each.grad is not None}
    learns = {f"{name} learns": each.requires_grad for name, each in tensors.items()}
    modes = {f"{name} trains": each.training for name, each in network.named_modules()}
    with torch.no_grad():
        output = network.eval()(torch.tensor([[1, 2, 3]]))
    for name, each in network.named_modules():
        each.training = modes[f"{name} trains"]
    return values | gradients | learns | modes | {"output": output, "seen": [*network.seen]}
