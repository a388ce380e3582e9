"""One graph whose nodes have classes, and which of them are learned from."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Annotated, Literal, TypeAlias

import torch
from pydantic import Field
from torch import Tensor

from kubenas_trial.datasets.data import Batch, Splits, stratified
from kubenas_trial.datasets.preprocessing import Preprocessing
from kubenas_trial.errors import InvalidDatasetError
from kubenas_trial.settings import TrainingSettings

Normalization: TypeAlias = Literal["rows", "columns", "none"]


class GraphSettings(TrainingSettings):
    """How a graph becomes a network's inputs."""

    normalization: Annotated[
        Normalization,
        Field(
            description="rows: each node's features over the sum of their sizes, as usual for counts of words; "
            "columns: each feature to mean 0 and deviation 1 over the training nodes."
        ),
    ] = "rows"


@dataclass(frozen=True, slots=True)
class Nodes:
    """Some nodes of a graph, as one example, since a network always takes the whole graph.

    Inputs are the features and edges of all nodes, targets the classes of all and the numbers of these nodes.

    Attributes:
        features: (nodes, features).
        edges: (2, edges), each in both directions, none from a node to itself.
        labels: class of each node of the graph.
        members: numbers of these nodes.
    """

    features: Tensor
    edges: Tensor
    labels: Tensor
    members: Tensor

    def __len__(self) -> int:
        return 1

    def __getitem__(self, indices: Sequence[int], /) -> Batch:
        return Batch((self.features, self.edges), (self.labels[self.members], self.members))


class GraphPreprocessing(Preprocessing):
    """A graph whose features are normalized as `GraphSettings` says.

    Attributes:
        normalization: how.
        mean, deviation: of each feature over the training nodes, for columns.
    """

    normalization: Normalization
    mean: tuple[float, ...] = ()
    deviation: tuple[float, ...] = ()

    def inputs(self, raw: Sequence[tuple[Tensor, Tensor]]) -> tuple[Tensor, ...]:
        """Normalized features (nodes, features) and edges in both directions, from raw ones of one graph."""
        [(features, edges)] = raw
        return self.normalized(features.float()), undirected(edges.long(), len(features))

    def normalized(self, features: Tensor) -> Tensor:
        """(nodes, features)."""
        match self.normalization:
            case "rows":
                # A node without features keeps none.
                return features / features.abs().sum(1, keepdim=True).clamp(min=1e-12)
            case "columns":
                return (features - torch.tensor(self.mean)) / torch.tensor(self.deviation)
            case "none":
                return features


@dataclass(frozen=True, slots=True)
class GraphData(Splits):
    """A graph with training, validation and test nodes.

    Attributes:
        features: of each node.
        classes: names of the classes, in the order of their numbers.
        preprocessing: makes a network's inputs of raw features and edges.
    """

    features: int
    classes: tuple[str, ...]
    preprocessing: GraphPreprocessing


@dataclass(frozen=True, slots=True)
class RawGraph:
    """A graph as files have it.

    Attributes:
        at: file or folder, for messages.
        features: (nodes, features), of any type of number, dense or sparse.
        edges: (2, edges), in one direction or both, loops and repetitions allowed.
        labels: class of each node from 0; -1 where it has none.
        splits: numbers of the training, validation and test nodes, where they are published.
        classes: their names; None for their numbers.
    """

    at: str
    features: Tensor
    edges: Tensor
    labels: Tensor
    splits: tuple[Tensor, Tensor, Tensor] | None = None
    classes: tuple[str, ...] | None = None


def as_graph_data(raw: RawGraph, settings: GraphSettings) -> GraphData:
    """`raw` with clean edges and features, split as published or else by class and `split_seed`.

    Raises:
        InvalidDatasetError: parts of it do not fit together, or it is larger than the memory limit.
    """
    nodes, width = raw.features.shape
    _check_size(raw, settings)
    raw = replace(raw, features=raw.features.to_dense())
    _check(raw)
    labels = raw.labels.long()
    if raw.splits is None:
        known = (labels >= 0).nonzero().flatten()
        train, validation, test = (known[part] for part in stratified(labels[known].tolist(), settings.split_seed))
    else:
        train, validation, test = (part.long() for part in raw.splits)
    count = len(raw.classes) if raw.classes is not None else int(labels.max()) + 1
    if not 0 < count <= nodes:
        what = f"has the class {count - 1} among {nodes} nodes" if count else "no node has a class"
        raise InvalidDatasetError(f"{raw.at}: {what}: number classes 0, 1, 2 … without gaps")
    classes = raw.classes or tuple(map(str, range(count)))
    if len(classes) < 2:
        raise InvalidDatasetError(f"{raw.at}: all nodes have the class {''.join(classes)}: two classes are needed")
    _check_splits(raw.at, labels, (train, validation, test), classes)
    whole = raw.features.float()
    preprocessing = _fitted(whole[train], settings.normalization, classes)
    features, edges = preprocessing.normalized(whole), undirected(raw.edges.long(), nodes)
    splits = [Nodes(features, edges, labels, members) for members in (train, validation, test)]
    return GraphData(splits[0], splits[1], splits[2], width, classes, preprocessing)


def undirected(edges: Tensor, nodes: int) -> Tensor:
    """`edges` (2, edges) in both directions, each once, without those from a node to itself."""
    source, target = edges[:, edges[0] != edges[1]]
    numbers = torch.unique(torch.cat([source * nodes + target, target * nodes + source]))
    return torch.stack([numbers // nodes, numbers % nodes])


def _fitted(train: Tensor, kind: Normalization, classes: tuple[str, ...]) -> GraphPreprocessing:
    """By the features of the training nodes."""
    mean, deviation = (train.mean(0), train.std(0, unbiased=False)) if kind == "columns" else (train[0, :0],) * 2
    return GraphPreprocessing(
        classes=classes,
        normalization=kind,
        mean=tuple(mean.tolist()),
        deviation=tuple(deviation.clamp(min=1e-6).tolist()),
    )


def _check_size(raw: RawGraph, settings: GraphSettings) -> None:
    nodes, width = raw.features.shape
    if width == 0:
        raise InvalidDatasetError(f"{raw.at}: the nodes have no features: give each one, such as its degree")
    megabytes = nodes * width * 4 / 1e6
    if megabytes > settings.memory_limit_mb:
        raise InvalidDatasetError(
            f"{raw.at}: {nodes} nodes with {width} features take {megabytes:.0f} MB, and a graph is held in memory "
            f"as a whole: raise task.settings.memoryLimitMb, which is {settings.memory_limit_mb}"
        )


def _check(raw: RawGraph) -> None:
    nodes = len(raw.features)
    if len(raw.labels) != nodes:
        raise InvalidDatasetError(f"{raw.at}: {nodes} nodes have features, {len(raw.labels)} have labels")
    if not bool(raw.features.isfinite().all()):
        [node, *_] = (~raw.features.isfinite()).any(1).nonzero().flatten().tolist()
        raise InvalidDatasetError(f"{raw.at}: node {node} has a feature that is no finite number")
    if raw.edges.numel() == 0:
        raise InvalidDatasetError(f"{raw.at}: the graph has no edges")
    if int(raw.edges.min()) < 0 or int(raw.edges.max()) >= nodes:
        wrong = int(raw.edges[(raw.edges < 0) | (raw.edges >= nodes)][0])
        raise InvalidDatasetError(f"{raw.at}: an edge names node {wrong}, and nodes are numbered 0 to {nodes - 1}")


def _check_splits(at: str, labels: Tensor, splits: Sequence[Tensor], classes: Sequence[str]) -> None:
    names = ("training", "validation", "test")
    seen: set[int] = set()
    for name, members in zip(names, splits, strict=True):
        if len(members) == 0:
            raise InvalidDatasetError(f"{at}: no node is left for {name}")
        numbers: list[int] = members.tolist()
        if shared := seen.intersection(numbers):
            raise InvalidDatasetError(f"{at}: node {min(shared)} is in two of training, validation and test")
        seen.update(numbers)
        wrong = members[(labels[members] < 0) | (labels[members] >= len(classes))]
        if len(wrong):
            node = int(wrong[0])
            raise InvalidDatasetError(f"{at}: {name} node {node} has class {int(labels[node])}, which is none")
    learned = Counter(labels[splits[0]].tolist())
    for number, name in enumerate(classes):
        if not learned[number]:
            raise InvalidDatasetError(f"{at}: class {name} has no training node")
