"""Images in memory, for classification."""

from __future__ import annotations

from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path

import numpy as np
import torch

from kubenas_trial.errors import InvalidDatasetError
from kubenas_trial.tasks.data import Splits, TensorExamples
from kubenas_trial.tasks.settings import TrainingSettings


@dataclass(frozen=True, slots=True)
class ImageData(Splits):
    """Images (channels, height, width) with a class each.

    Attributes:
        shape: channels, height and width.
        classes: names of the classes, in the order of their numbers.
    """

    shape: tuple[int, int, int]
    classes: tuple[str, ...]


def digits(_settings: TrainingSettings) -> ImageData:
    """1,797 handwritten digits of 8 x 8 pixels (UCI optdigits' test part, Alpaydin and Kaynak 1998).

    Of each class every fourth of five images is validation and every fifth test, so the split is the same for every
    trial, seed and library version; normalized by the training images.

    Raises:
        InvalidDatasetError: scikit-learn, which brings them along, is not there.
    """
    # The file behind sklearn.datasets.load_digits, whose import takes longer than a short trial's training.
    package = find_spec("sklearn")
    if package is None or package.origin is None:
        raise InvalidDatasetError("task.dataset.name: digits needs scikit-learn in the trainer's image")
    rows = np.loadtxt(Path(package.origin).parent / "datasets" / "data" / "digits.csv.gz", delimiter=",")
    images = torch.from_numpy(rows[:, :-1]).float().reshape(-1, 1, 8, 8) / 16
    labels = torch.from_numpy(rows[:, -1]).long()
    place = torch.empty_like(labels)
    for label in range(10):
        members = labels == label
        place[members] = torch.arange(int(members.sum())) % 5
    known = images[place < 3]
    images = (images - known.mean()) / known.std()
    train, validation, test = (
        TensorExamples((images[where],), (labels[where],)) for where in (place < 3, place == 3, place == 4)
    )
    return ImageData(train, validation, test, shape=(1, 8, 8), classes=tuple(map(str, range(10))))
