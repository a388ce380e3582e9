"""Images with boxes as tensors."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Annotated, Final, TypeAlias

import torch
from pydantic import Field
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from kubenas_trial.datasets.data import Batch, Splits
from kubenas_trial.datasets.pictures import (
    Tensors,
    color_jitter,
    image_size,
    normalized,
    random_views,
    read_image,
    stored_size,
    tensors,
    view_boxes,
    view_images,
)
from kubenas_trial.datasets.problems import Problems
from kubenas_trial.datasets.published import Numbers, join
from kubenas_trial.errors import InvalidDatasetError
from kubenas_trial.settings import TrainingSettings

_LOG: Final = logging.getLogger("kubenas_trial")
# Label of padding in a batch.
PADDING = -1
# A smaller share of a box within an augmented image no longer shows the object.
_LEFT = 0.3
# Pixels by which boxes may reach beyond the image: of more than rounding the user is told, as of a box drawn by hand or
# counted from another origin; of more than the latter it is a box of another image.
_ROUNDING = 0.5
_FARTHEST = 5.0

Box: TypeAlias = tuple[float, float, float, float]
ImageSize: TypeAlias = Annotated[
    int, Field(ge=16, le=4096, description="Side to which images are resized, in pixels; proportions are not kept.")
]


class DetectionDataSettings(TrainingSettings):
    """Settings of images with boxes."""

    image_size: ImageSize = 256


@dataclass(frozen=True, slots=True)
class Item:
    """One object in an image.

    Attributes:
        label: name of its class.
        box: x1, y1, x2, y2 as shares of width and height.
        ignored: neither learned from nor counted, found or not: VOC's difficult objects and COCO's crowds.
        clipped: pixels by which the box, as written, reaches beyond the image.
    """

    label: str
    box: Box
    ignored: bool = False
    clipped: float = 0.0


@dataclass(frozen=True, slots=True)
class AnnotatedImage:
    """An image's file and what is in it."""

    path: Path
    items: tuple[Item, ...]


@dataclass(frozen=True, slots=True)
class DetectionExamples:
    """Images (batch, 3, side, side); targets are boxes (batch, objects, 4) in pixels, labels, and which are ignored.

    Attributes:
        images: uint8, of all splits.
        boxes, labels, ignored: of each image, boxes as shares.
        numbers: the images of this split.
        augment: whether batches are augmented; only set for training examples.
    """

    images: Tensors
    boxes: Sequence[Tensor]
    labels: Sequence[Tensor]
    ignored: Sequence[Tensor]
    numbers: Sequence[int]
    augment: bool = False

    def __len__(self) -> int:
        return len(self.numbers)

    def __getitem__(self, indices: Sequence[int], /) -> Batch:
        chosen = [self.numbers[index] for index in indices]
        images = normalized(self.images[torch.tensor(chosen)])
        boxes = pad_sequence([self.boxes[number] for number in chosen], batch_first=True)
        labels = pad_sequence([self.labels[number] for number in chosen], batch_first=True, padding_value=PADDING)
        ignored = pad_sequence([self.ignored[number] for number in chosen], batch_first=True)
        if self.augment:
            views = random_views(len(chosen))
            images = color_jitter(view_images(images, views))
            whole = view_boxes(boxes, views)
            boxes = whole.clamp(0, 1)
            labels = labels.masked_fill(_area(boxes) < _LEFT * _area(whole), PADDING)
        return Batch((images,), (boxes * images.shape[-1], labels, ignored))


@dataclass(frozen=True, slots=True)
class DetectionData(Splits):
    """Images with boxes.

    Attributes:
        classes: names of the classes, in the order of their numbers.
        side: height and width of the images.
    """

    train: DetectionExamples
    validation: DetectionExamples
    test: DetectionExamples
    classes: tuple[str, ...]
    side: int


def detection_data(
    parts: Mapping[str, Sequence[AnnotatedImage]], settings: DetectionDataSettings, at: Path
) -> DetectionData:
    """The images of the published `parts` as `published.join` splits them.

    Raises:
        InvalidDatasetError: an image cannot be read, a split has no image or no box, or a class is not in the training
            split.
    """
    rarity = Counter(
        label for part in parts.values() for image in part for label in {item.label for item in image.items}
    )

    def rarest(image: AnnotatedImage) -> str | None:
        return min((item.label for item in image.items), key=lambda label: (rarity[label], label), default=None)

    _tell_clipped([item for part in parts.values() for image in part for item in image.items], at)
    images, numbers = join(parts, rarest, settings.split_seed, at)
    classes = _classes(images, numbers, at)
    size = settings.image_size
    read = partial(read_image, side=size)
    pictures = tensors([image.path for image in images], read, 3 * size**2, settings.memory_limit_mb)
    known = {name: number for number, name in enumerate(classes)}
    # An ignored object may be of a class that is otherwise absent.
    annotations = [
        [(known[item.label], item.box, item.ignored) for item in image.items if item.label in known] for image in images
    ]
    return from_tensors(pictures, annotations, numbers, classes, settings)


def from_tensors(
    images: Tensors,
    annotations: Sequence[Sequence[tuple[int, Box, bool]]],
    numbers: Numbers,
    classes: Sequence[str],
    settings: DetectionDataSettings,
) -> DetectionData:
    """The data of `images` (uint8) with their annotations: class, box as shares, whether it is ignored."""
    boxes = [torch.tensor([box for _, box, _ in items]).reshape(-1, 4) for items in annotations]
    labels = [torch.tensor([label for label, _, _ in items], dtype=torch.int64) for items in annotations]
    ignored = [torch.tensor([skip for _, _, skip in items], dtype=torch.bool) for items in annotations]
    train, validation, test = (
        DetectionExamples(images, boxes, labels, ignored, split, settings.augmentation and split is numbers.train)
        for split in numbers
    )
    return DetectionData(train, validation, test, tuple(classes), settings.image_size)


@dataclass(frozen=True, slots=True)
class Frame:
    """What the boxes of an image are drawn in.

    Attributes:
        width, height: in pixels.
        orientation: EXIF's, by which they are turned as the image is; 1 for not at all.
    """

    width: int
    height: int
    orientation: int = 1


def item_of(label: str, box: Box, frame: Frame, at: str, *, ignored: bool) -> Item:
    """An object of a box in pixels of `frame`, x1, y1, x2, y2, clipped to it and turned upright.

    Raises:
        InvalidDatasetError: the box has no area in the image or reaches far beyond it; the message begins with `at`.
    """
    x1, y1, x2, y2 = box
    # Written so that NaN is refused as well.
    if not (x1 < x2 and y1 < y2):
        raise InvalidDatasetError(f"{at}: its box {box} has no area: correct or delete it", "box without area")
    width, height = frame.width, frame.height
    beyond = max(-x1, -y1, x2 - width, y2 - height, 0.0)
    inside = min(x2, width) > max(x1, 0) and min(y2, height) > max(y1, 0)
    if not (inside and beyond <= _FARTHEST):
        raise InvalidDatasetError(
            f"{at}: its box {box} {'reaches' if inside else 'lies'} beyond the image of {width} x {height} pixels: "
            "correct or delete it",
            "box beyond the image",
        )
    clipped = max(x1, 0) / width, max(y1, 0) / height, min(x2, width) / width, min(y2, height) / height
    return Item(label, _turned(clipped, frame.orientation), ignored, beyond)


def frame_of(path: Path, written: tuple[int, int] | None, file: Path) -> Frame:
    """What the boxes of an image are drawn in.

    An image is read upright, and its boxes are taken so too; but where the size that was `written` down with them is
    that of the image as stored, lying on its side, they were drawn on this.

    Raises:
        InvalidDatasetError: it cannot be read, or what `file` says of its size is neither.
    """
    width, height = image_size(path)
    stored = stored_size(path)
    if written is None or written == (width, height):
        return Frame(width, height)
    if written == stored[:2]:
        return Frame(*stored)
    raise InvalidDatasetError(
        f"{file}: says {written[0]} x {written[1]} pixels, but {path.name} has {width} x {height}: its boxes belong to "
        "another image, or the image was turned or resized after they were drawn",
        "image of another size than written",
    )


def _turned(box: Box, orientation: int) -> Box:
    """A box of an image as stored, as shares, where it is in the upright one, for those that lie on their side."""
    x1, y1, x2, y2 = box
    match orientation:
        case 5:
            return y1, x1, y2, x2
        case 6:
            return 1 - y2, x1, 1 - y1, x2
        case 7:
            return 1 - y2, 1 - x2, 1 - y1, 1 - x1
        case 8:
            return y1, 1 - x2, y2, 1 - x1
    return box


def _tell_clipped(items: Sequence[Item], at: Path) -> None:
    clipped = [item.clipped for item in items if item.clipped > _ROUNDING]
    if clipped:
        _LOG.warning(
            "%s: boxes that reach beyond their images, by %g pixels at most, are clipped to them: %s of %s",
            at,
            max(clipped),
            f"{len(clipped):,}",
            f"{len(items):,}",
        )


def _classes(images: Sequence[AnnotatedImage], numbers: Numbers, at: Path) -> list[str]:
    def labels(split: Sequence[int]) -> set[str]:
        return {item.label for number in split for item in images[number].items if not item.ignored}

    classes = sorted(labels(numbers.train))
    for name, split in numbers._asdict().items():
        if not labels(split):
            raise InvalidDatasetError(
                f"{at}: the {name} split of {len(split)} images has no box: nothing to measure by"
            )
    problems = Problems()
    for number in (*numbers.validation, *numbers.test):
        for item in images[number].items:
            if not item.ignored and item.label not in classes:
                text = f"{images[number].path}: class {item.label!r} has no training example: add some or delete it"
                problems.add(InvalidDatasetError(text, "class without training example"))
    problems.refuse()
    return classes


def _area(boxes: Tensor) -> Tensor:
    return (boxes[..., 2:] - boxes[..., :2]).prod(-1)
