"""Images as pixels of one size, normalized by the training split's mean and deviation."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TypeAlias

import numpy as np
import torch
from PIL import Image, ImageOps
from torch import Tensor
from torch.nn.functional import interpolate

from kubenas_trial.datasets.pictures import converted, image_size, normalized, open_image
from kubenas_trial.datasets.preprocessing import Preprocessing

# A file, or pixels as uint8 (channels, height, width).
RawImage: TypeAlias = Path | str | Tensor


class ImagePreprocessing(Preprocessing):
    """Images with a class each, of one size and normalized by their channels.

    Attributes:
        shape: channels, height and width.
        mean, deviation: of each channel of training images, in bytes.
    """

    shape: tuple[int, int, int]
    mean: tuple[float, ...]
    deviation: tuple[float, ...]

    def inputs(self, raw: Sequence[RawImage]) -> tuple[Tensor, ...]:
        """Images (batch, channels, height, width)."""
        pixels = torch.stack([read_pixels(image, *self.shape, crop=True) for image in raw]).float()
        mean, deviation = (torch.tensor(values)[:, None, None] for values in (self.mean, self.deviation))
        return ((pixels - mean) / deviation,)


class SquarePreprocessing(Preprocessing):
    """Images in colour, resized to squares of `side` pixels, their proportions not kept."""

    side: int

    def inputs(self, raw: Sequence[RawImage]) -> tuple[Tensor, ...]:
        """Images (batch, 3, side, side)."""
        pixels = [read_pixels(image, 3, self.side, self.side, crop=False) for image in raw]
        return (normalized(torch.stack(pixels)),)


def size_of(image: RawImage) -> tuple[int, int]:
    """Height and width of the upright image."""
    if isinstance(image, Tensor):
        return image.shape[1], image.shape[2]
    width, height = image_size(Path(image))
    return height, width


def read_pixels(image: RawImage, channels: int, height: int, width: int, *, crop: bool) -> Tensor:
    """An image of that size, uint8 (channels, height, width); with `crop` its proportions are kept and its edges cut.

    Raises:
        InvalidDatasetError: the file cannot be read.
        ValueError: they are no pixels, or of other channels.
    """
    if not isinstance(image, Tensor):
        with open_image(Path(image)) as opened:
            upright = converted(opened, "L" if channels == 1 else "RGB")
            fit = ImageOps.fit if crop else Image.Image.resize
            pixels = torch.from_numpy(np.array(fit(upright, (width, height), Image.Resampling.BILINEAR)))
        return pixels[None] if channels == 1 else pixels.permute(2, 0, 1)
    if image.dtype != torch.uint8 or image.ndim != 3 or image.shape[0] != channels:
        raise ValueError(
            f"an image is a file, or a uint8 tensor of {channels} channels, height and width: this tensor is "
            f"{image.dtype} of shape {tuple(image.shape)}"
        )
    if image.shape[1:] == (height, width):
        return image
    resized = interpolate(image[None].float(), (height, width), mode="bilinear", antialias=True)
    return resized[0].round().to(torch.uint8)
