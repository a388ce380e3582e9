"""Images with a class each: examples, their augmentation, and the digits that are built in."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from pathlib import Path
from typing import Annotated

import numpy as np
import torch
from pydantic import Field
from torch import Tensor
from torch.nn.functional import interpolate, pad

from kubenas_trial.datasets.data import Batch, Splits
from kubenas_trial.datasets.pictures import Tensors
from kubenas_trial.datasets.published import Numbers
from kubenas_trial.errors import InvalidDatasetError
from kubenas_trial.settings import LearningRate, Optimizer, TrainingSettings, WeightDecay

# Training images that normalization is estimated from, evenly spaced.
_NORMALIZING = 5_000
# Images resized at once.
_CHUNK = 1_000


class ImageClassificationSettings(TrainingSettings):
    """The defaults are NAS-Bench-201's recipe (Dong and Yang, ICLR 2020, table 1), save its batches of 256.

    Those are few steps where there are few images.
    """

    optimizer: Optimizer = "sgd"
    learning_rate: LearningRate = 0.1
    weight_decay: WeightDecay = 5e-4
    image_size: Annotated[
        int | None,
        Field(
            ge=1,
            le=4096,
            description="Side that images are resized to; absent: as they are, and in folders the commonest size, at "
            "most 64 pixels.",
        ),
    ] = None


@dataclass(frozen=True, slots=True)
class ImageData(Splits):
    """Images (channels, height, width) with a class each.

    Attributes:
        shape: channels, height and width.
        classes: names of the classes, in the order of their numbers.
    """

    shape: tuple[int, int, int]
    classes: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class ImageExamples:
    """Some of the images of a data set, normalized.

    Attributes:
        images: all of them, (channels, height, width) each, in bytes.
        labels: class of each.
        numbers: which of them are these examples.
        mean, deviation: of each channel over training images, (channels, 1, 1).
        augment: augments a batch of images; only set for training examples.
    """

    images: Tensors
    labels: Tensor
    numbers: Tensor
    mean: Tensor
    deviation: Tensor
    augment: Callable[[Tensor], Tensor] | None = None

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, indices: Sequence[int], /) -> Batch:
        chosen = self.numbers[torch.as_tensor(indices)]
        images = self.images[chosen]
        if self.augment is not None:
            images = self.augment(images)
        return Batch(((images.float() - self.mean) / self.deviation,), (self.labels[chosen],))


def image_data(
    images: Tensors,
    labels: Tensor,
    numbers: Numbers,
    classes: Sequence[str],
    augment: Callable[[Tensor], Tensor] | None,
) -> ImageData:
    """The splits of `images`, normalized by those of train.

    Args:
        images: all of them.
        labels: class of each.
        numbers: those of each split.
        classes: names of the classes.
        augment: augments a batch of training images.
    """
    train = torch.tensor(numbers.train)
    sample = images[train[:: -(-len(train) // _NORMALIZING)]].float()
    mean = sample.mean((0, 2, 3))[:, None, None]
    deviation = sample.std((0, 2, 3))[:, None, None].clamp(min=1e-6)
    _, channels, height, width = sample.shape

    def examples(chosen: Sequence[int], augment: Callable[[Tensor], Tensor] | None = None) -> ImageExamples:
        return ImageExamples(images, labels, torch.tensor(chosen), mean, deviation, augment)

    return ImageData(
        examples(numbers.train, augment),
        examples(numbers.validation),
        examples(numbers.test),
        shape=(channels, height, width),
        classes=tuple(classes),
    )


def random_crop(images: Tensor) -> Tensor:
    """Each image shifted by up to an eighth of its sides, padded with black: NAS-Bench-201's random crop."""
    batch, _, height, width = images.shape
    margins = max(1, height // 8), max(1, width // 8)
    padded = pad(images, (margins[1], margins[1], margins[0], margins[0]))
    tops, lefts = (torch.randint(2 * margin + 1, (batch, 1)) for margin in margins)
    rows = (tops + torch.arange(height))[:, None, :, None]
    columns = (lefts + torch.arange(width))[:, None, None, :]
    channels = torch.arange(images.shape[1])[None, :, None, None]
    return padded[torch.arange(batch)[:, None, None, None], channels, rows, columns]


def random_crop_and_flip(images: Tensor) -> Tensor:
    """As `random_crop`, and half of the images mirrored: NAS-Bench-201's whole augmentation, for natural images."""
    mirrored = torch.rand(len(images), 1, 1, 1) < 0.5
    return random_crop(torch.where(mirrored, images.flip(3), images))


def resized(images: Tensor, side: int | None) -> Tensor:
    """Bytes (count, channels, height, width) as squares of `side` pixels; as they are without one."""
    if side is None or images.shape[2:] == (side, side):
        return images
    parts = (
        interpolate(part.float(), (side, side), mode="bilinear", antialias=True).round().to(torch.uint8)
        for part in torch.split(images, _CHUNK)
    )
    return torch.cat(list(parts))


def digits(settings: ImageClassificationSettings) -> ImageData:
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
    # Pixels are whole numbers up to 16.
    images = resized(torch.from_numpy(rows[:, :-1] * 15).to(torch.uint8).reshape(-1, 1, 8, 8), settings.image_size)
    labels = torch.from_numpy(rows[:, -1]).long()
    fold = torch.empty_like(labels)
    for label in range(10):
        members = labels == label
        fold[members] = torch.arange(int(members.sum())) % 5
    numbers = Numbers(*(torch.nonzero(where)[:, 0].tolist() for where in (fold < 3, fold == 3, fold == 4)))
    # A mirrored digit is none.
    return image_data(
        images, labels, numbers, [str(label) for label in range(10)], random_crop if settings.augmentation else None
    )
