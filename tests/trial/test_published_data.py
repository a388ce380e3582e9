"""Images laid out as in well-known data sets, with their quirks."""

from __future__ import annotations

import json
import struct
from codecs import BOM_UTF8
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from kubenas.api.task import Dataset
from kubenas.api.task import Task as TaskSpec
from kubenas_trial.datasets.data import stratified
from kubenas_trial.datasets.pictures import read_image
from kubenas_trial.errors import InvalidDatasetError
from kubenas_trial.tasks.load import load_task
from tests.trial.published import boxes, image, load, scenes, sizes

ZERO_AREA = {"id": 0, "image_id": 0, "category_id": 18, "bbox": [9.98, 8.56, 5.52, 0.0], "iscrowd": 0}


def classes(root: Path, suffix: str = ".png", count: int = 10, mode: str = "RGB") -> Path:
    for number in range(count):
        for name in ("cat", "dog"):
            image(root / name / f"{number}{suffix}", number, mode)
    return root


@pytest.mark.parametrize(("suffix", "mode"), [(".pgm", "L"), (".GIF", "P"), (".JPEG", "CMYK"), (".png", "RGBA")])
def test_images_of_many_kinds_are_read(tmp_path: Path, suffix: str, mode: str) -> None:
    data = load("image-classification", classes(tmp_path, suffix, mode=mode))
    assert (sizes(data), data.classes) == ([12, 4, 4], ("cat", "dog"))


def test_images_of_a_test_part_without_classes_are_left_out(tmp_path: Path) -> None:
    classes(tmp_path / "train")
    image(tmp_path / "test" / "1.JPEG")
    assert sizes(load("image-classification", tmp_path)) == [12, 4, 4]


def test_parts_are_not_taken_for_classes(tmp_path: Path) -> None:
    for part in ("seg_train", "seg_test"):
        classes(tmp_path / part, count=1)
    with pytest.raises(InvalidDatasetError, match="seg_train would be classes: call the folders of parts train"):
        load("image-classification", tmp_path)
    (tmp_path / "seg_test").rename(tmp_path / "test_tube")
    assert load("image-classification", classes(tmp_path)).classes == ("cat", "dog", "seg_train", "test_tube")


def test_of_two_folders_for_one_part_none_is_guessed(tmp_path: Path) -> None:
    for part in ("train", "val", "valid"):
        classes(tmp_path / "classes" / part, count=2)
        for kind in ("images", "masks"):
            image(tmp_path / "scenes" / part / kind / "1.png", 1, "L")
    with pytest.raises(InvalidDatasetError, match="classes: val and valid are both for validation: leave one"):
        load("image-classification", tmp_path / "classes")
    with pytest.raises(InvalidDatasetError, match="val/masks and valid/masks are both for validation"):
        load("semantic-segmentation", tmp_path / "scenes")


def test_a_class_may_be_called_train(tmp_path: Path) -> None:
    classes(tmp_path)
    for number in range(10):
        image(tmp_path / "train" / f"{number}.png", number)
    data = load("image-classification", tmp_path)
    assert (sizes(data), data.classes) == ([18, 6, 6], ("cat", "dog", "train"))


def test_a_folder_of_all_images_is_no_class(tmp_path: Path) -> None:
    scenes(tmp_path / "pets", "images/{}.jpg", "annotations/trimaps/{}.png")
    with pytest.raises(
        InvalidDatasetError, match=r"images would be a class: name the folder .*, such as .*pets/images"
    ):
        load("image-classification", tmp_path / "pets")


def test_tiny_imagenet_lists_the_classes_of_its_validation(tmp_path: Path) -> None:
    for number in range(10):
        image(tmp_path / "train" / f"n0{number % 2}" / "images" / f"{number}.JPEG", number)
    for number in range(6):
        image(tmp_path / "val" / "images" / f"val_{number}.JPEG", number)
        image(tmp_path / "test" / "images" / f"test_{number}.JPEG", number)
    file = tmp_path / "val" / "val_annotations.txt"
    file.write_text("".join(f"val_{number}.JPEG\tn0{number % 2}\t0\t32\t44\t62\n" for number in range(6)))
    data = load("image-classification", tmp_path)
    assert (sizes(data), data.classes) == ([8, 6, 2], ("n00", "n01"))
    file.write_text("val_7.JPEG\tn00\t0\t32\t44\t62\n")
    with pytest.raises(InvalidDatasetError, match=r"val_annotations\.txt, line 1: .*val_7\.JPEG does not exist"):
        load("image-classification", tmp_path)


def test_what_a_mac_packs_along_is_no_class(tmp_path: Path) -> None:
    classes(tmp_path)
    for folder in (tmp_path / "cat", tmp_path / "__MACOSX" / "cat"):
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "._0.png").write_bytes(b"\0")
    assert load("image-classification", tmp_path).classes == ("cat", "dog")


def test_the_upper_bits_of_sixteen_are_seen(tmp_path: Path) -> None:
    Image.fromarray(np.array([[0, 256], [32768, 65535]], dtype=np.uint16)).save(tmp_path / "a.png")
    assert read_image(tmp_path / "a.png", 2)[0].tolist() == [[0, 1], [128, 255]]


def test_photos_are_turned_as_their_cameras_say(tmp_path: Path) -> None:
    upright = Image.fromarray(np.arange(480, dtype=np.uint8).reshape(24, 20))
    turned = Image.Exif()
    turned[0x112] = 6
    for number in range(5):
        for name in ("cat", "dog"):
            (tmp_path / name).mkdir(exist_ok=True)
            upright.rotate(90, expand=True).save(tmp_path / name / f"{number}.png", exif=turned)
    data = load("image-classification", tmp_path)
    assert data.shape == (1, 24, 20)
    assert data.test.images[0, 0].tolist() == np.asarray(upright).tolist()


@pytest.mark.parametrize("workers", [0, 1])
def test_an_image_that_is_read_late_is_named_in_one_line(tmp_path: Path, workers: int) -> None:
    for part in ("train", "val", "test"):
        classes(tmp_path / part, ".bmp", 2)
    path = tmp_path / "val" / "cat" / "0.bmp"
    path.write_bytes(path.read_bytes()[:200])
    settings = {"imageSize": 512, "memoryLimitMb": 1, "workers": workers}
    spec = TaskSpec(name="image-classification", dataset=Dataset(path=str(tmp_path)), settings=settings)
    task = load_task(spec, None, torch.device("cpu"))
    assert len(list(task.batches(task.data.train))) == 1
    with pytest.raises(InvalidDatasetError, match=r"^[^\n]*cat/0\.bmp cannot be read as an image[^\n]*$"):
        list(task.batches(task.data.validation))


def test_a_packed_data_set_is_refused(tmp_path: Path) -> None:
    (tmp_path / "cifar-10-python.tar.gz").write_bytes(b"")
    for path in (tmp_path, tmp_path / "cifar-10-python.tar.gz"):
        with pytest.raises(InvalidDatasetError, match=r"looks like none of .*unpack what is packed"):
            load("image-classification", path)


def test_of_two_data_sets_of_torchvision_none_is_guessed(tmp_path: Path) -> None:
    for name in ("MNIST", "FashionMNIST"):
        (tmp_path / name / "raw").mkdir(parents=True)
        (tmp_path / name / "raw" / "train-images-idx3-ubyte").write_bytes(struct.pack(">BBBB", 0, 0, 8, 3))
    with pytest.raises(InvalidDatasetError, match=r"MNIST/raw and .*FashionMNIST/raw: name one of them"):
        load("image-classification", tmp_path)


def test_classes_smaller_than_the_split_still_leave_some_for_each() -> None:
    labels = [label for label in range(4) for _ in range(3)]
    train, validation, test = stratified(labels, seed=0, shares=(4, 1, 1))
    assert sorted([*train, *validation, *test]) == list(range(12))
    assert {labels[number] for number in train} == set(range(4))
    assert (len(validation), len(test)) == (2, 2)


@pytest.mark.parametrize(("annotations", "images"), [(".", "."), ("annotations", "images"), ("Annotations", "images")])
def test_voc_files_may_lie_beside_images_or_in_lower_case(tmp_path: Path, annotations: str, images: str) -> None:
    data = load("object-detection", boxes(tmp_path, 10, annotations, images, ".PNG"), imageSize=32)
    assert (sizes(data), data.classes) == ([6, 2, 2], ("cat", "dog"))


def test_voc_files_in_folders_of_parts_are_the_splits(tmp_path: Path) -> None:
    for part, count in (("train", 5), ("valid", 2), ("test", 3)):
        boxes(tmp_path / part, count)
    assert sizes(load("object-detection", tmp_path, imageSize=32)) == [5, 2, 3]


def test_voc_lists_may_name_images_with_spaces_and_say_of_a_class_whether_it_is_there(tmp_path: Path) -> None:
    boxes(tmp_path, 9)
    for number in range(9):
        for suffix in (".jpg", ".xml"):
            (tmp_path / f"{number}{suffix}").rename(tmp_path / f"photo {number}{suffix}")
    lists = tmp_path / "ImageSets" / "Main"
    lists.mkdir(parents=True)
    for part, numbers in (("train", range(4)), ("val", range(4, 6)), ("test", range(6, 9))):
        said = "  1" if part == "test" else ""
        (lists / f"{part}.txt").write_text("".join(f"photo {number}{said}\r\n" for number in numbers))
    assert sizes(load("object-detection", tmp_path, imageSize=32)) == [4, 2, 3]
    (lists / "val.txt").write_text("photo 4 1\nphoto 5\n")
    with pytest.raises(InvalidDatasetError, match=r"photo 4 1\.xml does not exist"):
        load("object-detection", tmp_path)
    (lists / "val.txt").write_text("photo 1\n")
    with pytest.raises(InvalidDatasetError, match=r"val\.txt: photo 1 is in train\.txt too"):
        load("object-detection", tmp_path)


def coco(
    root: Path, file: str = "annotations/instances_val2017.json", images: str = "val2017", width: int = 24
) -> Path:
    document = {
        "images": [{"id": n, "file_name": f"{n:012}.jpg", "width": width, "height": 20} for n in range(10)],
        "categories": [{"id": number, "name": name} for number, name in ((1, "person"), (18, "dog"))],
        "annotations": [ZERO_AREA]
        + [
            {"id": 1 + n, "image_id": n, "category_id": number, "bbox": [2.5, 3, 10, 12]}
            for n in range(10)
            for number in (1, 18)
        ],
    }
    for number in range(10):
        image(root / images / f"{number:012}.jpg", number)
    (root / file).parent.mkdir(exist_ok=True)
    (root / file).write_text(json.dumps(document))
    return root / file


def test_one_of_cocos_files_is_read_and_boxes_without_area_are_left_out(tmp_path: Path) -> None:
    data = load("object-detection", coco(tmp_path), imageSize=32)
    assert (sizes(data), data.classes) == ([6, 2, 2], ("dog", "person"))
    assert all(len(each) == 2 for each in data.train.boxes)


def test_coco_images_of_another_size_than_said_are_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidDatasetError, match=r"says 25 x 20 pixels, but .*0\.jpg has 24 x 20"):
        load("object-detection", coco(tmp_path, width=25))


def test_of_two_years_of_coco_none_is_guessed(tmp_path: Path) -> None:
    coco(tmp_path, "annotations/instances_train2014.json", "train2014")
    coco(tmp_path, "annotations/instances_train2017.json", "train2017")
    with pytest.raises(InvalidDatasetError, match=r"_train2014\.json and \S+_train2017\.json are both for train"):
        load("object-detection", tmp_path)


def test_cocos_folder_of_annotations_names_the_images_beside_it(tmp_path: Path) -> None:
    path = coco(tmp_path)
    path.write_bytes(BOM_UTF8 + path.read_bytes())
    assert sizes(load("object-detection", tmp_path / "annotations", imageSize=32)) == [6, 2, 2]


def test_coco_images_of_one_id_are_named(tmp_path: Path) -> None:
    path = coco(tmp_path)
    path.write_text(path.read_text().replace('"images": [{"id": 0,', '"images": [{"id": 1,'))
    with pytest.raises(InvalidDatasetError, match=r"images\.1: an entry before it has the id 1 too"):
        load("object-detection", tmp_path)
