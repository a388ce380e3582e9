"""Photographs that their cameras stored turned, with masks and with questions."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from PIL import Image, ImageOps

from kubenas_trial.errors import InvalidDatasetError
from tests.trial.published import load

ORIENTATIONS = range(1, 9)


def photograph() -> NDArray[np.uint8]:
    """As stored: 40 x 20 pixels, bright in a part that no turning or mirroring leaves where it is."""
    pixels = np.zeros((20, 40, 3), dtype=np.uint8)
    pixels[2:8, 20:32] = 255
    return pixels


def save(path: Path, pixels: NDArray[np.uint8], orientation: int | None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    exif = Image.Exif()
    if orientation is not None:
        exif[0x112] = orientation
    Image.fromarray(pixels).save(path, exif=exif)


def upright(path: Path) -> NDArray[np.uint8]:
    with Image.open(path) as image:
        return np.asarray(ImageOps.exif_transpose(image))


def segmented(root: Path) -> Any:
    return load("semantic-segmentation", root, imageSize=40, augmentation=False)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
@pytest.mark.parametrize("drawn", ["upright", "stored"])
def test_masks_stay_on_their_objects(tmp_path: Path, orientation: int, drawn: str) -> None:
    for number in range(5):
        image = tmp_path / "images" / f"{number}.png"
        save(image, photograph(), orientation)
        mask = (photograph() if drawn == "stored" else upright(image))[..., 0] // 255
        # A mask that was drawn on what is stored says so as its image does.
        save(tmp_path / "masks" / image.name, mask, orientation if drawn == "stored" else None)
    data = segmented(tmp_path)
    [images], [masks] = data.test[[0]].inputs, data.test[[0]].targets
    expected = Image.fromarray(upright(tmp_path / "images" / "0.png")).resize((40, 40), Image.Resampling.NEAREST)
    assert torch.equal(masks[0] == 1, torch.from_numpy(np.array(expected))[..., 0] > 0)
    # Where images are smoothed, by at most a pixel around the object.
    assert ((images[0, 0] > 0) != (masks[0] == 1)).float().mean() < 0.04


@pytest.mark.parametrize("orientation", range(5, 9))
def test_a_mask_of_what_is_stored_that_does_not_say_so_is_refused(tmp_path: Path, orientation: int) -> None:
    for number in range(5):
        save(tmp_path / "images" / f"{number}.png", photograph(), orientation)
        save(tmp_path / "masks" / f"{number}.png", photograph()[..., 0] // 255, None)
    with pytest.raises(InvalidDatasetError, match=r"0\.png has 40 x 20 pixels, but .* has 20 x 40, upright as its cam"):
        segmented(tmp_path)


@pytest.mark.parametrize("orientation", ORIENTATIONS)
def test_questions_are_about_what_is_seen_upright(tmp_path: Path, orientation: int) -> None:
    seen = []
    for folder, turned in (("turned", True), ("plain", False)):
        root = tmp_path / folder
        for number in range(12):
            save(tmp_path / "turned" / f"{number}.png", photograph(), orientation)
            if not turned:
                save(root / f"{number}.png", upright(tmp_path / "turned" / f"{number}.png"), None)
        lines = [
            {"image": f"{n}.png", "question": "Is it here?", "answer": "yes" if n % 2 else "no"} for n in range(12)
        ]
        (root / "all.jsonl").write_text("\n".join(map(json.dumps, lines)))
        data = load("visual-question-answering", root, imageSize=32, augmentation=False)
        seen.append(data.train[range(4)].inputs[0])
    assert torch.equal(*seen)
    # It is not that nothing was read.
    assert seen[0].std() > 0
