"""Image data sets in files, as their publishers write them."""

from __future__ import annotations

import gzip
import os
import pickle
import struct
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image

from kubenas_trial.datasets.data import Examples
from kubenas_trial.datasets.image_data import ImageClassificationSettings, ImageData, random_crop, random_crop_and_flip
from kubenas_trial.errors import InvalidDatasetError
from kubenas_trial.tasks.image_classification import ImageClassification
from kubenas_trial.tasks.load import format_of
from tests.properties import examples

CIFAR10 = [*(f"data_batch_{number}" for number in range(1, 6)), "test_batch"]
CLASSES = ("cat", "dog")


def read(path: Path, **changed: Any) -> tuple[str, ImageData]:
    """Format as told by the files, and the data."""
    name = format_of(ImageClassification, path, None)
    chosen = ImageClassificationSettings(**{"augmentation": False, **changed})
    return name, ImageClassification.formats[name].read(path, chosen)


def sizes(data: ImageData) -> tuple[int, int, int]:
    return len(data.train), len(data.validation), len(data.test)


def everything(examples: Examples) -> tuple[torch.Tensor, torch.Tensor]:
    batch = examples[range(len(examples))]
    return batch.inputs[0], batch.targets[0]


def noise(*shape: int, seed: int = 0) -> NDArray[np.uint8]:
    return np.random.default_rng(seed).integers(0, 256, shape, dtype=np.uint8)


def write_cifar10(folder: Path, protocol: int = 2) -> list[NDArray[np.uint8]]:
    folder.mkdir()
    batches = [noise(50, 3072, seed=number) for number in range(len(CIFAR10))]
    for name, images in zip(CIFAR10, batches, strict=True):
        batch = {"data": images, "labels": [place % 10 for place in range(50)], "batch_label": name}
        (folder / name).write_bytes(pickle.dumps(batch, protocol))
    (folder / "batches.meta").write_bytes(pickle.dumps({"label_names": [f"c{label}" for label in range(10)]}))
    return batches


def write_cifar100(folder: Path) -> None:
    folder.mkdir()
    for name, count in (("train", 500), ("test", 100)):
        # Python 2's strings, which the published files hold, come as bytes from other programs.
        batch = {b"data": noise(count, 3072), b"fine_labels": [place % 100 for place in range(count)]}
        (folder / name).write_bytes(pickle.dumps(batch))


def write_mnist(folder: Path, packed: bool, side: int = 28) -> None:
    folder.mkdir(parents=True)
    for part, count in (("train", 100), ("t10k", 30)):
        images = struct.pack(">4I", 0x803, count, side, side) + noise(count, side, side).tobytes()
        labels = struct.pack(">2I", 0x801, count) + bytes(place % 10 for place in range(count))
        for kind, dimensions, data in (("images", 3, images), ("labels", 1, labels)):
            name = f"{part}-{kind}-idx{dimensions}-ubyte"
            (folder / (f"{name}.gz" if packed else name)).write_bytes(gzip.compress(data) if packed else data)


def write_folders(
    root: Path, count: int = 10, size: tuple[int, int] = (20, 12), classes: tuple[str, ...] = CLASSES
) -> None:
    for number, name in enumerate(classes):
        (root / name).mkdir(parents=True)
        for place in range(count):
            pixels = np.full((size[1], size[0], 3), (60 * number, 2 * place, 0), dtype=np.uint8)
            Image.fromarray(pixels).save(root / name / f"{place}.{'png' if place else 'JPEG'}")


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
@pytest.mark.parametrize("below", [True, False])
def test_cifar10_is_read_as_written(tmp_path: Path, protocol: int, below: bool) -> None:
    folder = tmp_path / "cifar-10-batches-py"
    batches = write_cifar10(folder, protocol)
    name, data = read(tmp_path if below else folder)
    assert (name, sizes(data), data.shape) == ("cifar10", (200, 50, 50), (3, 32, 32))
    assert data.classes == tuple(f"c{label}" for label in range(10))
    images, labels = everything(data.test)
    assert labels.tolist() == [place % 10 for place in range(50)]
    pixels = torch.from_numpy(batches[-1]).float().reshape(50, 3, 32, 32)
    for channel in range(3):
        found, written = images[:, channel].flatten(), pixels[:, channel].flatten()
        assert torch.corrcoef(torch.stack((found, written)))[0, 1] > 0.9999
    assert torch.bincount(everything(data.validation)[1]).tolist() == [5] * 10


def test_cifar100_is_read_without_names(tmp_path: Path) -> None:
    write_cifar100(tmp_path / "cifar-100-python")
    name, data = read(tmp_path)
    assert (name, sizes(data), len(data.classes)) == ("cifar100", (400, 100, 100), 100)


@pytest.mark.parametrize("packed", [True, False])
@pytest.mark.parametrize("folder", ["", "raw", "MNIST/raw", "FashionMNIST/raw"])
def test_mnist_is_read_where_torchvision_puts_it(tmp_path: Path, packed: bool, folder: str) -> None:
    write_mnist(tmp_path / "data" / folder, packed)
    name, data = read(tmp_path / "data")
    assert (name, sizes(data), data.shape) == ("mnist", (80, 20, 30), (1, 28, 28))
    assert everything(data.test)[1].tolist() == [place % 10 for place in range(30)]
    assert read(tmp_path / "data", image_size=14)[1].shape == (1, 14, 14)


class Harmful:
    """Runs a command where it is unpickled without care."""

    def __reduce__(self) -> tuple[Callable[[str], int], tuple[str]]:
        return os.system, ("touch harm",)


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-100])


def pickled(**changed: Any) -> Callable[[Path], None]:
    def write(path: Path) -> None:
        batch = {"data": noise(50, 3072), "labels": [0] * 50, **changed}
        path.write_bytes(pickle.dumps({key: value for key, value in batch.items() if value is not None}))

    return write


@pytest.mark.parametrize(
    ("file", "change", "text"),
    [
        ("data_batch_3", Path.unlink, "data_batch_3 does not exist"),
        ("test_batch", cut, "test_batch: is no pickle of arrays"),
        ("test_batch", pickled(data=Harmful()), r"test_batch: .*asks for posix.system, and only arrays are read"),
        ("test_batch", pickled(labels=None), "test_batch: holds no 'labels', only data"),
        ("data_batch_1", pickled(labels=[0] * 49), "data_batch_1: has 50 images and 49 labels"),
        ("data_batch_1", pickled(labels=[0] * 49 + [10]), "image 49 has the label 10: labels go from 0 to 9"),
        ("data_batch_1", pickled(data=noise(50, 3071)), "data_batch_1: data are no rows of 3072 bytes"),
        ("batches.meta", lambda path: path.write_bytes(pickle.dumps({"label_names": ["a"]})), "no label_names of 10"),
    ],
)
def test_what_is_wrong_with_cifar_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, file: str, change: Callable[[Path], Any], text: str
) -> None:
    monkeypatch.chdir(tmp_path)
    write_cifar10(tmp_path / "cifar")
    change(tmp_path / "cifar" / file)
    with pytest.raises(InvalidDatasetError, match=text):
        read(tmp_path / "cifar")
    assert not (tmp_path / "harm").exists()


@pytest.mark.parametrize(
    ("file", "change", "text"),
    [
        ("t10k-labels-idx1-ubyte", Path.unlink, "t10k-labels-idx1-ubyte does not exist, nor does"),
        ("train-images-idx3-ubyte", cut, r"train-images-idx3-ubyte: has 78,300 bytes where 100 x 28 x 28 are said"),
        (
            "train-images-idx3-ubyte",
            lambda path: path.write_bytes(b"<html>"),
            "is no idx file of bytes in 3 dimensions",
        ),
        (
            "t10k-labels-idx1-ubyte",
            lambda path: path.write_bytes(struct.pack(">2I", 0x801, 1) + b"\0"),
            "has 1 labels for the 30 images of t10k-images-idx3-ubyte",
        ),
        (
            "t10k-labels-idx1-ubyte",
            lambda path: path.write_bytes(struct.pack(">2I", 0x801, 30) + bytes([11] * 30)),
            "class 11 has test images, but none to train on",
        ),
    ],
)
def test_what_is_wrong_with_mnist_is_told(tmp_path: Path, file: str, change: Callable[[Path], Any], text: str) -> None:
    write_mnist(tmp_path / "mnist", packed=False)
    change(tmp_path / "mnist" / file)
    with pytest.raises(InvalidDatasetError, match=text):
        read(tmp_path / "mnist")


@pytest.mark.parametrize("memory_limit_mb", [1, 100])
def test_folders_are_read_alike_in_memory_and_from_files(tmp_path: Path, memory_limit_mb: int) -> None:
    write_folders(tmp_path, count=100, size=(120, 90))
    name, data = read(tmp_path, memory_limit_mb=memory_limit_mb)
    assert (name, data.classes, data.shape) == ("image-folder", CLASSES, (3, 48, 64))
    assert sizes(data) == (120, 40, 40)
    images, labels = everything(data.test)
    # The red channel is the class.
    assert torch.equal(images[:, 0].mean((1, 2)) > 0, labels == 1)


@pytest.mark.parametrize(
    ("parts", "expected"),
    [
        (("train", "val", "test"), (20, 20, 20)),
        (("train", "valid", "testing"), (20, 20, 20)),
        (("train", "val"), (16, 20, 4)),
        (("train", "test"), (16, 4, 20)),
        (("train",), (12, 4, 4)),
    ],
)
def test_published_parts_are_kept(tmp_path: Path, parts: tuple[str, ...], expected: tuple[int, int, int]) -> None:
    for part in parts:
        write_folders(tmp_path / part)
    _, data = read(tmp_path)
    assert (sizes(data), data.shape) == (expected, (3, 12, 20))


def test_a_seed_changes_the_split_and_nothing_leaks(tmp_path: Path) -> None:
    # The green channel numbers the images of a class.
    write_folders(tmp_path, count=25)

    def found(seed: int) -> list[set[tuple[int, int]]]:
        _, data = read(tmp_path, split_seed=seed)
        mean, deviation = (float(each[1]) for each in (data.train.mean, data.train.deviation))  # type: ignore[attr-defined]
        return [
            {
                (int(label), round((float(image[1].mean()) * deviation + mean) / 2))
                for image, label in zip(*everything(split), strict=True)
            }
            for split in (data.train, data.validation, data.test)
        ]

    splits = found(0)
    assert [len(split) for split in splits] == [30, 10, 10]
    assert len(set.union(*splits)) == 50
    assert found(0) == splits != found(1)


@pytest.mark.parametrize(
    ("change", "text"),
    [
        (lambda root: (root / "train" / "empty").mkdir(), "train/empty: class empty has no images"),
        (lambda root: (root / "train" / "cat" / "3.png").write_bytes(b"GIF"), r"cat/3\.png cannot be read as an image"),
        (lambda root: cut(root / "train" / "cat" / "3.png"), r"cat/3\.png cannot be read as an image"),
        (
            lambda root: write_folders(root / "test", classes=("cow",)),
            "class cow has images in test, but none in train",
        ),
        (lambda root: (root / "val").mkdir(), "val: has no folders, one for each class"),
    ],
)
def test_what_is_wrong_with_folders_is_told(tmp_path: Path, change: Callable[[Path], Any], text: str) -> None:
    write_folders(tmp_path / "train", size=(100, 80))
    change(tmp_path)
    with pytest.raises(InvalidDatasetError, match=text):
        read(tmp_path)


def test_one_class_is_none_to_tell_apart(tmp_path: Path) -> None:
    write_folders(tmp_path, classes=("cat",))
    with pytest.raises(InvalidDatasetError, match="has the class cat only: name the folder that holds two or more"):
        read(tmp_path)


def test_what_looks_like_no_images_names_the_formats(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("nothing")
    with pytest.raises(InvalidDatasetError, match="looks like none of cifar10, cifar100, mnist, image-folder"):
        read(tmp_path)


@examples(20)
@given(st.integers(1, 3), st.integers(8, 20), st.integers(8, 20), st.integers(0, 2**32))
def test_a_moved_image_is_a_part_of_it_on_black(channels: int, height: int, width: int, seed: int) -> None:
    torch.manual_seed(seed)
    images = torch.randint(1, 256, (4, channels, height, width), dtype=torch.uint8)
    for before, after in zip(images, random_crop(images), strict=True):
        kept = after[0] > 0
        rows, columns = int(kept.any(1).sum()), int(kept.any(0).sum())
        assert rows >= height - height // 8
        assert columns >= width - width // 8
        tops, lefts = {0, height - rows}, {0, width - columns}
        part = after[:, kept][:, None].reshape(channels, rows, columns)
        assert any(
            torch.equal(before[:, top : top + rows, left : left + columns], part) for top in tops for left in lefts
        )


def test_natural_images_are_mirrored_half_of_the_time() -> None:
    torch.manual_seed(0)
    ramp = torch.arange(1, 33, dtype=torch.uint8).expand(400, 1, 32, 32)
    middle = random_crop_and_flip(ramp)[:, 0, 16]
    falling = (middle[:, 15] > middle[:, 16]).float().mean()
    assert 0.4 < float(falling) < 0.6
