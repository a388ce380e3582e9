"""The graph networks of NAS-Bench-Graph (Qin et al., NeurIPS Datasets and Benchmarks 2022, arXiv:2206.09166)."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import reduce
from operator import add
from typing import Annotated, Final

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import dropout, relu

from kubenas.space.base import Value
from kubenas_trial.networks.base import Family, Graph, Skeleton

_HEADS: Final = 2


class Operation(nn.Module):
    """One of the space's operations but `skip`: (nodes, in_channels) to (nodes, out_channels).

    gcn and gat take the edges with each node's loop to itself, appended once for all of them; the others without.
    """

    def __init__(self, name: str, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.name = name
        self.layer = nn.ModuleDict({name: _layer(name, in_channels, out_channels)})

    def forward(self, features: Tensor, edges: Tensor, looped: Tensor) -> Tensor:
        """The features behind the operation; `looped` are `edges` with loops."""
        layer = self.layer[self.name]
        outputs: Tensor
        match self.name:
            case "fc":
                outputs = layer(features)
            case "gat" | "gcn":
                outputs = layer(features, looped)
            case _:
                outputs = layer(features, edges)
        return outputs


class Readout(nn.Module):
    """A linear layer on the concatenated values of some nodes, with separate weights for each node.

    Args:
        nodes: that it reads.
        in_channels: of each.
        out_channels: of the result.
    """

    def __init__(self, nodes: Sequence[int], in_channels: int, out_channels: int) -> None:
        super().__init__()
        # Initialized together, as the scale of the weights depends on all inputs.
        drawn = nn.Linear(len(nodes) * in_channels, out_channels)
        self.weights = nn.ParameterDict(
            {
                str(node): nn.Parameter(weight.detach().clone())
                for node, weight in zip(nodes, torch.split(drawn.weight, in_channels, dim=1), strict=True)
            }
        )
        self.bias = drawn.bias

    def forward(self, values: Sequence[Tensor]) -> Tensor:
        """The values, (nodes, in_channels) each, to (nodes, out_channels)."""
        products = [value @ weight.T for value, weight in zip(values, self.weights.values(), strict=True)]
        total: Tensor = reduce(add, products) + self.bias
        return total


def _layer(name: str, in_channels: int, out_channels: int) -> nn.Module:
    # Only here, since it takes seconds to import, and who looks at the task or its data does not need it.
    import torch_geometric.nn as geometric  # noqa: PLC0415

    layers: dict[str, Callable[[], nn.Module]] = {
        "gat": lambda: geometric.GATConv(in_channels, out_channels // _HEADS, heads=_HEADS, add_self_loops=False),
        "gcn": lambda: geometric.GCNConv(in_channels, out_channels, add_self_loops=False),
        "gin": lambda: geometric.GINConv(nn.Linear(in_channels, out_channels)),
        "cheb": lambda: geometric.ChebConv(in_channels, out_channels, K=2),
        "sage": lambda: geometric.SAGEConv(in_channels, out_channels),
        "arma": lambda: geometric.ARMAConv(in_channels, out_channels),
        "graph": lambda: geometric.GraphConv(in_channels, out_channels),
        "fc": lambda: nn.Linear(in_channels, out_channels),
    }
    layer = layers[name]()
    if name == "arma":
        # Only further layers of its stack would use this; unused, it would count as weights and get no gradient.
        del layer.weight
    return layer


class GNNSkeleton(Skeleton):
    """Size of the network; the paper chose `hidden` (64, 128 or 256), `dropout` and `pre` for each data set."""

    hidden: Annotated[int, Field(ge=2, le=4096, multiple_of=2, description="Channels of each operation.")] = 128
    dropout: Annotated[float, Field(ge=0, lt=1, description="Dropout before each layer with weights.")] = 0.7
    pre: Annotated[bool, Field(description="Whether a linear layer comes before the operations.")] = False


class GNNetwork(nn.Module):
    """An optional linear layer, four nodes that each apply an operation to an earlier node, a linear classifier.

    A skip is the identity. The classifier reads, concatenated, the nodes that no other reads, except skips of the
    input. Each operation is between dropout and ReLU.
    """

    def __init__(self, architecture: Mapping[str, Value], skeleton: GNNSkeleton, graph: Graph) -> None:
        super().__init__()
        links = str(architecture["links"])
        names = [str(architecture[f"operation.{node}"]) for node in range(4)]
        self.dropout = skeleton.dropout
        self.links = [int(link) for link in links]
        self.pre = nn.Linear(graph.features, skeleton.hidden) if skeleton.pre else None
        self.operations = nn.ModuleDict()
        # For each node the one whose value it has, which for a skip is its input's, and the width of that.
        self.sources, widths = [0], [skeleton.hidden if skeleton.pre else graph.features]
        for node, (link, name) in enumerate(zip(self.links, names, strict=True), start=1):
            if name == "skip":
                self.sources.append(self.sources[link])
                widths.append(widths[link])
            else:
                self.operations[str(node)] = Operation(name, widths[link], skeleton.hidden)
                self.sources.append(node)
                widths.append(skeleton.hidden)
        self.outputs = [node for node in range(1, 5) if str(node) not in links and self.sources[node] != 0]
        self.classifier = Readout(self.outputs, skeleton.hidden, graph.classes)

    def forward(self, features: Tensor, edges: Tensor) -> Tensor:
        """(nodes, features) and (2, edges) to (nodes, classes)."""
        nodes = torch.arange(features.shape[0], device=edges.device)
        looped = torch.cat([edges, nodes.expand(2, -1)], dim=1)
        values = {0: features if self.pre is None else relu(self.pre(self._drop(features)))}
        for node, link in enumerate(self.links, start=1):
            if self.sources[node] == node:
                operation = self.operations[str(node)]
                values[node] = relu(operation(self._drop(values[self.sources[link]]), edges, looped))
        read = self._drop(torch.cat([values[self.sources[node]] for node in self.outputs], dim=1))
        logits: Tensor = self.classifier(read.chunk(len(self.outputs), dim=1))
        return logits

    def _drop(self, values: Tensor) -> Tensor:
        return dropout(values, self.dropout, self.training)


# Two graph convolutions, as Kipf and Welling (ICLR 2017).
GNN: Final = Family(
    GNNSkeleton,
    GNNetwork,
    default={
        "links": "0123",
        "operation.0": "gcn",
        "operation.1": "gcn",
        "operation.2": "skip",
        "operation.3": "skip",
    },
)
