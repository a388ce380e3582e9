"""The colours of classes in masks, where a file lists them."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
from numpy.typing import NDArray

from kubenas_trial.datasets.text_files import open_text
from kubenas_trial.errors import InvalidDatasetError

# As CamVid has them, in two editions, and CVAT writes them.
_FILES: Final = ("class_dict*.csv", "label_colors.txt", "labelmap.txt")
_LINES: Final = (
    re.compile(r"(?P<name>.+?)\s*[,:]\s*(?P<red>\d+)\s*,\s*(?P<green>\d+)\s*,\s*(?P<blue>\d+)\s*(:.*)?"),
    re.compile(r"(?P<red>\d+)\s+(?P<green>\d+)\s+(?P<blue>\d+)\s+(?P<name>.+)"),
)
_VOID: Final = frozenset({"void", "unlabeled", "unlabelled", "unknown", "ignore"})
# What is above means no class.
_MOST: Final = 254


@dataclass(frozen=True, slots=True)
class Colours:
    """Classes in the order of the file.

    Attributes:
        path: the file.
        names: of the classes.
        codes: red * 256^2 + green * 256 + blue of each class, int64 (classes).
    """

    path: Path
    names: tuple[str, ...]
    codes: NDArray[np.int64]

    @property
    def void(self) -> list[int]:
        """Numbers of what is no class, by its name."""
        return [number for number, name in enumerate(self.names) if name.lower() in _VOID]

    @property
    def grey(self) -> bool:
        """Whether the colours are shades of grey."""
        return all(code % 256 * 0x10101 == code for code in self.codes.tolist())

    def numbers(self, pixels: NDArray[Any], mask: Path) -> NDArray[np.uint8]:
        """The classes of a mask's pixels.

        Args:
            pixels: red, green and blue, uint8 (height, width, 3).
            mask: the file that they are from, for messages.

        Raises:
            InvalidDatasetError: a pixel has the colour of no class.
        """
        codes = _code(pixels.astype(np.int64))
        order = self.codes.argsort()
        indices = order[np.searchsorted(self.codes, codes, sorter=order).clip(max=len(order) - 1)]
        if (wrong := self.codes[indices] != codes).any():
            colour = ", ".join(map(str, pixels[wrong][0].tolist()))
            raise InvalidDatasetError(
                f"{mask} has pixels of the colour {colour}, which no class of {self.path} has: add it, or save the "
                "mask as PNG where it was a JPEG"
            )
        numbers: NDArray[np.uint8] = indices.astype(np.uint8)
        return numbers


def read_colours(folder: Path) -> Colours | None:
    """The table in `folder`: lines of NAME,R,G,B or NAME:R,G,B or R G B NAME, after a header or comments.

    Raises:
        InvalidDatasetError: there are two tables, a line is none of these, or two classes have one colour.
    """
    files = sorted(file for pattern in _FILES for file in folder.glob(pattern))
    if not files:
        return None
    if len(files) > 1:
        raise InvalidDatasetError(f"{folder}: {files[0].name} and {files[1].name} both list colours: leave one")
    classes: dict[int, str] = {}
    with open_text(files[0]) as lines:
        for number, line in enumerate(map(str.strip, lines), start=1):
            found = next(filter(None, (pattern.fullmatch(line) for pattern in _LINES)), None)
            if found is None and (number == 1 or not line or line.startswith("#")):
                continue
            at = f"{files[0]}, line {number}"
            colour = [int(found[name]) for name in ("red", "green", "blue")] if found else []
            if found is None or max(colour) > 255:
                raise InvalidDatasetError(f"{at}: is no NAME,R,G,B with numbers from 0 to 255: correct it")
            name = found["name"].strip("\"' ")
            if (other := classes.setdefault(int(_code(np.array(colour))), name)) != name:
                raise InvalidDatasetError(f"{at}: {name} has the colour of {other}: give it one of its own")
    if not 2 <= len(classes) <= _MOST:
        raise InvalidDatasetError(f"{files[0]} lists {len(classes)} colours: 2 to {_MOST} can be told apart")
    return Colours(files[0], tuple(classes.values()), np.array([*classes], dtype=np.int64))


def _code(pixels: NDArray[Any]) -> NDArray[np.int64]:
    codes: NDArray[np.int64] = pixels @ np.array([65_536, 256, 1])
    return codes
