"""Cityscapes' folders of street scenes (Cordts et al., CVPR 2016, arXiv:1604.01685)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from kubenas_trial.datasets.masks import IGNORED, INVALID, LabelledImage, labelled
from kubenas_trial.datasets.problems import Problems, each_read
from kubenas_trial.datasets.published import join, one_each, part_folders
from kubenas_trial.datasets.segmentation_data import SegmentationData, SegmentationDataSettings, segmentation_data
from kubenas_trial.errors import InvalidDatasetError

# The classes that are evaluated, in the order of their train ids, with their label ids; all other ids are ignored.
CLASSES: Final = {
    "road": 7,
    "sidewalk": 8,
    "building": 11,
    "wall": 12,
    "fence": 13,
    "pole": 17,
    "traffic light": 19,
    "traffic sign": 20,
    "vegetation": 21,
    "terrain": 22,
    "sky": 23,
    "person": 24,
    "rider": 25,
    "car": 26,
    "truck": 27,
    "bus": 28,
    "train": 31,
    "motorcycle": 32,
    "bicycle": 33,
}
_IMAGE, _LABEL_IDS, _TRAIN_IDS = "_leftImg8bit.png", "_gtFine_labelIds.png", "_gtFine_labelTrainIds.png"
_LABELS = 34


def is_cityscapes(path: Path) -> bool:
    """Whether `path` holds such folders."""
    return (path / "leftImg8bit").is_dir() and (path / "gtFine").is_dir()


def read_cityscapes(path: Path, settings: SegmentationDataSettings) -> SegmentationData:
    """leftImg8bit/{train,val}/CITY/*_leftImg8bit.png with gtFine/…_gtFine_labelIds.png, or …_labelTrainIds.png.

    The labels of the published test are kept back, so the test split is cut from train; see `published.join`. There
    are always the 19 published classes.

    Raises:
        InvalidDatasetError: a file is missing or cannot be read.
    """
    named = one_each(path, part_folders(path / "leftImg8bit"))
    parts: dict[str, list[LabelledImage]] = {}
    problems = Problems()
    for part, folder in named.items():
        if part != "test":
            with problems.noted():
                parts[part] = each_read(lambda pair: labelled(*pair), _scenes(folder, path))
    problems.refuse()
    files = [file for part in parts.values() for file in part]
    if not files:
        raise InvalidDatasetError(f"{path / 'leftImg8bit'} has no {{train,val}}/CITY/*{_IMAGE}: put the images there")
    by_train_ids = files[0].mask.name.endswith(_TRAIN_IDS)
    if mixed := next((file for file in files if file.mask.name.endswith(_TRAIN_IDS) != by_train_ids), None):
        raise InvalidDatasetError(f"{mixed.mask}: some masks are {_TRAIN_IDS}, some {_LABEL_IDS}: have one kind")
    cities, numbers = join(parts, lambda file: file.image.parent.name, settings.split_seed, path)
    return segmentation_data(cities, numbers, tuple(CLASSES), _table(by_train_ids=by_train_ids), settings)


def _scenes(folder: Path, root: Path) -> Iterator[tuple[Path, Path]]:
    for image in sorted(folder.glob(f"*/*{_IMAGE}")):
        masks = root / "gtFine" / folder.name / image.parent.name
        stem = image.name.removesuffix(_IMAGE)
        by_train_ids = masks / f"{stem}{_TRAIN_IDS}"
        yield image, by_train_ids if by_train_ids.is_file() else masks / f"{stem}{_LABEL_IDS}"


def _table(*, by_train_ids: bool) -> Tensor:
    table = torch.full((256,), INVALID, dtype=torch.uint8)
    table[IGNORED] = IGNORED
    if not by_train_ids:
        table[:_LABELS] = IGNORED
    for number, label in enumerate(CLASSES.values()):
        table[number if by_train_ids else label] = number
    return table
