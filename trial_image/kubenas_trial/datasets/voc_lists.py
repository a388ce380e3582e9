"""Pascal VOC's lists of which images are for training, validation and test."""

from __future__ import annotations

import re
from collections.abc import Collection
from pathlib import Path
from typing import Final

from kubenas_trial.datasets.published import one_each, part_of
from kubenas_trial.datasets.text_files import open_text
from kubenas_trial.errors import InvalidDatasetError

# Lists of one class tell behind a name whether the image has it.
_HAS_CLASS: Final = re.compile(r"\s+(-1|0|1)$")


def read_lists(folder: Path, known: Collection[str]) -> dict[str, list[str]]:
    """Names of the images of each part by train.txt, val.txt and test.txt in `folder`; none where there is no list.

    trainval.txt is that of train where there is no other.

    Args:
        folder: where the lists lie.
        known: names of the images that have annotations.

    Raises:
        InvalidDatasetError: a list cannot be read, two are for one part, or an image is in two.
    """
    files = one_each(folder, ((part, file) for file in sorted(folder.glob("*.txt")) if (part := part_of(file.stem))))
    whole = folder / "trainval.txt"
    if "train" not in files and whole.exists():
        files["train"] = whole
        files.pop("validation", None)
    found: dict[str, list[str]] = {}
    listed: dict[str, Path] = {}
    for part, file in files.items():
        found[part] = _names(file, known)
        for name in found[part]:
            if listed.setdefault(name, file) != file:
                raise InvalidDatasetError(f"{file}: {name} is in {listed[name].name} too: leave it in one of them")
    return found


def _names(file: Path, known: Collection[str]) -> list[str]:
    with open_text(file) as lines:
        names = [name for line in lines if (name := line.strip())]
    if all(map(_HAS_CLASS.search, names)):
        names = [name if name in known else _HAS_CLASS.sub("", name) for name in names]
    return list(dict.fromkeys(names))
