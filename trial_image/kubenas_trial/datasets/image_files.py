"""CIFAR's and MNIST's files, as published."""

from __future__ import annotations

import gzip
import math
import struct
import zlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final, NamedTuple

import numpy as np
import torch
from torch import Tensor

from kubenas_trial.datasets.image_data import (
    ImageClassificationSettings,
    ImageData,
    image_data,
    random_crop,
    random_crop_and_flip,
    resized,
)
from kubenas_trial.datasets.pickles import read_pickle
from kubenas_trial.datasets.published import join
from kubenas_trial.errors import InvalidDatasetError

_SHAPE: Final = (3, 32, 32)
# The third byte of an idx file of bytes.
_UNSIGNED_BYTE: Final = 8


class _CIFAR(NamedTuple):
    """Names in a data set: its folder, its files, and what its pickles call classes and labels."""

    folder: str
    train: tuple[str, ...]
    test: str
    meta: str
    classes: str
    labels: str


_CIFARS: Final[Mapping[int, _CIFAR]] = {
    10: _CIFAR(
        "cifar-10-batches-py",
        tuple(f"data_batch_{number}" for number in range(1, 6)),
        "test_batch",
        "batches.meta",
        "label_names",
        "labels",
    ),
    100: _CIFAR("cifar-100-python", ("train",), "test", "meta", "fine_label_names", "fine_labels"),
}
_MNIST_PARTS: Final = {"train": "train", "test": "t10k"}
_MNIST_FOLDERS: Final = ("", "raw", *(f"{name}/raw" for name in ("MNIST", "FashionMNIST", "KMNIST", "QMNIST")))


def is_cifar(classes: int) -> Callable[[Path], bool]:
    """Whether a path is the folder of CIFAR-10's or CIFAR-100's files, or where torchvision puts that."""
    kind = _CIFARS[classes]
    names = [kind.test, *kind.train]
    return lambda path: any((folder / name).is_file() for folder in (path, path / kind.folder) for name in names)


def read_cifar(classes: int) -> Callable[[Path, ImageClassificationSettings], ImageData]:
    """Reads CIFAR-10 or CIFAR-100 in pickles for Python (Krizhevsky 2009); a fifth of train becomes validation."""
    kind = _CIFARS[classes]

    def read(path: Path, settings: ImageClassificationSettings) -> ImageData:
        folder = path / kind.folder if (path / kind.folder).is_dir() else path
        batches = {
            "train": [_cifar_batch(folder / name, kind.labels, classes) for name in kind.train],
            "test": [_cifar_batch(folder / kind.test, kind.labels, classes)],
        }
        parts = {
            part: (torch.cat([images for images, _ in read]), torch.cat([labels for _, labels in read]))
            for part, read in batches.items()
        }
        return _published(
            path, parts, _cifar_classes(folder / kind.meta, kind.classes, classes), settings, natural=True
        )

    return read


def is_mnist(path: Path) -> bool:
    """Whether MNIST's files, or others of their names, lie in a path or where torchvision puts them."""
    return any(_has_idx(path / folder) for folder in _MNIST_FOLDERS)


def read_mnist(path: Path, settings: ImageClassificationSettings) -> ImageData:
    """MNIST, or another data set in its files (LeCun et al. 1998), packed or not; a fifth of train becomes validation.

    Raises:
        InvalidDatasetError: a file is missing, damaged or another one.
    """
    found = [path / each for each in _MNIST_FOLDERS if _has_idx(path / each)]
    if len(found) > 1:
        raise InvalidDatasetError(f"{path}: has {' and '.join(map(str, found))}: name one of them")
    folder = found[0] if found else path
    parts = {}
    for part in _MNIST_PARTS:
        images_file, labels_file = (_required(folder, part, kind) for kind in ("images", "labels"))
        images, labels = _read_idx(images_file, dimensions=3), _read_idx(labels_file, dimensions=1)
        if len(images) != len(labels):
            raise InvalidDatasetError(
                f"{labels_file}: has {len(labels)} labels for the {len(images)} images of {images_file.name}: "
                "fetch both again"
            )
        parts[part] = images[:, None], labels.long()
    if parts["train"][0].shape[1:] != parts["test"][0].shape[1:]:
        raise InvalidDatasetError(f"{folder}: the images of train and t10k differ in size: fetch both again")
    count = 1 + max(int(labels.max()) for _, labels in parts.values())
    return _published(path, parts, [str(label) for label in range(count)], settings, natural=False)


def _published(
    path: Path,
    parts: Mapping[str, tuple[Tensor, Tensor]],
    classes: Sequence[str],
    settings: ImageClassificationSettings,
    *,
    natural: bool,
) -> ImageData:
    """The splits of published parts, each images and labels; `natural` ones may be mirrored."""
    images = resized(torch.cat([images for images, _ in parts.values()]), settings.image_size)
    labels = torch.cat([labels for _, labels in parts.values()])
    known = set(parts["train"][1].tolist())
    if missing := sorted(set(labels.tolist()) - known):
        raise InvalidDatasetError(f"{path}: class {classes[missing[0]]} has test images, but none to train on")
    first, numbers = 0, {}
    for part, (_, part_labels) in parts.items():
        numbers[part] = range(first, first + len(part_labels))
        first += len(part_labels)
    _, split = join(numbers, lambda number: int(labels[number]), settings.split_seed, path)
    augment = random_crop_and_flip if natural else random_crop
    return image_data(images, labels, split, classes, augment if settings.augmentation else None)


def _cifar_batch(path: Path, key: str, classes: int) -> tuple[Tensor, Tensor]:
    """Images (count, 3, 32, 32) as bytes, and labels."""
    if not path.is_file():
        raise InvalidDatasetError(f"{path} does not exist: fetch it")
    batch = _read_dictionary(path)
    if missing := {"data", key} - batch.keys():
        raise InvalidDatasetError(f"{path}: holds no {missing.pop()!r}, only {', '.join(batch)}: fetch it again")
    try:
        images = torch.from_numpy(np.array(batch["data"], dtype=np.uint8)).reshape(-1, *_SHAPE)
        labels = torch.from_numpy(np.array(batch[key], dtype=np.int64)).reshape(-1)
    except (TypeError, ValueError, RuntimeError, OverflowError):
        raise InvalidDatasetError(
            f"{path}: data are no rows of {math.prod(_SHAPE)} bytes, or {key} no numbers"
        ) from None
    if len(images) != len(labels):
        raise InvalidDatasetError(f"{path}: has {len(images)} images and {len(labels)} labels: fetch it again")
    wrong = torch.nonzero((labels < 0) | (labels >= classes))
    if len(wrong):
        index = int(wrong[0])
        raise InvalidDatasetError(
            f"{path}: image {index} has the label {int(labels[index])}: labels go from 0 to {classes - 1}"
        )
    return images, labels


def _read_dictionary(path: Path) -> dict[str, Any]:
    found = read_pickle(path)
    if not isinstance(found, dict):
        raise InvalidDatasetError(f"{path}: holds no dictionary: fetch it again")
    return {key.decode("latin1") if isinstance(key, bytes) else str(key): value for key, value in found.items()}


def _cifar_classes(path: Path, key: str, classes: int) -> list[str]:
    if not path.exists():
        return [str(label) for label in range(classes)]
    names: Any = _read_dictionary(path).get(key)
    if not isinstance(names, list) or len(names) != classes:
        raise InvalidDatasetError(f"{path}: holds no {key} of {classes} classes: fetch it again")
    return [name.decode("latin1") if isinstance(name, bytes) else str(name) for name in names]


def _idx_file(folder: Path, part: str, kind: str) -> Path | None:
    dimensions = 3 if kind == "images" else 1
    stem = f"{_MNIST_PARTS[part]}-{kind}"
    names = (f"{stem}{mark}idx{dimensions}-ubyte{end}" for mark in "-." for end in ("", ".gz"))
    return next((folder / name for name in names if (folder / name).is_file()), None)


def _has_idx(folder: Path) -> bool:
    return any(_idx_file(folder, part, "images") is not None for part in _MNIST_PARTS)


def _required(folder: Path, part: str, kind: str) -> Path:
    found = _idx_file(folder, part, kind)
    if found is None:
        name = f"{_MNIST_PARTS[part]}-{kind}-idx{3 if kind == 'images' else 1}-ubyte"
        raise InvalidDatasetError(f"{folder / name} does not exist, nor does {name}.gz: fetch it")
    return found


def _read_idx(path: Path, dimensions: int) -> Tensor:
    """The bytes of an idx file: two of zero, their type, the number of dimensions, then sizes of four bytes each."""
    try:
        data = gzip.decompress(path.read_bytes()) if path.suffix == ".gz" else path.read_bytes()
    except (OSError, EOFError, ValueError, zlib.error) as error:
        raise InvalidDatasetError(f"{path}: cannot be read ({error}): fetch it again") from None
    start = 4 + 4 * dimensions
    if len(data) < start or data[:4] != bytes((0, 0, _UNSIGNED_BYTE, dimensions)):
        raise InvalidDatasetError(f"{path}: is no idx file of bytes in {dimensions} dimensions: fetch it again")
    sizes = struct.unpack(f">{dimensions}I", data[4:start])
    if len(data) - start != math.prod(sizes) or 0 in sizes:
        raise InvalidDatasetError(
            f"{path}: has {len(data) - start:,} bytes where {' x '.join(map(str, sizes))} are said: fetch it again"
        )
    return torch.from_numpy(np.frombuffer(data, np.uint8, offset=start).reshape(sizes).copy())
