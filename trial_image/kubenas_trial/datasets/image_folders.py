"""Folders of images, one per class, as ImageNet and torchvision have them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import torch
from PIL import Image
from torch import Tensor

from kubenas_trial.datasets.data import SPLIT_NAMES
from kubenas_trial.datasets.image_data import ImageClassificationSettings, ImageData, image_data, random_crop_and_flip
from kubenas_trial.datasets.image_preprocessing import read_pixels
from kubenas_trial.datasets.pictures import image_size, is_image, tensors
from kubenas_trial.datasets.problems import Problems
from kubenas_trial.datasets.published import folders_in, join, one_each, part_folders, part_of, parts_in, words_of
from kubenas_trial.datasets.text_files import open_text
from kubenas_trial.datasets.unread import PICTURES, tell_unread
from kubenas_trial.errors import InvalidDatasetError

_LOG: Final = logging.getLogger("kubenas_trial")
# Images whose headers are read for size and channels, evenly spaced.
_SAMPLED: Final = 1_000
# A larger commonest size is scaled down to this side; the setting asks for more.
_LARGEST: Final = 64
_GREY: Final = frozenset({"1", "L", "LA", "I", "I;16", "I;16B"})
# Folders of all images, whatever their classes.
_IMAGES: Final = frozenset({"image", "images"})


class _Labelled(NamedTuple):
    """An image and the name of its class."""

    path: Path
    label: str


class _Layout(NamedTuple):
    """What all images are converted to: sides in pixels, and Pillow's mode, L or RGB."""

    height: int
    width: int
    mode: str


def is_image_folder(path: Path) -> bool:
    """Whether there is a folder of images, or a folder of such folders called train."""
    parts = [folder for part, folder in part_folders(path) if part == "train"]
    return any(_has_image(folder) for root in (path, *parts) for folder in folders_in(root))


def read_image_folder(path: Path, settings: ImageClassificationSettings) -> ImageData:
    """Images in folders named for their classes, at any depth below; those in `train`, `val`, `test`, or unsplit.

    A missing part is a fifth of train; one for validation or test without such folders is left out, as the
    classes of its images are kept back, unless it lists them as Tiny ImageNet's val_annotations.txt. Each image is cut
    to the proportions of all and resized.

    Raises:
        InvalidDatasetError: a class has no images, or none to train on; an image cannot be read.
    """
    tell_unread(path, PICTURES, below=True)
    parts = _parts(path)
    known = {each.label for name in ("", "train") for each in parts.get(name, ())}
    for part, examples in parts.items():
        if unknown := next((each for each in examples if each.label not in known), None):
            raise InvalidDatasetError(
                f"{unknown.path.parent}: class {unknown.label} has images in {part}, but none in train: add some, or "
                "leave it out"
            )
    if len(known) < 2:
        raise InvalidDatasetError(
            f"{path}: has the class {', '.join(known)} only: name the folder that holds two or more"
        )
    examples, numbers = join(parts, lambda each: each.label, settings.split_seed, path)
    classes = sorted(known)
    trained = {examples[number].label for number in numbers.train}
    if few := sorted(known - trained):
        raise InvalidDatasetError(f"{path}: class {few[0]} has too few images for one to train on: add more")
    number_of = {name: number for number, name in enumerate(classes)}
    problems = Problems()
    layout = _layout([examples[number].path for number in numbers.train], settings.image_size, problems)
    images = tensors(
        [each.path for each in examples],
        partial(_read, layout=layout),
        layout.height * layout.width * len(layout.mode),
        settings.memory_limit_mb,
    )
    # Images in memory have all been read; of others only the sampled ones.
    problems.refuse()
    labels = torch.tensor([number_of[each.label] for each in examples])
    return image_data(images, labels, numbers, classes, random_crop_and_flip if settings.augmentation else None)


def _parts(path: Path) -> Mapping[str, Sequence[_Labelled]]:
    """Images of each published part, or all as that of none."""
    if not path.is_dir():
        raise InvalidDatasetError(f"{path} is no folder: name the one that holds the classes' folders")
    folders = one_each(path, part_folders(path))
    # Vehicles may be of the class train.
    a_class = len(folders) == 1 < len(folders_in(path)) and not any(map(folders_in, folders.values()))
    if "train" not in folders or a_class:
        _refuse_named_alike(path)
        return {"": _images(path)}
    for part in ("validation", "test"):
        folder = folders.get(part)
        if folder is None or _list(folder).is_file() or _has_classes(folder):
            continue
        if part == "test" or _has_image(folder):
            _LOG.warning("%s has no folders of classes: it is not used", folders.pop(part))
    return {part: _images(folders[part]) for part in SPLIT_NAMES if part in folders}


def _has_classes(root: Path) -> bool:
    return {folder.name.lower() for folder in folders_in(root)} - _IMAGES != set()


def _list(root: Path) -> Path:
    """Where Tiny ImageNet says which class each image in `root` has."""
    return root / f"{root.name}_annotations.txt"


def _refuse_named_alike(path: Path) -> None:
    """Where classes are called as parts might be, such as seg_train and seg_test."""
    alike: dict[str, dict[str, str]] = {}
    for folder in folders_in(path):
        for part in parts_in(folder.name):
            others = " ".join(word for word in words_of(folder.name) if part_of(word) is None)
            alike.setdefault(others, {})[part] = folder.name
    for parts in alike.values():
        if "train" in parts and len(parts) > 1:
            names = " and ".join(parts.values())
            raise InvalidDatasetError(
                f"{path}: {names} would be classes: call the folders of parts train, val and test"
            )


def _images(root: Path) -> list[_Labelled]:
    if _list(root).is_file():
        return list(_listed(root))
    folders = folders_in(root)
    if named := next((folder.name for folder in folders if folder.name.lower() in _IMAGES), None):
        raise InvalidDatasetError(
            f"{root}: {named} would be a class: name the folder that holds the classes' folders, such as {root / named}"
        )
    if not folders:
        raise InvalidDatasetError(f"{root}: has no folders, one for each class: add them, or leave it out")
    images = []
    problems = Problems()
    for folder in folders:
        found = sorted(file for file in folder.rglob("*") if is_image(file))
        if not found:
            text = (
                f"{folder}: class {folder.name} has no images: add some, remove the folder, or name the one that holds "
                "the classes' folders"
            )
            problems.add(InvalidDatasetError(text, "class without images"))
        images += [_Labelled(file, folder.name) for file in found]
    problems.refuse()
    return images


def _listed(root: Path) -> Iterator[_Labelled]:
    with open_text(_list(root)) as lines:
        for number, line in enumerate(lines, start=1):
            name, label, *_ = (*line.rstrip("\n").split("\t"), "", "")
            file = root / "images" / name
            if not label or not file.is_file():
                what = f"{file} does not exist" if label else "has no class behind a tab"
                raise InvalidDatasetError(f"{_list(root)}, line {number}: {what}: correct it, or take the line out")
            yield _Labelled(file, label)


def _layout(paths: Sequence[Path], side: int | None, problems: Problems) -> _Layout:
    sizes: Counter[tuple[int, int]] = Counter()
    grey = True
    for path in paths[:: -(-len(paths) // _SAMPLED)]:
        with problems.noted():
            sizes[image_size(path)[::-1]] += 1
            with Image.open(path) as image:
                grey &= image.mode in _GREY
    if not sizes:
        problems.refuse()
    mode = "L" if grey else "RGB"
    if side is not None:
        return _Layout(side, side, mode)
    (height, width), _ = sizes.most_common(1)[0]
    scale = min(1.0, _LARGEST / max(height, width))
    return _Layout(max(1, round(height * scale)), max(1, round(width * scale)), mode)


def _read(path: Path, layout: _Layout) -> Tensor:
    return read_pixels(path, len(layout.mode), layout.height, layout.width, crop=True)


def _has_image(folder: Path) -> bool:
    return any(is_image(file) for file in folder.rglob("*"))
