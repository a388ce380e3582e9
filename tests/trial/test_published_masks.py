"""Images with masks laid out as in well-known data sets, with their quirks."""

from __future__ import annotations

from codecs import BOM_UTF8
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from kubenas_trial.errors import InvalidDatasetError
from tests.trial.published import boxes, image, load, scenes, sizes


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("images/{}.jpg", "masks/{}_mask.png"),
        ("images/{}.jpg", "labels/{}.png"),
        ("images/{}.jpg", "annotations/{}.png"),
        ("images/{}.jpg", "annotations/trimaps/{}.png"),
        ("images/{}.png", "labels/{}_P.png"),
        ("Image/{}.JPG", "Mask/{}.PNG"),
        ("PNGImages/FudanPed{}.png", "PedMasks/FudanPed{}_mask.png"),
        ("img/{}.png", "ground_truth/{}.png"),
        ("images/{}.jpg", "mask_images/{}.png"),
        ("img{}.jpg", "img{}_mask.png"),
        ("VOC2012/JPEGImages/{}.jpg", "VOC2012/SegmentationClass/{}.png"),
    ],
)
def test_masks_have_other_names_too(tmp_path: Path, images: str, masks: str) -> None:
    scenes(tmp_path, images, masks)
    assert sizes(load("semantic-segmentation", tmp_path, imageSize=16)) == [6, 2, 2]


def test_numbers_of_classes_may_have_gaps_and_names(tmp_path: Path) -> None:
    scenes(tmp_path, "images/{}.jpg", "masks/{}.png", values=(1, 3, 255))
    data = load("semantic-segmentation", tmp_path, imageSize=24, augmentation=False)
    assert (data.classes, set(data.test[[0]].targets[0].flatten().tolist())) == (("1", "3"), {0, 1, 255})
    scenes(tmp_path, "images/{}.jpg", "masks/{}.png")
    (tmp_path / "codes.txt").write_text("sky\nsea\nland\n")
    assert load("semantic-segmentation", tmp_path, imageSize=16).classes == ("sky", "sea", "land")


CLASS_DICT = "name,r,g,b\nVoid,0,0,0\nsky,128,128,128\nroad,128,64,128\ntunnel,64,0,64\ncar,64,0,128\n"
LABEL_COLORS = "0 0 0\t\tVoid\n128 128 128\tsky\n128 64 128\troad\n64 0 64\ttunnel\n64 0 128\tcar\n"
LABELMAP = "# label:color_rgb:parts:actions\nVoid:0,0,0::\nsky:128,128,128::\nroad:128,64,128::\ncar:64,0,128::\n"
COLOURS = np.array([[0, 0, 0], [128, 128, 128], [128, 64, 128], [64, 0, 128]], dtype=np.uint8)


def coloured(path: Path, *classes: int) -> None:
    """A mask of stripes in the colours of `classes`."""
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(COLOURS[[classes]].repeat(24 // len(classes), axis=1).repeat(20, axis=0)).save(path)


@pytest.mark.parametrize(
    ("file", "text"),
    [("class_dict.csv", CLASS_DICT), ("label_colors.txt", LABEL_COLORS), ("labelmap.txt", LABELMAP)],
)
def test_colours_are_classes_where_they_are_listed(tmp_path: Path, file: str, text: str) -> None:
    for part, count in (("train", 6), ("val", 2), ("test", 3)):
        for number in range(count):
            image(tmp_path / part / f"{number}.png", number)
            # Cars are in the test split only, and tunnels nowhere.
            coloured(tmp_path / f"{part}_labels" / f"{number}_L.png", 0, 1, 2, 3 if part == "test" else 2)
    with pytest.raises(InvalidDatasetError, match=r"in colours, .* list the colours .* in class_dict\.csv"):
        load("semantic-segmentation", tmp_path)
    (tmp_path / file).write_text(text)
    data = load("semantic-segmentation", tmp_path, imageSize=24)
    assert (sizes(data), data.classes) == ([6, 2, 3], ("sky", "road", "car"))
    assert data.test[[0]].targets[0][0, 0, ::6].tolist() == [255, 0, 1, 2]


def test_grey_values_number_the_classes_of_a_list_of_colours(tmp_path: Path) -> None:
    scenes(tmp_path, "images/{}.jpg", "masks/{}.png", values=(0, 2, 4))
    (tmp_path / "class_dict_seg.csv").write_text(CLASS_DICT.replace(",", ", "))
    assert load("semantic-segmentation", tmp_path, imageSize=16).classes == ("road", "car")
    scenes(tmp_path, "images/{}.jpg", "masks/{}.png", values=(0, 255, 0))
    with pytest.raises(InvalidDatasetError, match="0 classes: two are needed"):
        load("semantic-segmentation", tmp_path)
    scenes(tmp_path, "images/{}.jpg", "masks/{}.png", values=(0, 255, 0))
    (tmp_path / "class_dict_seg.csv").write_text("name,r,g,b\nroad,255,255,255\nbackground,0,0,0\n")
    data = load("semantic-segmentation", tmp_path, imageSize=24, augmentation=False)
    assert (data.classes, data.test[[0]].targets[0][0, 0, ::8].tolist()) == (("road", "background"), [1, 0, 1])


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("name,r,g,b\nsky,128,128,128\n", "lists 1 colours"),
        ("name,r,g,b\nsky,1,2,300\n", "line 2: is no NAME,R,G,B with numbers from 0 to 255"),
        ("name,r,g,b\nsky;1;2;3\n", "line 2: is no NAME,R,G,B"),
        ("sky,1,2,3\nsea,1,2,3\n", "line 2: sea has the colour of sky"),
        ("sky,1,2,3\nsea,3,2,1\n", r"0\.png has pixels of the colour 0, 0, 0, which no class of .*class_dict\.csv has"),
    ],
)
def test_wrong_lists_of_colours_are_told(tmp_path: Path, text: str, message: str) -> None:
    image(tmp_path / "images" / "0.png")
    coloured(tmp_path / "masks" / "0.png", 0, 1)
    (tmp_path / "class_dict.csv").write_text(text)
    with pytest.raises(InvalidDatasetError, match=message):
        load("semantic-segmentation", tmp_path)
    (tmp_path / "labelmap.txt").write_text(LABELMAP)
    with pytest.raises(InvalidDatasetError, match=r"class_dict\.csv and labelmap\.txt both list colours"):
        load("semantic-segmentation", tmp_path)


def test_voc_lists_of_masks_are_the_splits_and_other_images_are_left_out(tmp_path: Path) -> None:
    root = tmp_path / "VOCdevkit" / "VOC2012"
    scenes(root, "JPEGImages/2007_{}.jpg", "SegmentationClass/2007_{}.png", values=(0, 1, 255))
    image(root / "JPEGImages" / "2007_99.jpg")
    for kind, numbers in (("Main", [99]), ("Segmentation", range(6))):
        (root / "ImageSets" / kind).mkdir(parents=True)
        (root / "ImageSets" / kind / "train.txt").write_text("".join(f"2007_{number}\n" for number in numbers))
    (root / "ImageSets" / "Segmentation" / "val.txt").write_text("2007_6\n2007_7\n2007_8\n2007_9\n")
    assert sizes(load("semantic-segmentation", tmp_path, imageSize=16)) == [5, 4, 1]
    (root / "SegmentationClass" / "2007_7.png").unlink()
    with pytest.raises(InvalidDatasetError, match=r"2007_7\.png does not exist: .*2007_7\.jpg needs a mask"):
        load("semantic-segmentation", tmp_path)


def test_names_of_classes_are_read_as_utf_8(tmp_path: Path) -> None:
    scenes(tmp_path, "images/{}.jpg", "masks/{}.png")
    (tmp_path / "classes.txt").write_bytes(BOM_UTF8 + "Straße\r\nHaus\r\nBaum\r\n".encode())
    assert load("semantic-segmentation", tmp_path, imageSize=16).classes == ("Straße", "Haus", "Baum")
    (tmp_path / "classes.txt").write_text("Straße\nHaus\nBaum\n", encoding="latin-1")
    with pytest.raises(InvalidDatasetError, match=r"classes\.txt, line 1: is not UTF-8"):
        load("semantic-segmentation", tmp_path)


@pytest.mark.parametrize(
    ("images", "masks"),
    [
        ("{0}/{{}}.png", "{0}_labels/{{}}_L.png"),
        ("{0}/{{}}.png", "{0}annot/{{}}.png"),
        ("{0}/{{}}.png", "{0}_masks/{{}}_mask.gif"),
        ("{0}_images/{{}}.jpg", "{0}_masks/{{}}.png"),
        ("imgs-{0}/{{}}.jpg", "labels-{0}/{{}}.png"),
        ("{0}/{{}}.jpg", "{0}/{{}}_mask.png"),
    ],
)
def test_masks_may_lie_beside_images_or_in_folders_beside_theirs(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, images: str, masks: str
) -> None:
    for part, count in (("train", 6), ("val", 2), ("test", 3)):
        scenes(tmp_path, images.format(part), masks.format(part), count)
    assert sizes(load("semantic-segmentation", tmp_path, imageSize=16)) == [6, 2, 3]
    assert not caplog.records


def test_images_that_are_neither_are_told(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    scenes(tmp_path, "train/images/{}_training.tif", "train/mask/{}_training_mask.gif", values=(0, 255, 0))
    load("semantic-segmentation", tmp_path, imageSize=16)
    assert not caplog.records
    image(tmp_path / "train" / "1st_manual" / "1_manual1.gif")
    load("semantic-segmentation", tmp_path, imageSize=16)
    assert [each.message for each in caplog.records] == [
        f"{tmp_path}/train/1st_manual holds images too: they are not used, the masks are those in {tmp_path}/train/mask"
    ]


def test_boxes_beside_images_are_no_masks(tmp_path: Path) -> None:
    boxes(tmp_path, 10, "annotations", "images")
    with pytest.raises(InvalidDatasetError, match="looks like none of masks"):
        load("semantic-segmentation", tmp_path)


def test_black_and_white_may_be_jpeg_but_classes_may_not(tmp_path: Path) -> None:
    scenes(tmp_path / "two", "images/{}.jpg", "masks/{}.jpg", values=(0, 255, 0))
    assert load("semantic-segmentation", tmp_path / "two", imageSize=16).classes == ("0", "1")
    scenes(tmp_path / "more", "images/{}.jpg", "masks/{}.jpg", values=(0, 70, 140))
    with pytest.raises(InvalidDatasetError, match=r"masks/0\.jpg is a JPEG, which blurs class numbers"):
        load("semantic-segmentation", tmp_path / "more")


def test_cities_of_few_images_are_split(tmp_path: Path) -> None:
    for city in ("aachen", "bochum"):
        names = [f"{kind}/train/{city}/{city}_{{}}" for kind in ("leftImg8bit", "gtFine")]
        scenes(tmp_path, f"{names[0]}_leftImg8bit.png", f"{names[1]}_gtFine_labelIds.png", 3, (7, 26, 3))
    assert sizes(load("semantic-segmentation", tmp_path, imageSize=16)) == [4, 1, 1]
