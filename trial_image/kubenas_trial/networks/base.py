"""What every family of networks has: its interface (inputs and outputs), its skeleton, how it is built."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Generic, TypeAlias, TypeVar

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from torch import nn

from kubenas.api.space import SearchSpace
from kubenas.space.base import Value
from kubenas.space.cells import graph


@dataclass(frozen=True, slots=True)
class Images:
    """Images (batch, channels, height, width) as float32.

    A classifier gives (batch, classes), a segmenter (batch, classes, height, width), a detector rows (batch, locations,
    classes + 10) as `detector.Predictions` says.
    """

    channels: int
    height: int
    width: int
    classes: int


@dataclass(frozen=True, slots=True)
class Tokens:
    """Sequences of tokens (batch, length) as int64, `padding` behind the end of each.

    A classifier gives (batch, classes), a language model (batch, length, vocabulary).
    """

    vocabulary: int
    length: int
    classes: int
    padding: int = 0


@dataclass(frozen=True, slots=True)
class TokenPairs:
    """Source (batch, source length) and target so far (batch, target length), both int64.

    A translator gives the next token's logits at each position: (batch, target length, target_vocabulary).
    Both lengths are at most `length`.
    """

    source_vocabulary: int
    target_vocabulary: int
    length: int
    padding: int = 0


@dataclass(frozen=True, slots=True)
class Series:
    """Series (batch, channels, steps) as float32, for example a spectrogram's bands over time.

    A classifier gives (batch, classes).
    """

    channels: int
    steps: int
    classes: int


@dataclass(frozen=True, slots=True)
class Graph:
    """Nodes' features (nodes, features) as float32 and edges (2, edges) as int64, each edge in both directions.

    A classifier gives (nodes, classes).
    """

    features: int
    classes: int


@dataclass(frozen=True, slots=True)
class ImageText:
    """Images (batch, channels, height, width) as float32 and tokens (batch, length) as int64, padded.

    A classifier gives (batch, classes).
    """

    channels: int
    height: int
    width: int
    vocabulary: int
    length: int
    classes: int
    padding: int = 0


# What goes into a network and comes out of it.
Interface: TypeAlias = Images | Tokens | TokenPairs | Series | Graph | ImageText


class Skeleton(BaseModel):
    """`task.settings.network`: the size of what a family puts around the searched part."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, frozen=True, extra="forbid")


# Makes the operation at a place in a cell of (its label in the cell's graph, channels, stride).
MakeOperation: TypeAlias = Callable[[str, int, int], nn.Module]

S = TypeVar("S", bound=Skeleton)
I = TypeVar("I")  # noqa: E741 - an interface, one of the above


@dataclass(frozen=True, slots=True)
class Family(Generic[S, I]):
    """Networks that are a function of an architecture.

    A parameter's name gives its position in the space and its operation, and depends on no other decision. Decisions
    about sizes only change shapes: a smaller network has leading slices of a larger one's parameters.

    Attributes:
        skeleton: the settings around the searched part; its defaults suit a small machine or are the paper's.
        build: the network of (architecture, skeleton, interface), with fresh weights from torch's global generator.
            Raises InvalidTrialError where they do not fit together.
        default: a sound architecture to begin with, decision by decision.
        kernels: where a supernet's smaller kernels are the centres of the largest: the names of their weights, with
            the size as the only group.
        of_cells: where architectures are cells, the same network around any cells: of (the graph of each cell by its
            name, skeleton, interface, what makes an operation of a graph's label).
    """

    skeleton: type[S]
    build: Callable[[Mapping[str, Value], S, I], nn.Module]
    default: Mapping[str, Value]
    kernels: re.Pattern[str] | None = None
    of_cells: Callable[[Mapping[str, graph.Graph], S, I, MakeOperation], nn.Module] | None = None


AnyFamily = Family[Any, Any]
# One for all spaces of a preset or language, or one made for a given space.
FamilyOf = AnyFamily | Callable[[SearchSpace], AnyFamily]
