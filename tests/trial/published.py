"""What tests of data sets that are laid out as well-known ones share."""

from __future__ import annotations

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
