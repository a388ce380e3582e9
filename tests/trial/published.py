"""What tests of data sets that are laid out as well-known ones share."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
from PIL import Image

from kubenas.api.task import Dataset
from kubenas.api.task import Task as TaskSpec
from kubenas_trial.tasks.load import load_task


def load(task: str, path: Path, **settings: Any) -> Any:
    """The data of a task."""
    spec = TaskSpec(name=task, dataset=Dataset(path=str(path)), settings=settings)
    return load_task(spec, None, torch.device("cpu")).data


def sizes(data: Any) -> list[int]:
    """Examples of train, validation and test."""
    return [len(data.train), len(data.validation), len(data.test)]


def write(root: Path, **files: str) -> Path:
    """Files by their names, with __ for a dot."""
    for name, text in files.items():
        path = root / name.replace("__", ".")
        path.write_text(text, newline="")
    return root


def image(path: Path, seed: int = 0, mode: str = "RGB", **options: Any) -> None:
    """Noise of 24 x 20 pixels."""
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (20, 24, 3), dtype=np.uint8)
    Image.fromarray(pixels).convert(mode).save(path, **options)


def boxes(folder: Path, count: int, annotations: str = ".", images: str = ".", suffix: str = ".jpg") -> Path:
    """Images with a cat and a dog each, as Pascal VOC has them; returns `folder`."""
    for number in range(count):
        image(folder / images / f"{number}{suffix}", number)
        items = "".join(
            f"<object><name>{name}</name><part><name>head</name><bndbox><xmin>900</xmin></bndbox></part>"
            "<bndbox><xmax>12.5</xmax><xmin>2</xmin><ymax>20</ymax><ymin>1.0</ymin></bndbox></object>"
            for name in ("dog", "cat")
        )
        file = folder / annotations / f"{number}.xml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"<annotation><filename>other.png</filename>{items}</annotation>")
    (folder / annotations / "._0.xml").write_bytes(b"\0")
    (folder / images / f"._0{suffix}").write_bytes(b"\0")
    return folder


def scenes(root: Path, images: str, masks: str, count: int = 10, values: Iterable[int] = (0, 1, 2)) -> None:
    """Masks of stripes; `images` and `masks` are paths with a place for the number."""
    for number in range(count):
        image(root / images.format(number), number)
        path = root / masks.format(number)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.array([*values], dtype=np.uint8).repeat(8)[None, :24].repeat(20, axis=0)).save(path)
