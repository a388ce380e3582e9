"""Masks: images whose values are the classes of another image's pixels."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Final

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor

from kubenas_trial.datasets.colours import Colours
from kubenas_trial.datasets.pictures import UNREADABLE, image_size, unreadable
from kubenas_trial.errors import InvalidDatasetError

# Pixels that are neither learned from nor counted, and what a value means that no mask should have.
IGNORED: Final = 255
INVALID: Final = 254
# By how much JPEG changes black and white.
_BLUR: Final = 63


@dataclass(frozen=True, slots=True)
class LabelledImage:
    """An image's file and that of its mask."""

    image: Path
    mask: Path


def labelled(image: Path, mask: Path) -> LabelledImage:
    """The two as a pair.

    Raises:
        InvalidDatasetError: one of them is missing or no image, or their sizes differ.
    """
    if not mask.is_file():
        raise InvalidDatasetError(f"{mask} does not exist: {image} needs a mask, or is to be left out", "missing mask")
    sizes = [image_size(path) for path in (image, mask)]
    if sizes[0] != sizes[1]:
        (width, height), (mask_width, mask_height) = sizes
        raise InvalidDatasetError(
            f"{mask} has {mask_width} x {mask_height} pixels, but {image} has {width} x {height}, upright "
            "as its camera says: make them equal",
            "mask of another size than its image",
        )
    return LabelledImage(image, mask)


def read_mask(path: Path, colours: Colours | None = None) -> Tensor:
    """The values of a mask: uint8 (height, width).

    Numbers of a palette, of a grey image of 8 or 16 bits, of black and white (0 and 255), or of colours that are all
    grey; with `colours` the numbers of these, but for grey images where these are not.

    Raises:
        InvalidDatasetError: it cannot be read, or its values are no class numbers.
    """
    try:
        with Image.open(path) as stored:
            image = ImageOps.exif_transpose(stored)
            if colours and (colours.grey or image.mode in {"P", "RGB", "RGBA"}):
                return torch.from_numpy(colours.numbers(np.array(image.convert("RGB")), path))
            values = np.array(image.convert("L") if image.mode in {"1", "LA"} else image)
            blurred = stored.format == "JPEG"
    except UNREADABLE as error:
        raise unreadable(path, error) from None
    if values.ndim == 3:
        if (values[..., :3] != values[..., :1]).any():
            raise InvalidDatasetError(
                f"{path} is in colours, which name no classes: save class numbers, as grey values or with a palette, "
                "or list the colours as lines of NAME,R,G,B in class_dict.csv",
                "mask in colours",
            )
        values = values[..., 0]
    if blurred:
        if ((values > _BLUR) & (values < IGNORED - _BLUR)).any():
            raise InvalidDatasetError(
                f"{path} is a JPEG, which blurs class numbers: save it as PNG", "mask that is a JPEG"
            )
        values = np.where(values > _BLUR, IGNORED, 0)
    if not np.issubdtype(values.dtype, np.integer) or values.min() < 0 or values.max() > IGNORED:
        raise InvalidDatasetError(
            f"{path} has values from {values.min():g} to {values.max():g}: save the numbers of classes, 0, 1, 2 …, and "
            f"{IGNORED} where there is none",
            "mask of values that are no classes",
        )
    return torch.from_numpy(values.astype(np.uint8))


def occurring(path: Path, colours: Colours | None) -> Tensor:
    """Which of the values 0 to 255 a mask has: bool (256).

    Raises:
        InvalidDatasetError: as `read_mask`.
    """
    return torch.bincount(read_mask(path, colours).flatten().int(), minlength=256) > 0


def resized_mask(path: Path, side: int, table: Tensor, colours: Colours | None = None) -> Tensor:
    """The classes of a mask, resized to a square without mixing them: uint8 (side, side).

    Args:
        path: its file.
        side: height and width.
        table: the class of each value from 0 to 255, or IGNORED or INVALID, uint8 (256).
        colours: see `read_mask`.

    Raises:
        InvalidDatasetError: as `read_mask`, or a value is INVALID.
    """
    values = read_mask(path, colours)
    classes = table[values.long()]
    if (classes == INVALID).any():
        raise InvalidDatasetError(f"{path} has the value {int(values[classes == INVALID][0])}, which is no class")
    resized = Image.fromarray(classes.numpy()).resize((side, side), Image.Resampling.NEAREST)
    return torch.from_numpy(np.array(resized))
