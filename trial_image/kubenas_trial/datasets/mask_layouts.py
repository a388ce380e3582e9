"""Where masks lie: in a folder beside that of their images, by name, or beside each image."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

from kubenas_trial.datasets.masks import LabelledImage, labelled
from kubenas_trial.datasets.pictures import image_files, is_image
from kubenas_trial.datasets.problems import Problems
from kubenas_trial.datasets.published import folders_in, one_each, part_folders, part_of, words_of
from kubenas_trial.datasets.unread import PICTURES, tell_unread
from kubenas_trial.errors import InvalidDatasetError

_LOG: Final = logging.getLogger("kubenas_trial")
# Words in the names of the two folders; those of masks, by their other names, may as well hold boxes.
_IMAGES: Final = re.compile(r".*images?|imgs?")
_MASKS: Final = re.compile(r".*masks?( images?)?")
_OTHERS: Final = re.compile(r"(labels?|annot|annotations?|gt|ground ?truths?)( images?)?")
# What names of masks, and of folders of such, have behind those of images.
_MASK = re.compile(r"[-_]?(masks?|labels?|annot|L|P|segmentation)$")


def has_paired_masks(path: Path) -> bool:
    """Whether `path` holds images and masks as `read_paired_masks` finds them."""
    return bool(_folders(path))


def read_paired_masks(path: Path) -> dict[str, list[LabelledImage]]:
    """images/NAME.jpg with masks/NAME.png; in parts as images/train and masks/train, or train/images and train/masks.

    Instead of masks a folder may be called labels, annotations or gt, and those of a part train_images and train_masks,
    or train and train_labels; a mask may be called NAME_mask or NAME_L, and may then lie beside its image.

    Raises:
        InvalidDatasetError: there are none, two folders are for the same part, or an image has no mask, or a mask none.
    """
    folders = _folders(path)
    if not folders:
        raise InvalidDatasetError(f"{path} has no folders images and masks: put the images and their masks there")
    tell_unread(path, PICTURES, below=True)
    one_each(path, ((part, masks) for part, _, masks in folders))
    for _, images, masks in folders:
        _tell_unused(images, masks)
    parts: dict[str, list[LabelledImage]] = {}
    problems = Problems()
    for part, images, masks in folders:
        with problems.noted():
            parts[part] = list(_pairs(images, masks))
    problems.refuse()
    return parts


def _folders(path: Path) -> list[tuple[str, Path, Path]]:
    """Parts with their folders of images and of masks; "" is that of all where there are no parts."""
    if both := _images_and_masks(path):
        images, masks = both
        return [(part, folder, masks / folder.name) for part, folder in part_folders(images)] or [
            ("", images, _holding(masks))
        ]
    if inside := [(part, *both) for part, folder in part_folders(path) if (both := _images_and_masks(folder))]:
        return inside
    # Images of all parts side by side with masks, as train and train_labels.
    named = sorted({word for folder in folders_in(path) for word in _words(folder) if part_of(word)})
    return [(str(part_of(word)), *both) for word in named if (both := _images_and_masks(path, word))]


def _words(folder: Path) -> list[str]:
    # CamVid's trainannot is of two.
    return words_of(re.sub("(?<=[a-z])annot$", "-annot", folder.name.lower()))


def _images_and_masks(path: Path, part: str = "") -> tuple[Path, Path] | None:
    """The folders of images and of masks in `path`, those with the word `part` in their names; or `path` twice."""
    folders: dict[str, Path] = {}
    for each in folders_in(path):
        words = _words(each)
        if [word for word in words if part_of(word)] == ([part] if part else []):
            kind = " ".join(word for word in words if word and part_of(word) is None)
            folders.setdefault(kind or "images", each)
    images, masks, others = (_called(names, folders) for names in (_IMAGES, _MASKS, _OTHERS))
    if masks is None and others and any(map(is_image, others.rglob("*"))):
        masks = others
    if images and (masks or (not part and part_of(path.name))):
        return images, masks or path / "masks"
    return (path, path) if not part and _masks_beside(path) else None


def _called(names: re.Pattern[str], folders: Mapping[str, Path]) -> Path | None:
    """The folder of the shortest name, so that images comes before raw images."""
    return folders.get(min(filter(names.fullmatch, folders), key=len, default=""))


def _masks_beside(folder: Path) -> dict[str, Path]:
    """By the images' names, masks that lie beside these."""
    files = image_files(folder)
    stems = {file.stem for file in files}
    masks = {_MASK.sub("", file.stem): file for file in files}
    return {stem: file for stem, file in masks.items() if stem in stems - {file.stem}}


def _tell_unused(images: Path, masks: Path) -> None:
    """DRIVE's masks tell what of an eye is seen, and its classes lie beside them in 1st_manual."""
    if images.parent != masks.parent or images == masks:
        return
    for folder in folders_in(images.parent):
        if folder not in (images, masks) and not any(map(part_of, _words(folder))) and image_files(folder):
            _LOG.warning("%s holds images too: they are not used, the masks are those in %s", folder, masks)


def _holding(folder: Path) -> Path:
    """`folder`, or the only one in it that has images, where it has none itself."""
    inside = [each for each in folders_in(folder) if image_files(each)]
    return inside[0] if len(inside) == 1 and not image_files(folder) else folder


def _pairs(images: Path, masks: Path) -> Iterator[LabelledImage]:
    if not masks.is_dir():
        raise InvalidDatasetError(f"{masks} does not exist: put the masks of {images} there")
    files = image_files(images)
    if images == masks:
        by_stem = _masks_beside(images)
        files = [file for file in files if file not in by_stem.values()]
    else:
        stems = {file.stem for file in files}
        by_stem = {file.stem if file.stem in stems else _MASK.sub("", file.stem): file for file in image_files(masks)}
    if not files:
        raise InvalidDatasetError(f"{images} holds no image: put some there")
    problems = Problems()
    for file in files:
        with problems.noted():
            yield labelled(file, by_stem.pop(file.stem, masks / f"{file.stem}.png"))
    for mask in by_stem.values():
        text = f"{mask} belongs to no image in {images}: add or delete it"
        problems.add(InvalidDatasetError(text, "mask without image"))
    problems.refuse()
