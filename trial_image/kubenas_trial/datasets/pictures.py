"""Images by number, in memory or from their files, and the augmentation of batches."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, TypeAlias

import numpy as np
import torch
from PIL import ExifTags, Image, ImageOps
from torch import Tensor
from torch.nn.functional import affine_grid, grid_sample

from kubenas_trial.datasets.problems import each_read
from kubenas_trial.datasets.published import files_in
from kubenas_trial.datasets.unread import PICTURES
from kubenas_trial.errors import InvalidDatasetError

SUFFIXES: Final = frozenset({".bmp", ".gif", ".jpeg", ".jpg", ".pgm", ".png", ".ppm", ".tif", ".tiff", ".webp"})
# What Pillow raises for what is no image, or a damaged one.
UNREADABLE: Final = (OSError, ValueError, SyntaxError, Image.DecompressionBombError)

# Orientations in EXIF by which an image lies on its side.
_SIDEWAYS: Final = range(5, 9)

# Range of a view's sides relative to the image's: below 1 a crop, above 1 with a border.
_ZOOM = (0.6, 1.2)
# Largest change of aspect ratio, and of brightness, contrast and saturation.
_STRETCH = 0.1
_COLOUR = 0.3


class FileTensors:
    """Tensors of one shape by number, each read from a file of its own when it is asked for."""

    def __init__(self, paths: Sequence[Path], read: Callable[[Path], Tensor]) -> None:
        self._paths = paths
        self._read = read

    def __len__(self) -> int:
        return len(self._paths)

    def __getitem__(self, numbers: Tensor) -> Tensor:
        return torch.stack([self._read(self._paths[number]) for number in numbers.tolist()])


# Either gives the tensors of a tensor of numbers.
Tensors: TypeAlias = Tensor | FileTensors


def tensors(paths: Sequence[Path], read: Callable[[Path], Tensor], size: int, memory_limit_mb: int) -> Tensors:
    """What `read` gives for each of `paths`: all of it in memory, where `size` bytes each are within the limit.

    Raises:
        InvalidDatasetError: what is read into memory cannot be read.
    """
    if len(paths) * size > memory_limit_mb * 10**6:
        return FileTensors(paths, read)
    return torch.stack(each_read(read, paths))


def image_files(folder: Path) -> list[Path]:
    """The images that lie in a folder, by name."""
    return files_in(folder, SUFFIXES)


def is_image(file: Path) -> bool:
    """Whether a file is named as an image, and not as what some systems hide beside it."""
    return file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()


def converted(image: Image.Image, mode: str) -> Image.Image:
    """The image in Pillow's mode L or RGB; of 16 bits the upper 8, where Pillow would make white of all above 255."""
    if image.mode.startswith("I"):
        image = Image.fromarray((np.asarray(image) >> 8).clip(0, 255).astype(np.uint8))
    return image.convert(mode)


@contextmanager
def open_image(path: Path) -> Iterator[Image.Image]:
    """The image upright, as its camera says in EXIF, within a `with`: whatever reads pixels reads them so.

    Raises:
        InvalidDatasetError: it cannot be read.
    """
    try:
        with Image.open(path) as image:
            _refuse_floats(image, path)
            yield ImageOps.exif_transpose(image)
    except UNREADABLE as error:
        raise unreadable(path, error) from None


def read_image(path: Path, side: int) -> Tensor:
    """The image upright, resized to a square, its proportions not kept: uint8 (3, side, side).

    Raises:
        InvalidDatasetError: it cannot be read.
    """
    with open_image(path) as image:
        pixels = np.array(converted(image, "RGB").resize((side, side), Image.Resampling.BILINEAR))
    return torch.from_numpy(pixels).permute(2, 0, 1)


def image_size(path: Path) -> tuple[int, int]:
    """Width and height of the upright image, from its header.

    Raises:
        InvalidDatasetError: it cannot be read.
    """
    width, height, orientation = stored_size(path)
    return (height, width) if orientation in _SIDEWAYS else (width, height)


def stored_size(path: Path) -> tuple[int, int, int]:
    """Width and height as stored, and the orientation in EXIF, 1 where there is none.

    Raises:
        InvalidDatasetError: it cannot be read.
    """
    try:
        with Image.open(path) as image:
            _refuse_floats(image, path)
            return *image.size, image.getexif().get(ExifTags.Base.Orientation, 1)
    except UNREADABLE as error:
        raise unreadable(path, error) from None


def _refuse_floats(image: Image.Image, path: Path) -> None:
    if image.mode == "F":
        raise InvalidDatasetError(
            f"{path} has floating-point values, of which no file says what is black and what is white: convert it to "
            "whole numbers of 8 or 16 bits",
            "image of floating-point values",
        )


def unreadable(path: Path, error: Exception) -> InvalidDatasetError:
    """What is said of an image that cannot be read."""
    if path.suffix.lower() in PICTURES.suffixes and path.exists():
        return InvalidDatasetError(
            f"{path} is of a format that is not read: convert it to PNG or JPEG", "format that is not read"
        )
    missing = isinstance(error, FileNotFoundError)
    problem = "does not exist" if missing else f"cannot be read as an image ({error})"
    return InvalidDatasetError(
        f"{path} {problem}: replace it, or leave it out of the data set",
        "missing image" if missing else "image that cannot be read",
    )


def normalized(images: Tensor) -> Tensor:
    """Bytes as float32 around 0 with a deviation near 1, the same for every data set."""
    return (images.float() / 255 - 0.5) / 0.25


def random_views(count: int) -> Tensor:
    """A random view of each of `count` images: a crop or the image with a border, half of them mirrored.

    Gives affine maps (count, 2, 3) from coordinates in the view to coordinates in the image, both from -1 to 1.
    """
    low, high = _ZOOM
    zoom = low + (high - low) * torch.rand(count, 1)
    sides = zoom * (1 + _STRETCH * (2 * torch.rand(count, 2) - 1))
    shifts = (1 - sides).abs() * (2 * torch.rand(count, 2) - 1)
    mirrored = 1 - 2 * torch.randint(2, (count,))
    views = torch.zeros(count, 2, 3)
    views[:, 0, 0], views[:, 1, 1] = sides[:, 0] * mirrored, sides[:, 1]
    views[:, :, 2] = shifts
    return views


def view_images(images: Tensor, views: Tensor, *, nearest: bool = False) -> Tensor:
    """Each of `images` (batch, channels, height, width) resampled by its view; 0 beyond its border."""
    grid = affine_grid(views, list(images.shape), align_corners=False)
    return grid_sample(images, grid, "nearest" if nearest else "bilinear", align_corners=False)


def view_boxes(boxes: Tensor, views: Tensor) -> Tensor:
    """Boxes (batch, objects, 4) as x1, y1, x2, y2 from 0 to 1 in their views; they may reach beyond."""
    scale, shift = views.diagonal(dim1=1, dim2=2)[:, None], views[:, None, :, 2]
    corners = [((2 * each - 1 - shift) / scale + 1) / 2 for each in (boxes[..., :2], boxes[..., 2:])]
    return torch.cat([torch.minimum(*corners), torch.maximum(*corners)], dim=2)


def color_jitter(images: Tensor) -> Tensor:
    """Normalized images, each with random brightness, contrast and saturation."""
    brightness, contrast, saturation = _COLOUR * (2 * torch.rand(3, len(images), 1, 1, 1) - 1)
    grey = images.mean(1, keepdim=True)
    images = grey + (images - grey) * (1 + saturation)
    mean = images.mean((1, 2, 3), keepdim=True)
    varied: Tensor = mean + (images - mean) * (1 + contrast) + brightness
    return varied
