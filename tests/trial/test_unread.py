"""Files of formats that are not read are told, not left out without a word."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from PIL import Image

from kubenas_trial.datasets.pictures import image_size, read_image
from kubenas_trial.errors import InvalidDatasetError
from tests.trial.published import image, load, scenes


def pictures(root: Path) -> None:
    for label in ("cat", "dog"):
        for number in range(5):
            image(root / label / f"{number}.png")


def sounds(root: Path) -> None:
    for label in ("high", "low"):
        for number in range(5):
            (root / label).mkdir(exist_ok=True)
            soundfile.write(root / label / f"{number}.wav", np.zeros(8000), 16_000)


def masks(root: Path) -> None:
    scenes(root, "images/{}.png", "masks/{}.png")


def voc_masks(root: Path) -> None:
    scenes(root, "JPEGImages/{}.jpg", "SegmentationClass/{}.png")


def table(root: Path) -> None:
    rows = "".join(f"so {word} {number}\t{word}\n" for number in range(10) for word in ("good", "bad"))
    (root / "train.tsv").write_text(f"text\tlabel\n{rows}")


def texts(root: Path) -> None:
    (root / "train.txt").write_text("It was a dark and stormy night.\n" * 200)


def pairs(root: Path) -> None:
    (root / "train.tsv").write_text("".join(f"number {n}\tNummer {n}\n" for n in range(50)))


@pytest.mark.parametrize(
    ("task", "make", "beside", "says"),
    [
        ("image-classification", pictures, ("cat/a.HEIC", "dog/b.heic", "dog/c.avif"), "1 .avif, 2 .heic: convert"),
        ("keyword-spotting", sounds, ("high/a.flac", "low/b.mp3", "low/c.ogg"), "1 .flac, 1 .mp3, 1 .ogg: convert"),
        ("semantic-segmentation", masks, ("images/a.heic", "masks/a.tga"), "1 .heic, 1 .tga: convert"),
        ("semantic-segmentation", voc_masks, ("JPEGImages/a.heic",), "1 .heic: convert"),
        ("text-classification", table, ("test.parquet", "validation.csv.gz"), "1 .gz, 1 .parquet: convert"),
        ("language-model", texts, ("test.txt.gz",), "1 .gz: convert"),
        ("translation", pairs, ("test.xlsx",), "1 .xlsx: convert"),
    ],
)
def test_files_that_are_not_read_are_told_once_with_their_number(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    task: str,
    make: Callable[[Path], None],
    beside: tuple[str, ...],
    says: str,
) -> None:
    make(tmp_path)
    # Nor is there a word of archives, of what lies there unpacked too, and of what systems hide.
    for packed in ("train.tar.gz", "train.tsv.gz" if (tmp_path / "train.tsv").exists() else "all.zip", "._a.heic"):
        (tmp_path / packed).touch()
    load(task, tmp_path)
    assert not caplog.records
    for name in beside:
        (tmp_path / name).touch()
    load(task, tmp_path)
    [told] = caplog.messages
    assert "formats that are not read are left out: " + says in told


def test_where_nothing_else_lies_the_refusal_says_so(tmp_path: Path) -> None:
    (tmp_path / "yes").mkdir()
    (tmp_path / "yes" / "a.flac").touch()
    with pytest.raises(InvalidDatasetError, match=r"looks like none of .*; it has 1 \.flac: convert them to WAV"):
        load("keyword-spotting", tmp_path)


def test_a_photograph_that_is_named_is_told_how_to_convert(tmp_path: Path) -> None:
    (tmp_path / "a.heic").write_bytes(b"....ftypheic")
    document = {
        "images": [{"id": 1, "file_name": "a.heic"}],
        "categories": [{"id": 1, "name": "cat"}],
        "annotations": [{"image_id": 1, "category_id": 1, "bbox": [0, 0, 1, 1]}],
    }
    (tmp_path / "all.json").write_text(json.dumps(document))
    with pytest.raises(
        InvalidDatasetError, match=r"a\.heic is of a format that is not read: convert it to PNG or JPEG"
    ):
        load("object-detection", tmp_path)


def test_images_of_floating_point_values_are_refused(tmp_path: Path) -> None:
    Image.fromarray(np.full((4, 4), 0.5, dtype=np.float32)).save(tmp_path / "a.tif")
    for look in (image_size, lambda path: read_image(path, 8)):
        with pytest.raises(InvalidDatasetError, match=r"a\.tif has floating-point values.*8 or 16 bits"):
            look(tmp_path / "a.tif")
