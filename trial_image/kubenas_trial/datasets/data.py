"""Examples, batches of them and the three splits."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import compress
from typing import Final, Generic, Protocol, TypeVar

import torch
from torch import Tensor

T = TypeVar("T")

# What files and columns call the splits.
SPLIT_NAMES: Final[Mapping[str, tuple[str, ...]]] = {
    "train": ("train", "training"),
    "validation": ("validation", "valid", "val", "dev"),
    "test": ("test", "testing"),
}


@dataclass(frozen=True, slots=True)
class Batch:
    """Some examples: `network(*inputs)` is called with the one, the loss compares with the other."""

    inputs: tuple[Tensor, ...]
    targets: tuple[Tensor, ...]

    def to(self, device: torch.device) -> Batch:
        """The same on `device`."""
        return self._with(lambda tensor: tensor.to(device, non_blocking=True))

    def pin_memory(self) -> Batch:
        """The same where a GPU copies from while it computes."""
        return self._with(Tensor.pin_memory)

    def _with(self, change: Callable[[Tensor], Tensor]) -> Batch:
        return Batch(tuple(map(change, self.inputs)), tuple(map(change, self.targets)))


class Examples(Protocol):
    """Examples by number, for `torch.utils.data.DataLoader`: a list of numbers gives a batch.

    What is drawn (augmentation) comes from torch's global generator, which is seeded anew for every epoch.
    """

    def __len__(self) -> int: ...

    def __getitem__(self, indices: Sequence[int], /) -> Batch: ...


def targets_in(examples: Examples) -> int:
    """The number of targets: examples, or nodes of a graph, which is one example as a whole."""
    return len(getattr(examples, "members", examples))


@dataclass(frozen=True, slots=True)
class TensorExamples:
    """Examples in memory: tensors of one length.

    Attributes:
        inputs: what the network takes.
        targets: what it should predict.
        augment: augments a batch; only set for training examples.
    """

    inputs: tuple[Tensor, ...]
    targets: tuple[Tensor, ...]
    augment: Callable[[Batch], Batch] | None = None

    def __len__(self) -> int:
        return len(self.inputs[0])

    def __getitem__(self, indices: Sequence[int], /) -> Batch:
        index = torch.as_tensor(indices)
        batch = Batch(tuple(each[index] for each in self.inputs), tuple(each[index] for each in self.targets))
        return batch if self.augment is None else self.augment(batch)


@dataclass(frozen=True, slots=True)
class Splits:
    """Training examples, those that a search optimizes on, and those that are measured once, at the end."""

    train: Examples
    validation: Examples
    test: Examples


@dataclass(frozen=True, slots=True)
class Subset(Generic[T]):
    """A part of an iterable that can be iterated repeatedly, such as a table's rows.

    Attributes:
        whole: the iterable.
        chosen: whether each item belongs to the subset.
    """

    whole: Iterable[T]
    chosen: Sequence[bool]

    def __iter__(self) -> Iterator[T]:
        return compress(self.whole, self.chosen)

    @classmethod
    def of(cls, whole: Iterable[T], numbers: Iterable[int], count: int) -> Subset[T]:
        """Those of `numbers`, where `whole` has `count`."""
        chosen = [False] * count
        for number in numbers:
            chosen[number] = True
        return cls(whole, chosen)


def stratified(labels: Sequence[int], seed: int, shares: tuple[int, int, int] = (3, 1, 1)) -> tuple[list[int], ...]:
    """Numbers of the examples of train, validation and test, with about the same `shares` of each class.

    The same for every trial and library version; each number is in one list only. Where classes are too small for one
    of each in every split, a split still gets some, as long as each class is trained.

    Args:
        labels: class of each example.
        seed: of the split.
        shares: relative sizes of train, validation and test.
    """
    pattern = [split for split, share in enumerate(shares) for _ in range(share)]
    splits: tuple[list[int], ...] = ([], [], [])
    seen: dict[int, int] = {}
    for number in shuffled(len(labels), seed):
        count = seen[labels[number]] = seen.get(labels[number], -1) + 1
        splits[pattern[count % len(pattern)]].append(number)
    for split, share in zip(splits[1:], shares[1:], strict=True):
        if share and not split:
            _fill(split, splits[0], labels, max(1, len(labels) * share // sum(shares)))
    for split in splits:
        split.sort()
    return splits


def _fill(split: list[int], train: list[int], labels: Sequence[int], wanted: int) -> None:
    """Move up to `wanted` examples from `train`, where each class is so small that none was left; one of each stays."""
    left = Counter(labels[number] for number in train)
    for number in reversed(train.copy()):
        if len(split) < wanted and left[labels[number]] > 1:
            left[labels[number]] -= 1
            train.remove(number)
            split.append(number)


def grouped(groups: Sequence[Hashable], seed: int, shares: tuple[int, int, int] = (8, 1, 1)) -> tuple[list[int], ...]:
    """Numbers of the examples of train, validation and test; those of one group, such as one image, stay together.

    The same for every trial and library version; each number is in one list only.

    Args:
        groups: group of each example.
        seed: which of the possible splits.
        shares: parts of the groups for train, validation and test; each part but 0 gets one group at least, train last.
    """
    numbers = {group: number for number, group in enumerate(dict.fromkeys(groups))}
    order = shuffled(len(numbers), seed)
    split_of = [0] * len(order)
    begin = 0
    for split in (1, 2):
        size = max(1, round(len(order) * shares[split] / sum(shares))) if shares[split] else 0
        for number in order[begin : begin + size]:
            split_of[number] = split
        begin += size
    splits: tuple[list[int], ...] = ([], [], [])
    for example, group in enumerate(groups):
        splits[split_of[numbers[group]]].append(example)
    return splits


def shuffled(count: int, seed: int) -> list[int]:
    """The numbers below `count` in an order that `seed` decides."""
    generator = torch.Generator().manual_seed(seed)
    order: list[int] = torch.randperm(count, generator=generator).tolist()
    return order
