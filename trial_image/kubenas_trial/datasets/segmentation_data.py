"""Images with a class for each pixel as tensors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, TypeAlias

import torch
from pydantic import Field
from torch import Tensor

from kubenas_trial.datasets.colours import Colours
from kubenas_trial.datasets.data import Batch, Splits
from kubenas_trial.datasets.masks import IGNORED, LabelledImage, resized_mask
from kubenas_trial.datasets.pictures import (
    Tensors,
    color_jitter,
    normalized,
    random_views,
    read_image,
    tensors,
    view_images,
)
from kubenas_trial.datasets.published import Numbers
from kubenas_trial.datasets.shapes import CLASSES, shapes, split
from kubenas_trial.settings import TrainingSettings

ImageSize: TypeAlias = Annotated[
    int, Field(ge=8, le=4096, description="Side to which images are resized, in pixels; proportions are not kept.")
]


class SegmentationDataSettings(TrainingSettings):
    """Settings of images with a class for each pixel."""

    image_size: ImageSize = 64


@dataclass(frozen=True, slots=True)
class SegmentationExamples:
    """Images (batch, 3, side, side); targets are the classes of their pixels (batch, side, side), or IGNORED.

    Attributes:
        images, masks: uint8, of all splits.
        numbers: the images of this split.
        augment: whether batches are augmented; only set for training examples.
    """

    images: Tensors
    masks: Tensors
    numbers: Sequence[int]
    augment: bool = False

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, indices: Sequence[int], /) -> Batch:
        chosen = torch.tensor([self.numbers[index] for index in indices])
        images, masks = normalized(self.images[chosen]), self.masks[chosen].long()
        if self.augment:
            views = random_views(len(chosen))
            images = color_jitter(view_images(images, views))
            # Beyond the border lies 0, which is to mean IGNORED.
            seen = view_images(masks[:, None].float() - IGNORED, views, nearest=True)
            masks = (seen[:, 0] + IGNORED).long()
        return Batch((images,), (masks,))


@dataclass(frozen=True, slots=True)
class SegmentationData(Splits):
    """Images with a class for each pixel.

    Attributes:
        classes: names of the classes, in the order of their numbers.
        side: height and width of the images.
    """

    train: SegmentationExamples
    validation: SegmentationExamples
    test: SegmentationExamples
    classes: tuple[str, ...]
    side: int


def segmentation_data(
    images: Sequence[LabelledImage],
    numbers: Numbers,
    classes: Sequence[str],
    table: Tensor,
    settings: SegmentationDataSettings,
    colours: Colours | None = None,
) -> SegmentationData:
    """The data in files.

    Args:
        images: of all splits.
        numbers: the images of each split.
        classes: their names.
        table: what each value of a mask means, see `masks.resized_mask`.
        settings: size and memory limit.
        colours: those of the masks.

    Raises:
        InvalidDatasetError: an image or a mask cannot be read.
    """
    side = settings.image_size
    # Images and masks together are held against the limit: four bytes a pixel.
    read: tuple[Callable[[Path], Tensor], ...] = (
        partial(read_image, side=side),
        partial(resized_mask, side=side, table=table, colours=colours),
    )
    paths = [image.image for image in images], [image.mask for image in images]
    pictures, masks = (
        tensors(each, how, 4 * side**2, settings.memory_limit_mb) for each, how in zip(paths, read, strict=True)
    )
    return _data(pictures, masks, numbers, classes, settings)


def segmented_shapes(settings: SegmentationDataSettings) -> SegmentationData:
    """500 images of shapes with their background."""
    drawn = shapes(settings.image_size, settings.split_seed)
    images = torch.stack([scene.image for scene in drawn])
    masks = torch.stack([scene.mask for scene in drawn]).byte()
    return _data(images, masks, split(), ("background", *CLASSES), settings)


def _data(
    images: Tensors, masks: Tensors, numbers: Numbers, classes: Sequence[str], settings: SegmentationDataSettings
) -> SegmentationData:
    train, validation, test = (
        SegmentationExamples(images, masks, each, settings.augmentation and each is numbers.train) for each in numbers
    )
    return SegmentationData(train, validation, test, tuple(classes), settings.image_size)
