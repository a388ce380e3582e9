"""Pascal VOC's images with masks (Everingham et al., IJCV 2010)."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from kubenas_trial.datasets.masks import LabelledImage, labelled
from kubenas_trial.datasets.pictures import image_files
from kubenas_trial.datasets.problems import Problems
from kubenas_trial.datasets.unread import PICTURES, tell_unread
from kubenas_trial.datasets.voc_lists import read_lists
from kubenas_trial.errors import InvalidDatasetError

_IMAGES: Final = "JPEGImages"
_MASKS: Final = "SegmentationClass"
_LISTS: Final = Path("ImageSets", "Segmentation")


def has_voc_masks(path: Path) -> bool:
    """Whether `path` is such a folder, or holds one, as VOCdevkit does."""
    return bool(_roots(path))


def read_voc_masks(path: Path) -> dict[str, list[LabelledImage]]:
    """JPEGImages with SegmentationClass, in the parts of ImageSets/Segmentation/{train,val,test}.txt where there are.

    Images without a mask, which are there for their boxes, are left out.

    Raises:
        InvalidDatasetError: a file is missing or cannot be read, or there are several such folders.
    """
    roots = _roots(path)
    if len(roots) != 1:
        raise InvalidDatasetError(f"{path} holds {len(roots)} folders with {_MASKS}: name one of them")
    [root] = roots
    for folder in (root / _IMAGES, root / _MASKS):
        tell_unread(folder, PICTURES, below=False)
    masks = {file.stem: file for file in image_files(root / _MASKS)}
    if not masks:
        raise InvalidDatasetError(f"{root / _MASKS} holds no image: put the masks there")
    images = {file.stem: file for file in image_files(root / _IMAGES)}
    lists = read_lists(root / _LISTS, masks.keys()) or {"": list(masks)}
    parts: dict[str, list[LabelledImage]] = {part: [] for part in lists}
    problems = Problems()
    for part, names in lists.items():
        for name in names:
            image, mask = (root / _IMAGES / f"{name}.jpg"), (root / _MASKS / f"{name}.png")
            with problems.noted():
                parts[part].append(labelled(images.get(name, image), masks.get(name, mask)))
    problems.refuse()
    return parts


def _roots(path: Path) -> list[Path]:
    """Folders of images and masks: `path` itself, else some one or two folders below."""
    for roots in ([path], path.glob("*"), path.glob("*/*")):
        if found := [root for root in sorted(roots) if (root / _IMAGES).is_dir() and (root / _MASKS).is_dir()]:
            return found
    return []
