"""Folders of images with masks: class numbers as the values of images of their own."""

from __future__ import annotations

import logging
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from kubenas_trial.datasets.colours import Colours, read_colours
from kubenas_trial.datasets.masks import IGNORED, INVALID, LabelledImage, labelled, occurring
from kubenas_trial.datasets.pictures import image_files, is_image
from kubenas_trial.datasets.published import join, one_each, part_of, words_of
from kubenas_trial.datasets.segmentation_data import SegmentationData, SegmentationDataSettings, segmentation_data
from kubenas_trial.datasets.text_files import open_text
from kubenas_trial.datasets.voc_masks import has_voc_masks, read_voc_masks
from kubenas_trial.errors import InvalidDatasetError

_LOG: Final = logging.getLogger("kubenas_trial")
# The second is CamVid's.
_NAMES: Final = ("classes.txt", "codes.txt")
# More different values are rather shades than classes, where there are gaps between them.
_VALUES: Final = 32
# Words in the names of the two folders; those of masks, by their other names, may as well hold boxes.
_IMAGES: Final = re.compile(r".*images?|imgs?")
_MASKS: Final = re.compile(r".*masks?( images?)?")
_OTHERS: Final = re.compile(r"(labels?|annot|annotations?|gt|ground ?truths?)( images?)?")
# What names of masks, and of folders of such, have behind those of images.
_MASK = re.compile(r"[-_]?(masks?|labels?|annot|L|P|segmentation)$")


def is_mask_folder(path: Path) -> bool:
    """Whether `path` holds images and masks, in folders of these names."""
    return has_voc_masks(path) or bool(_folders(path))


def read_mask_folder(path: Path, settings: SegmentationDataSettings) -> SegmentationData:
    """images/NAME.jpg with masks/NAME.png; in parts as images/train and masks/train, or train/images and train/masks.

    Instead of masks a folder may be called labels, annotations or gt, and those of a part train_images and train_masks,
    or train and train_labels; a mask may be called NAME_mask or NAME_L, and may then lie beside its image. Also Pascal
    VOC's folders, see `voc_masks`.

    Masks hold the classes' numbers 0, 1, 2 … as grey values or with a palette, and 255 where there is none. Where all
    are black and white (0 and 255 only) they tell two classes; other few values may have gaps between them, as the
    Oxford pets' 1 to 3. A file classes.txt, or codes.txt, may name the classes, one a line. For masks in colours see
    `read_colours`; a class called void, unlabeled, unknown or ignore is none.
    Without parts all images are split by the seed; with two parts see `published.join`.

    Raises:
        InvalidDatasetError: the message names the file and what is wrong with it.
    """
    if has_voc_masks(path):
        parts = read_voc_masks(path)
    elif folders := _folders(path):
        one_each(path, ((part, masks) for part, _, masks in folders))
        for _, images, masks in folders:
            _tell_unused(images, masks)
        parts = {part: list(_pairs(images, masks)) for part, images, masks in folders}
    else:
        raise InvalidDatasetError(f"{path} has no folders images and masks: put the images and their masks there")
    colours = read_colours(path)
    values = {pair: occurring(pair.mask, colours) for part in parts.values() for pair in part}
    everywhere = torch.stack(list(values.values())).any(0)
    black_and_white = colours is None and everywhere.nonzero().flatten().tolist() == [0, IGNORED]
    # Which classes each mask has.
    present = {pair: each[[0, IGNORED]] if black_and_white else each[:IGNORED] for pair, each in values.items()}
    void = colours.void if colours else []
    for each in present.values():
        each[void] = False
    counts = torch.stack(list(present.values())).sum(0)

    def rarest(pair: LabelledImage) -> int:
        return int(torch.where(present[pair], counts, len(present) + 1).argmin())

    pairs, numbers = join(parts, rarest, settings.split_seed, path)
    # A list of colours is the publisher's, so its rare classes may be in the test split only.
    named_by = pairs if colours else [pairs[number] for number in numbers.train]
    names = _names(path, [present[pair] for pair in named_by], colours)
    listed = colours.path.name if colours else _NAMES[0]
    for pair in pairs:
        if unknown := [value for value in present[pair].nonzero().flatten().tolist() if value not in names]:
            raise InvalidDatasetError(
                f"{pair.mask} has the value {unknown[0]}, which is no class by {listed} or else the training masks: "
                "correct the mask, or add training examples"
            )
    table = torch.full((256,), INVALID)
    table[list(names)] = torch.arange(len(names))
    table[[IGNORED, *void]] = 1 if black_and_white else IGNORED
    return segmentation_data(pairs, numbers, list(names.values()), table.byte(), settings, colours)


def _folders(path: Path) -> list[tuple[str, Path, Path]]:
    """Parts with their folders of images and of masks; "" is that of all where there are no parts."""
    if both := _both(path):
        images, masks = both
        return [(part, folder, masks / folder.name) for part, folder in _parts(images)] or [
            ("", images, _holding(masks))
        ]
    if inside := [(part, *both) for part, folder in _parts(path) if (both := _both(folder))]:
        return inside
    # Images of all parts side by side with masks, as train and train_labels.
    named = sorted({word for folder in _inside(path) for word in _words(folder) if part_of(word)})
    return [(str(part_of(word)), *both) for word in named if (both := _both(path, word))]


def _parts(path: Path) -> list[tuple[str, Path]]:
    return [(part, each) for each in _inside(path) if (part := part_of(each.name))]


def _inside(path: Path) -> list[Path]:
    return [each for each in sorted(path.glob("*")) if each.is_dir()]


def _words(folder: Path) -> list[str]:
    # CamVid's trainannot is of two.
    return words_of(re.sub("(?<=[a-z])annot$", "-annot", folder.name.lower()))


def _both(path: Path, part: str = "") -> tuple[Path, Path] | None:
    """The folders of images and of masks in `path`, those with the word `part` in their names; or `path` twice."""
    folders: dict[str, Path] = {}
    for each in _inside(path):
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
    stems = {file.stem for file in image_files(folder)}
    masks = {_MASK.sub("", file.stem): file for file in image_files(folder)}
    return {stem: file for stem, file in masks.items() if stem in stems - {file.stem}}


def _tell_unused(images: Path, masks: Path) -> None:
    """DRIVE's masks tell what of an eye is seen, and its classes lie beside them in 1st_manual."""
    if images.parent != masks.parent or images == masks:
        return
    for folder in _inside(images.parent):
        if folder not in (images, masks) and not any(map(part_of, _words(folder))) and image_files(folder):
            _LOG.warning("%s holds images too: they are not used, the masks are those in %s", folder, masks)


def _holding(folder: Path) -> Path:
    """`folder`, or the only one in it that has images, where it has none itself."""
    inside = [each for each in _inside(folder) if image_files(each)]
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
    for file in files:
        yield labelled(file, by_stem.pop(file.stem, masks / f"{file.stem}.png"))
    if by_stem:
        raise InvalidDatasetError(f"{next(iter(by_stem.values()))} belongs to no image in {images}: add or delete it")


def _names(path: Path, masks: list[Tensor], colours: Colours | None) -> dict[int, str]:
    """Values of masks with the names of their classes; each occurs in one of `masks`."""
    present: list[int] = torch.stack(masks).any(0).nonzero().flatten().tolist()
    names = {value: str(value) for value in present}
    if colours:
        names = {value: colours.names[value] for value in present if value < len(colours.names)}
    elif file := next((path / name for name in _NAMES if (path / name).is_file()), None):
        with open_text(file) as lines:
            names = dict(enumerate(line.strip() for line in lines if line.strip()))
        if missing := sorted(names.keys() - set(present)):
            raise InvalidDatasetError(
                f"{path}: class {names[missing[0]]} of {file.name} is in no training mask: add an example, or take its "
                "name out and number the others without gaps"
            )
    if len(names) < 2:
        raise InvalidDatasetError(f"{path}: the masks have {len(names)} classes: two are needed")
    if len(names) > _VALUES and list(names) != list(range(len(names))):
        raise InvalidDatasetError(
            f"{path}: the training masks have {len(names)} values up to {max(names)}, which are rather shades than "
            "classes: number these 0, 1, 2 … without gaps"
        )
    return names
