"""Images with boxes: VOC, COCO, drawn shapes, and what batches of them hold."""

from __future__ import annotations

import json
import os
import re
from collections import Counter
from collections.abc import Sequence
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from numpy.typing import NDArray
from PIL import Image, ImageOps

from kubenas_trial.datasets.coco import is_coco, read_coco
from kubenas_trial.datasets.detection_data import PADDING, DetectionData, DetectionDataSettings
from kubenas_trial.datasets.pictures import FileTensors, random_views, view_boxes, view_images
from kubenas_trial.datasets.shapes import CLASSES, detected_shapes, shapes
from kubenas_trial.datasets.voc import is_voc, read_voc
from kubenas_trial.errors import InvalidDatasetError
from tests.properties import examples

DATA = Path(os.environ.get("KUBENAS_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
PLAIN = DetectionDataSettings(image_size=32, augmentation=False)
# xmin, ymin, xmax, ymax of the first and last of the pixels, counted from 1.
DOG, CAT = ("dog", (11, 1, 20, 10)), ("cat", (1, 11, 40, 20))


def picture(path: Path, width: int = 40, height: int = 20, seed: int = 0) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 256, (height, width, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)


def voc_xml(*objects: tuple[str, Sequence[float]], size: str = "<width>40</width><height>20</height>") -> str:
    items = "".join(
        f"<object><name>{name}</name><difficult>{int(name == 'wolf')}</difficult><bndbox>"
        + "".join(
            f"<{side}>{value}</{side}>" for side, value in zip(("xmin", "ymin", "xmax", "ymax"), box, strict=True)
        )
        + "</bndbox></object>"
        for name, box in objects
    )
    return f"<annotation><size>{size}<depth>3</depth></size>{items}</annotation>"


def voc(root: Path, count: int = 10, lists: dict[str, Sequence[int]] | None = None) -> Path:
    """`count` images, each with a dog and a cat."""
    for number in range(count):
        picture(root / "JPEGImages" / f"{number:03}.jpg", seed=number)
        file = root / "Annotations" / f"{number:03}.xml"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(voc_xml(DOG, CAT))
    for name, numbers in (lists or {}).items():
        file = root / "ImageSets" / "Main" / f"{name}.txt"
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text("".join(f"{number:03}\n" for number in numbers))
    return root


def sizes(data: DetectionData) -> list[int]:
    return [len(data.train), len(data.validation), len(data.test)]


def test_voc_boxes_are_pixels_counted_from_one(tmp_path: Path) -> None:
    data = read_voc(voc(tmp_path), PLAIN)
    assert data.classes == ("cat", "dog")
    batch = data.train[[0, 1]]
    [images], [boxes, labels, ignored] = batch.inputs, batch.targets
    assert images.shape == (2, 3, 32, 32)
    # 40 x 20 pixels are resized to 32 x 32.
    assert boxes[0].tolist() == [[8, 0, 16, 16], [0, 16, 32, 32]]
    assert labels.tolist() == [[1, 0], [1, 0]]
    assert not ignored.any()


@pytest.mark.parametrize(
    ("lists", "expected"),
    [
        ({"train": range(5), "val": range(5, 7), "test": range(7, 10)}, [5, 2, 3]),
        ({"train": range(5), "val": range(5, 10)}, [4, 5, 1]),
        ({"trainval": range(5), "test": range(5, 10)}, [4, 1, 5]),
        ({}, [6, 2, 2]),
    ],
)
def test_published_lists_are_the_splits(tmp_path: Path, lists: dict[str, Sequence[int]], expected: list[int]) -> None:
    data = read_voc(voc(tmp_path, lists=lists), PLAIN)
    assert sizes(data) == expected
    splits = (data.train, data.validation, data.test)
    assert sorted(number for split in splits for number in split.numbers) == list(range(10))


def test_voc_is_found_below_the_folder_that_archives_make(tmp_path: Path) -> None:
    voc(tmp_path / "VOCdevkit" / "VOC2007")
    assert is_voc(tmp_path)
    assert sizes(read_voc(tmp_path, PLAIN)) == [6, 2, 2]
    voc(tmp_path / "VOCdevkit" / "VOC2012")
    with pytest.raises(InvalidDatasetError, match="holds 2 of them: name one folder"):
        read_voc(tmp_path, PLAIN)


def test_difficult_objects_are_marked_even_of_classes_that_are_otherwise_absent(tmp_path: Path) -> None:
    root = voc(tmp_path)
    for number in range(10):
        (root / "Annotations" / f"{number:03}.xml").write_text(voc_xml(DOG, ("wolf", CAT[1])))
    data = read_voc(root, PLAIN)
    assert data.classes == ("dog",)
    assert data.train[[0]].targets[1].tolist() == [[0]]


@pytest.mark.parametrize(
    ("xml", "text"),
    [
        (voc_xml(("dog", (11, 1, 50, 10))), "object 1 (dog): its box (10.0, 0.0, 50.0, 10.0) reaches beyond the image"),
        (voc_xml(DOG, ("cat", (20, 1, 10, 10))), "object 2 (cat): its box (19.0, 0.0, 10.0, 10.0) has no area"),
        (voc_xml(("dog", ("nan", 1, 50, 10))), "has no area"),  # type: ignore[arg-type]
        (voc_xml(("dog", ("left", 1, 50, 10))), "object 1 (dog): xmin is 'left': write a number"),  # type: ignore[arg-type]
        (voc_xml(("", (11, 1, 20, 10))), "object 1 has no name"),
        (voc_xml(DOG).replace("<ymax>10</ymax>", ""), "object 1 (dog): bndbox has no ymax"),
        (voc_xml(DOG, size="<width>80</width><height>40</height>"), "says 80 x 40 pixels, but 003.jpg has 40 x 20"),
        ("<annotation>", "cannot be read as XML (no element found"),
        ("", "cannot be read as XML"),
    ],
)
def test_a_wrong_annotation_is_named(tmp_path: Path, xml: str, text: str) -> None:
    (voc(tmp_path) / "Annotations" / "003.xml").write_text(xml)
    with pytest.raises(InvalidDatasetError) as refused:
        read_voc(tmp_path, PLAIN)
    assert "003.xml" in str(refused.value)
    assert text in str(refused.value)


def test_entities_do_not_explode(tmp_path: Path) -> None:
    levels = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    bomb = f'<!DOCTYPE a [<!ENTITY l0 "ha">{levels}]><annotation>&l9;</annotation>'
    (voc(tmp_path) / "Annotations" / "003.xml").write_text(bomb)
    with pytest.raises(InvalidDatasetError, match="cannot be read as XML"):
        read_voc(tmp_path, PLAIN)


def test_a_missing_or_damaged_image_is_named(tmp_path: Path) -> None:
    image = voc(tmp_path) / "JPEGImages" / "004.jpg"
    image.write_bytes(image.read_bytes()[:300])
    with pytest.raises(InvalidDatasetError, match=r"004\.jpg cannot be read as an image \(.*replace it"):
        read_voc(tmp_path, PLAIN)
    image.unlink()
    with pytest.raises(InvalidDatasetError, match=r"004\.jpg does not exist"):
        read_voc(tmp_path, PLAIN)


def test_a_listed_image_without_annotation_is_named(tmp_path: Path) -> None:
    voc(tmp_path, lists={"train": range(8), "val": [8], "test": [9, 10]})
    with pytest.raises(InvalidDatasetError, match=r"010\.xml does not exist, but 010 is listed"):
        read_voc(tmp_path, PLAIN)


def test_a_class_that_is_not_trained_is_named(tmp_path: Path) -> None:
    root = voc(tmp_path, lists={"train": range(6), "val": [6, 7], "test": [8, 9]})
    (root / "Annotations" / "008.xml").write_text(voc_xml(("emu", (1, 1, 9, 9))))
    with pytest.raises(InvalidDatasetError, match=r"008\.jpg: class 'emu' has no training example"):
        read_voc(root, PLAIN)


def test_images_are_read_as_needed_where_all_would_be_too_large(tmp_path: Path) -> None:
    root = voc(tmp_path)
    kept = read_voc(root, DetectionDataSettings(image_size=256, augmentation=False))
    lazy = read_voc(root, DetectionDataSettings(image_size=256, augmentation=False, memory_limit_mb=1))
    assert isinstance(lazy.train.images, FileTensors)
    assert torch.equal(lazy.train[[3, 1]].inputs[0], kept.train[[3, 1]].inputs[0])


def test_blood_cells_have_their_published_split() -> None:
    root = DATA / "bccd"
    if not root.exists():
        pytest.skip(f"no blood cells: {root} is absent (KUBENAS_DATA names its folder)")
    data = read_voc(root, PLAIN)
    assert data.classes == ("Platelets", "RBC", "WBC")
    assert sizes(data) == [205, 87, 72]
    counts = Counter(label for labels in data.train.labels for label in labels.tolist())
    assert counts == {0: 361, 1: 4155, 2: 372}


def coco_document(count: int, **changes: Any) -> dict[str, Any]:
    """`count` images with a dog and a cat each; category ids begin late and have gaps, as COCO's do."""
    document = {
        "images": [{"id": 7 + n, "file_name": f"{n:03}.jpg", "width": 40, "height": 20} for n in range(count)],
        "categories": [{"id": 90, "name": "cat"}, {"id": 3, "name": "dog"}],
        "annotations": [
            {"id": 2 * n + place, "image_id": 7 + n, "category_id": category, "bbox": box, "iscrowd": crowd}
            for n in range(count)
            for place, (category, box, crowd) in enumerate([(3, [10, 0, 10, 10], 0), (90, [0, 10, 40, 10], n % 2)])
        ],
    }
    return document | changes


def coco_images(folder: Path, count: int) -> None:
    for number in range(count):
        picture(folder / f"{number:03}.jpg", seed=number)


def test_coco_is_read_as_published(tmp_path: Path) -> None:
    (tmp_path / "annotations").mkdir()
    for part, count in (("train", 6), ("val", 4)):
        coco_images(tmp_path / f"{part}2017", count)
        file = tmp_path / "annotations" / f"instances_{part}2017.json"
        file.write_text(json.dumps(coco_document(count)))
    (tmp_path / "annotations" / "captions_train2017.json").write_text("{}")
    assert is_coco(tmp_path)
    assert not is_voc(tmp_path)
    data = read_coco(tmp_path, PLAIN)
    assert data.classes == ("cat", "dog")
    assert sizes(data) == [5, 4, 1]
    boxes, labels, ignored = data.validation[[0, 1]].targets
    assert boxes[0].tolist() == [[8, 0, 16, 16], [0, 16, 32, 32]]
    assert labels.tolist() == [[1, 0], [1, 0]]
    assert ignored.tolist() == [[False, False], [False, True]]


@pytest.mark.parametrize("file", ["annotations.json", "_annotations.coco.json"])
@pytest.mark.parametrize("folder", [".", "images"])
def test_one_json_beside_images_is_split_by_the_seed(tmp_path: Path, file: str, folder: str) -> None:
    coco_images(tmp_path / folder, 10)
    (tmp_path / file).write_text(json.dumps(coco_document(10)))
    for path in (tmp_path, tmp_path / file):
        assert is_coco(path)
        assert sizes(read_coco(path, PLAIN)) == [6, 2, 2]


def test_folders_with_a_json_each_are_the_splits(tmp_path: Path) -> None:
    # A category that no object has is no class, such as one that only stands above others.
    animals = [
        {"id": 90, "name": "cat", "supercategory": "animal"},
        {"id": 3, "name": "dog", "supercategory": "animal"},
    ]
    categories = [{"id": 0, "name": "animal", "supercategory": "none"}, *animals]
    for part, count in (("train", 5), ("valid", 2), ("test", 3)):
        coco_images(tmp_path / part, count)
        document = coco_document(count, categories=categories)
        (tmp_path / part / "_annotations.coco.json").write_text(json.dumps(document))
    data = read_coco(tmp_path, PLAIN)
    assert (data.classes, sizes(data)) == (("cat", "dog"), [5, 2, 3])


WRONG = [
    ({"annotations": [{"image_id": 1, "category_id": 3, "bbox": [0, 0, 1, 1]}]}, "annotations.0: image_id 1 is the id"),
    ({"annotations": [{"image_id": 7, "category_id": 1, "bbox": [0, 0, 1, 1]}]}, "annotations.0: category_id 1 is the"),
    ({"annotations": [{"image_id": 7, "category_id": 3, "bbox": [0, 0, 1]}]}, "annotations.0.bbox.3: Field required"),
    (
        {"annotations": [{"image_id": 7, "category_id": 3, "bbox": [30, 0, 20, 1]}]},
        "reaches beyond the image of 40 x 20",
    ),
    ({"annotations": [{"image_id": 7, "category_id": 3, "bbox": [30, 0, -3, 1]}]}, "has no area"),
    ({"images": []}, "images is empty"),
    ({"images": [{"id": 7, "file_name": "no.jpg"}], "annotations": []}, "image no.jpg is in none of"),
]


@pytest.mark.parametrize(("changes", "text"), WRONG)
def test_a_wrong_entry_is_named(tmp_path: Path, changes: dict[str, Any], text: str) -> None:
    coco_images(tmp_path, 10)
    (tmp_path / "all.json").write_text(json.dumps(coco_document(10, **changes)))
    with pytest.raises(InvalidDatasetError) as refused:
        read_coco(tmp_path, PLAIN)
    assert str(tmp_path) in str(refused.value)
    assert text in str(refused.value)


def a_few_boxes(root: Path, form: str, boxes: Sequence[Sequence[float]]) -> DetectionData:
    """Ten images of 40 x 20 pixels: the first with `boxes`, x1, y1, x2, y2 from 0, the others with one of the whole."""
    each = [boxes, *[[(0, 0, 40, 20)]] * 9]
    if form == "voc":
        voc(root)
        for number, some in enumerate(each):
            objects = [("dog", (x1 + 1, y1 + 1, x2, y2)) for x1, y1, x2, y2 in some]
            (root / "Annotations" / f"{number:03}.xml").write_text(voc_xml(*objects))
        return read_voc(root, PLAIN)
    coco_images(root, 10)
    annotations = [
        {"image_id": 7 + number, "category_id": 3, "bbox": [x1, y1, x2 - x1, y2 - y1]}
        for number, some in enumerate(each)
        for x1, y1, x2, y2 in some
    ]
    (root / "all.json").write_text(json.dumps(coco_document(10, annotations=annotations)))
    return read_coco(root, PLAIN)


@pytest.mark.parametrize("form", ["voc", "coco"])
def test_boxes_a_few_pixels_outside_are_clipped_and_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, form: str
) -> None:
    data = a_few_boxes(tmp_path, form, [(-3, 5, 20, 10), (10, 0, 44, 20.1), (10, 10, 40.1, 20)])
    [number] = [number for number, boxes in enumerate(data.train.boxes) if len(boxes) == 3]
    torch.testing.assert_close(
        data.train.boxes[number] * torch.tensor([40, 20, 40, 20]),
        torch.tensor([[0, 5, 20, 10], [10, 0, 40, 20], [10, 10, 40, 20]], dtype=torch.float32),
    )
    [told] = caplog.messages
    assert (
        told == f"{tmp_path}: boxes that reach beyond their images, by 4 pixels at most, are clipped to them: 2 of 12"
    )


@pytest.mark.parametrize("form", ["voc", "coco"])
@pytest.mark.parametrize(
    ("box", "says"),
    [((10, 0, 46, 20), "reaches beyond"), ((41, 0, 44, 20), "lies beyond"), ((-5, 0, 0, 9), "lies beyond")],
)
def test_boxes_far_or_wholly_outside_are_refused(
    tmp_path: Path, form: str, box: tuple[float, float, float, float], says: str
) -> None:
    with pytest.raises(InvalidDatasetError, match=f"{says}.*the image of 40 x 20 pixels: correct or delete it"):
        a_few_boxes(tmp_path, form, [box])


def test_what_is_no_json_is_named(tmp_path: Path) -> None:
    (tmp_path / "all.json").write_text("{")
    with pytest.raises(InvalidDatasetError, match=r"all\.json: the file: Invalid JSON"):
        read_coco(tmp_path, PLAIN)


def test_drawn_shapes_are_the_same_for_a_seed_and_lie_in_their_boxes() -> None:
    scenes = shapes(48, seed=3, count=40)
    again = shapes(48, seed=3, count=3)
    assert all(torch.equal(one.image, two.image) for one, two in zip(scenes, again, strict=False))
    assert not torch.equal(scenes[0].image, shapes(48, seed=4, count=1)[0].image)
    assert {label for scene in scenes for label, _ in scene.items} == set(range(len(CLASSES)))
    for scene in scenes:
        covered = torch.zeros(48, 48, dtype=torch.bool)
        for label, box in scene.items:
            x1, y1, x2, y2 = (round(48 * side) for side in box)
            assert (scene.mask[y1:y2, x1:x2] == label + 1).any()
            covered[max(y1 - 1, 0) : y2 + 1, max(x1 - 1, 0) : x2 + 1] = True
        assert not scene.mask[~covered].any()


def test_only_training_images_are_varied_and_their_boxes_follow() -> None:
    data = detected_shapes(DetectionDataSettings(image_size=48))
    torch.manual_seed(0)
    first, second = data.train[range(20)], data.train[range(20)]
    assert not torch.equal(first.inputs[0], second.inputs[0])
    assert torch.equal(data.test[range(20)].inputs[0], data.test[range(20)].inputs[0])
    boxes, labels, _ = first.targets
    there = boxes[labels != PADDING]
    assert (there[:, 2:] > there[:, :2]).all()
    assert there.min() >= 0
    assert there.max() <= 48


@examples(25)
@given(st.integers(0, 2**31))
def test_boxes_are_where_the_pixels_are(seed: int) -> None:
    torch.manual_seed(seed)
    views = random_views(1)
    image = torch.zeros(1, 1, 100, 100)
    image[0, 0, 30:60, 20:70] = 1
    [[box]] = view_boxes(torch.tensor([[[0.2, 0.3, 0.7, 0.6]]]), views) * 100
    pixels = view_images(image, views)[0, 0] > 0.5
    rows, columns = pixels.any(1).nonzero(), pixels.any(0).nonzero()
    expected = torch.stack([columns[0, 0], rows[0, 0], columns[-1, 0] + 1, rows[-1, 0] + 1])
    torch.testing.assert_close(box.clamp(0, 100), expected.float(), atol=1.0, rtol=0)


# Sizes tell boxes of what is stored only where it lies on its side.
@pytest.mark.parametrize(
    ("orientation", "told"),
    [*product(range(1, 9), ("upright", "not")), *product(range(5, 9), ("stored",))],
)
@pytest.mark.parametrize("form", ["coco", "voc"])
def test_boxes_stay_on_their_objects_however_the_photograph_is_turned(
    tmp_path: Path, form: str, orientation: int, told: str
) -> None:
    # The object is the only bright part, also of what is stored lying on its side.
    stored = np.zeros((20, 40, 3), dtype=np.uint8)
    stored[2:8, 10:30] = 255
    exif = Image.Exif()
    exif[0x112] = orientation
    folder = tmp_path / "JPEGImages" if form == "voc" else tmp_path
    folder.mkdir(exist_ok=True)
    for number in range(5):
        Image.fromarray(stored).save(folder / f"{number}.png", exif=exif)
    with Image.open(folder / "0.png") as opened:
        upright = np.asarray(ImageOps.exif_transpose(opened))
    pixels: NDArray[np.bool_] = (stored if told == "stored" else upright)[..., 0] > 0
    rows, columns = np.nonzero(pixels.any(1))[0], np.nonzero(pixels.any(0))[0]
    corners = [int(place) for place in (columns[0], rows[0], columns[-1] + 1, rows[-1] + 1)]
    size = {} if told == "not" else {"width": pixels.shape[1], "height": pixels.shape[0]}
    settings = DetectionDataSettings(image_size=40, augmentation=False)
    if form == "voc":
        (tmp_path / "Annotations").mkdir()
        said = "".join(f"<{name}>{value}</{name}>" for name, value in size.items())
        xml = voc_xml(("lamp", (corners[0] + 1, corners[1] + 1, *corners[2:])), size=said)
        for number in range(5):
            (tmp_path / "Annotations" / f"{number}.xml").write_text(xml if said else re.sub("<size>.*</size>", "", xml))
        data = read_voc(tmp_path, settings)
    else:
        box = [*corners[:2], corners[2] - corners[0], corners[3] - corners[1]]
        document = {
            "images": [{"id": number, "file_name": f"{number}.png", **size} for number in range(5)],
            "categories": [{"id": 1, "name": "lamp"}],
            "annotations": [{"image_id": number, "category_id": 1, "bbox": box} for number in range(5)],
        }
        (tmp_path / "all.json").write_text(json.dumps(document))
        data = read_coco(tmp_path, settings)
    images, boxes = data.test[[0]].inputs[0], data.test[[0]].targets[0]
    bright = images[0, 0] > 0
    expected = [*(bright.any(0).nonzero()[[0, -1], 0]), *(bright.any(1).nonzero()[[0, -1], 0])]
    left, right, top, bottom = (int(place) for place in expected)
    assert boxes[0, 0].tolist() == pytest.approx([left, top, right + 1, bottom + 1], abs=1)
