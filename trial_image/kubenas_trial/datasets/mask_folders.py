"""Folders of images with masks: class numbers as the values of images of their own."""

from __future__ import annotations

from pathlib import Path
from typing import Final

import torch
from torch import Tensor

from kubenas_trial.datasets.colours import Colours, read_colours
from kubenas_trial.datasets.mask_layouts import has_paired_masks, read_paired_masks
from kubenas_trial.datasets.masks import IGNORED, INVALID, LabelledImage, occurring
from kubenas_trial.datasets.problems import Problems, each_read
from kubenas_trial.datasets.published import join
from kubenas_trial.datasets.segmentation_data import SegmentationData, SegmentationDataSettings, segmentation_data
from kubenas_trial.datasets.text_files import open_text
from kubenas_trial.datasets.voc_masks import has_voc_masks, read_voc_masks
from kubenas_trial.errors import InvalidDatasetError

# The second is CamVid's.
_NAMES: Final = ("classes.txt", "codes.txt")
# More different values are rather shades than classes, where there are gaps between them.
_VALUES: Final = 32


def is_mask_folder(path: Path) -> bool:
    """Whether `path` holds images and masks, in Pascal VOC's folders or as in `mask_layouts`."""
    return has_voc_masks(path) or has_paired_masks(path)


def read_mask_folder(path: Path, settings: SegmentationDataSettings) -> SegmentationData:
    """Images with masks, where `mask_layouts` finds them, or in Pascal VOC's folders, see `voc_masks`.

    Masks hold the classes' numbers 0, 1, 2 … as grey values or with a palette, and 255 where there is none. Where all
    are black and white (0 and 255 only) they tell two classes; other few values may have gaps between them, as the
    Oxford pets' 1 to 3. A file classes.txt, or codes.txt, may name the classes, one a line. For masks in colours see
    `read_colours`; a class called void, unlabeled, unknown or ignore is none.
    Without parts all images are split by the seed; with two parts see `published.join`.

    Raises:
        InvalidDatasetError: the message names the file and what is wrong with it.
    """
    parts = read_voc_masks(path) if has_voc_masks(path) else read_paired_masks(path)
    colours = read_colours(path)
    all_pairs = [pair for part in parts.values() for pair in part]
    values = dict(zip(all_pairs, each_read(lambda pair: occurring(pair.mask, colours), all_pairs), strict=True))
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
    if colours:
        names = _names_of_colours(path, counts, colours)
    else:
        names = _names(path, [present[pairs[number]] for number in numbers.train])
    listed = colours.path.name if colours else _NAMES[0]
    problems = Problems()
    for pair in pairs:
        if unknown := [value for value in present[pair].nonzero().flatten().tolist() if value not in names]:
            text = (
                f"{pair.mask} has the value {unknown[0]}, which is no class by {listed} or else the training masks: "
                "correct the mask, or add training examples"
            )
            problems.add(InvalidDatasetError(text, "mask of values that are no classes"))
    problems.refuse()
    table = torch.full((256,), INVALID)
    table[list(names)] = torch.arange(len(names))
    table[[IGNORED, *void]] = 1 if black_and_white else IGNORED
    return segmentation_data(pairs, numbers, list(names.values()), table.byte(), settings, colours)


def _names_of_colours(path: Path, counts: Tensor, colours: Colours) -> dict[int, str]:
    """Values of masks with the names of their classes; as the list is the publisher's, rare ones may only be tested."""
    names = {value: name for value, name in enumerate(colours.names) if counts[value] > 0}
    if len(names) < 2:
        raise InvalidDatasetError(f"{path}: the masks have {len(names)} classes: two are needed")
    return names


def _names(path: Path, training: list[Tensor]) -> dict[int, str]:
    """Values of masks with the names of their classes; each occurs in training."""
    present: list[int] = torch.stack(training).any(0).nonzero().flatten().tolist()
    names = {value: str(value) for value in present}
    if file := next((path / name for name in _NAMES if (path / name).is_file()), None):
        with open_text(file) as lines:
            names = dict(enumerate(line.strip() for line in lines if line.strip()))
        if missing := sorted(names.keys() - set(present)):
            raise InvalidDatasetError(
                f"{path}: class {names[missing[0]]} of {file.name} is in no training mask: add an example, or take its "
                "name out and number the others without gaps"
            )
    if len(names) < 2:
        raise InvalidDatasetError(f"{path}: the training masks have {len(names)} classes: two are needed")
    if len(names) > _VALUES and list(names) != list(range(len(names))):
        raise InvalidDatasetError(
            f"{path}: the training masks have {len(names)} values up to {max(names)}, which are rather shades than "
            "classes: number these 0, 1, 2 … without gaps"
        )
    return names
