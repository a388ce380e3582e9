"""What every task gives: data, networks, a loss and metrics."""

from __future__ import annotations

import signal
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar, Generic, Literal, TypeVar, cast

import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from kubenas.api.space import SearchSpace
from kubenas.space.base import Architecture
from kubenas_trial.datasets.data import Batch, Examples, Splits
from kubenas_trial.datasets.preprocessing import Preprocessing
from kubenas_trial.errors import InvalidDatasetError
from kubenas_trial.networks.base import FamilyOf, Interface
from kubenas_trial.networks.build import build_network, family_of
from kubenas_trial.settings import TrainingSettings

S = TypeVar("S", bound=TrainingSettings)
D = TypeVar("D", bound=Splits)


@dataclass(frozen=True, slots=True)
class BuiltIn(Generic[S, D]):
    """A data set that the trainer brings along or makes.

    Attributes:
        summary: one line about it.
        load: makes it; raises InvalidDatasetError where that cannot be.
    """

    summary: str
    load: Callable[[S], D]


@dataclass(frozen=True, slots=True)
class Format(Generic[S, D]):
    """Files that a task can read.

    Attributes:
        summary: one line, with the files that it expects.
        detect: whether what lies at a path looks like it; quick, and never raises.
        read: reads it; raises InvalidDatasetError, which names the file and what is wrong with it.
    """

    summary: str
    detect: Callable[[Path], bool]
    read: Callable[[Path, S], D]


class Task(ABC, Generic[S, D]):
    """One kind of problem, on one data set and device.

    Class attributes say what a task is without any data:
        name: as in `task.name`.
        summary: one line.
        metric, goal: what a search improves by default.
        preset: a search space for it.
        epochs: what its default settings are made for, on the data that it brings along.
        settings_model: its `task.settings`.
        families: the networks that it can train, by preset or by language (`parameters`, `cell`, `macro`).
        built_in, formats: where data comes from, by name.
        preprocessing_model: what `preprocessing` is.
        classes_along: the dimension of a network's outputs along which there is a logit for each class, None where they
            are no logits.
        imported_late: modules that are imported when they are first used, as they take as long as torch.
    """

    name: ClassVar[str]
    summary: ClassVar[str]
    metric: ClassVar[str]
    goal: ClassVar[Literal["maximize", "minimize"]] = "maximize"
    preset: ClassVar[str]
    epochs: ClassVar[int]
    settings_model: ClassVar[type[TrainingSettings]]
    families: ClassVar[Mapping[str, FamilyOf]]
    built_in: ClassVar[Mapping[str, BuiltIn[Any, Any]]]
    formats: ClassVar[Mapping[str, Format[Any, Any]]]
    preprocessing_model: ClassVar[type[Preprocessing]]
    classes_along: ClassVar[int | None] = -1
    imported_late: ClassVar[tuple[str, ...]] = ()

    def __init__(self, settings: S, data: D, device: torch.device) -> None:
        self.settings = settings
        self.data = data
        self.device = device

    @property
    @abstractmethod
    def interface(self) -> Interface:
        """The inputs and outputs of its networks."""

    @abstractmethod
    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """The mean loss of `batch`, a scalar; `network` is called once."""

    @abstractmethod
    def evaluate(self, network: nn.Module, examples: Examples) -> dict[str, float]:
        """The task's metrics on `examples`, the main one first.

        Called without gradients and in evaluation mode, for validation after each epoch and for test once at the end.
        """

    @property
    @abstractmethod
    def preprocessing(self) -> Preprocessing:
        """Turns raw examples into inputs, and names the classes of the outputs."""

    @classmethod
    @abstractmethod
    def predict(cls, network: nn.Module, preprocessing: Any, raw: Sequence[Any]) -> list[Any]:
        """The prediction of `network` for each raw example; called without gradients and in evaluation mode.

        Args:
            network: one of this task's, on any device.
            preprocessing: this task's, as it was in the training.
            raw: examples as a user has them.
        """

    def build(self, architecture: Architecture, space: SearchSpace) -> nn.Module:
        """The network of `architecture` on the task's device, weights drawn from torch's global generator.

        Raises:
            InvalidTrialError: there is none for this space, or `task.settings.network` does not fit it.
        """
        family = family_of(space, self.families, self.name)
        return build_network(architecture, family, self.settings.network, self.interface).to(self.device)

    def batches(self, examples: Examples, order: Sequence[int] | None = None) -> Iterator[Batch]:
        """Batches of `examples` on the task's device, all of them in their order, or those of `order`.

        Raises:
            InvalidDatasetError: a file that is read only now is not as it should be.
        """
        numbers = list(range(len(examples)) if order is None else order)
        size = self.settings.batch_size
        # A sampler of lists is how torch gives whole batches; its types do not know that.
        loader: Iterable[Batch | InvalidDatasetError] = DataLoader(
            cast("Dataset[Any]", _Returning(examples)),
            batch_size=None,
            sampler=[numbers[start : start + size] for start in range(0, len(numbers), size)],
            num_workers=self.settings.workers,
            collate_fn=cast("Any", _as_it_is),
            worker_init_fn=_end_with_trial,
            pin_memory=self.device.type == "cuda",
        )
        for batch in loader:
            if isinstance(batch, InvalidDatasetError):
                raise batch
            yield batch.to(self.device)

    def example(self, size: int = 1) -> tuple[Tensor, ...]:
        """Inputs of `size` examples, to measure a network with."""
        return self.data.train[[0] * size].to(self.device).inputs


def outputs_of(network: nn.Module, inputs: tuple[Tensor, ...]) -> Tensor:
    """What `network` gives for `inputs`, on the CPU."""
    device = next(network.parameters()).device
    outputs: Tensor = network(*(each.to(device) for each in inputs))
    return outputs.cpu()


@dataclass(frozen=True, slots=True)
class _Returning:
    """Examples that return what is wrong with their files: a loader puts a traceback into what its workers raise."""

    examples: Examples

    def __getitem__(self, indices: Sequence[int], /) -> Batch | InvalidDatasetError:
        try:
            return self.examples[indices]
        except InvalidDatasetError as error:
            return error


def _end_with_trial(_worker: int) -> None:
    """Where all processes of a trial are asked to end, its readers still serve the step that it does."""
    signal.signal(signal.SIGTERM, signal.SIG_IGN)


def _as_it_is(batch: Batch | InvalidDatasetError) -> Batch | InvalidDatasetError:
    return batch
