"""Image data sets, each with one fixed split into train, validation and test."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from kubenas_trial.errors import InvalidTrialError


@dataclass(frozen=True, slots=True)
class Split:
    """Images (n, channels, height, width) as float32 and their classes (n,) as int64."""

    images: Tensor
    labels: Tensor

    def to(self, device: torch.device) -> Split:
        """The same on `device`."""
        return Split(self.images.to(device), self.labels.to(device))


@dataclass(frozen=True, slots=True)
class ImageDataset:
    """A data set in memory; what is searched is judged on `validation`, `test` is never shown to a search."""

    train: Split
    validation: Split
    test: Split
    classes: int

    @property
    def shape(self) -> tuple[int, int, int]:
        """Channels, height and width of an image."""
        _, channels, height, width = self.train.images.shape
        return channels, height, width

    def to(self, device: torch.device) -> ImageDataset:
        """The same on `device`."""
        return ImageDataset(self.train.to(device), self.validation.to(device), self.test.to(device), self.classes)


def load_dataset(name: str) -> ImageDataset:
    """The data set called `name`.

    Raises:
        InvalidTrialError: there is none.
    """
    if name not in _DATASETS:
        raise InvalidTrialError(f"task.dataset.name: {name!r} is unknown; choose of {', '.join(sorted(_DATASETS))}")
    return _DATASETS[name]()


def _digits() -> ImageDataset:
    """1,797 handwritten digits of 8 x 8 pixels (UCI optdigits' test part, Alpaydin and Kaynak 1998)."""
    # The file behind sklearn.datasets.load_digits, whose import takes longer than a short trial's training.
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise InvalidTrialError("task.dataset.name: digits needs scikit-learn in the trainer's image")
    rows = np.loadtxt(Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz", delimiter=",")
    images = torch.from_numpy(rows[:, :-1]).float().reshape(-1, 1, 8, 8) / 16
    return split_dataset(images, torch.from_numpy(rows[:, -1]).long(), classes=10)


def split_dataset(images: Tensor, labels: Tensor, classes: int) -> ImageDataset:
    """Three fifths of each class for training, one each for validation and test; normalized by the training images.

    Of each class every fourth of five images is validation and every fifth test, so the split is the same for every
    trial, seed and library version.
    """
    place = torch.empty_like(labels)
    for label in range(classes):
        members = labels == label
        place[members] = torch.arange(int(members.sum())) % 5
    train = images[place < 3]
    images = (images - train.mean()) / train.std()
    return ImageDataset(
        train=Split(images[place < 3], labels[place < 3]),
        validation=Split(images[place == 3], labels[place == 3]),
        test=Split(images[place == 4], labels[place == 4]),
        classes=classes,
    )


_DATASETS: dict[str, Callable[[], ImageDataset]] = {"digits": _digits}
