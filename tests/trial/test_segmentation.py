"""Semantic segmentation: folders of masks, Cityscapes, drawn shapes, loss and metric."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor, nn

from kubenas.api.task import Task as TaskSpec
from kubenas_trial.datasets.cityscapes import is_cityscapes, read_cityscapes
from kubenas_trial.datasets.data import Batch
from kubenas_trial.datasets.mask_folders import is_mask_folder, read_mask_folder
from kubenas_trial.datasets.masks import IGNORED, read_mask
from kubenas_trial.datasets.pictures import FileTensors
from kubenas_trial.datasets.segmentation_data import SegmentationData, SegmentationDataSettings
from kubenas_trial.errors import InvalidDatasetError
from kubenas_trial.networks.base import Images
from kubenas_trial.networks.build import build_network
from kubenas_trial.networks.unet import UNET
from kubenas_trial.tasks.load import load_task
from kubenas_trial.tasks.semantic_segmentation import SemanticSegmentation, dice_loss
from tests.trial.training import losses

PLAIN = SegmentationDataSettings(image_size=16, augmentation=False)


def save(path: Path, pixels: np.ndarray, mode: str | None = None) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image.fromarray(pixels)
    (image if mode is None else image.convert(mode)).save(path)


def scene(number: int, classes: int = 3) -> tuple[np.ndarray, np.ndarray]:
    """An image of 32 x 16 pixels whose red is 60 times its mask, and the mask: classes in columns, some ignored."""
    mask = np.repeat(np.arange(32, dtype=np.uint8)[None] * classes // 32, 16, axis=0)
    image = np.full((16, 32, 3), number, dtype=np.uint8)
    image[..., 0] = 60 * mask
    mask[-4:] = IGNORED
    return image, mask


def folder(root: Path, count: int = 10, images: str = "images", masks: str = "masks", classes: int = 3) -> Path:
    for number in range(count):
        image, mask = scene(number, classes)
        save(root / images / f"{number:03}.png", image)
        save(root / masks / f"{number:03}.png", mask)
    return root


def sizes(data: SegmentationData) -> list[int]:
    return [len(data.train), len(data.validation), len(data.test)]


def test_masks_are_the_classes_of_their_images(tmp_path: Path) -> None:
    assert is_mask_folder(folder(tmp_path))
    data = read_mask_folder(tmp_path, PLAIN)
    assert (data.classes, sizes(data)) == (("0", "1", "2"), [6, 2, 2])
    for split in (data.train, data.validation, data.test):
        batch = split[range(len(split))]
        [images], [masks] = batch.inputs, batch.targets
        red = (images[:, 0] * 0.25 + 0.5) * 255
        # Where two classes meet, resizing mixes the image's colours but never the mask's.
        inside = (masks != IGNORED) & ((red / 60 - (red / 60).round()).abs() < 1e-3)
        assert torch.equal((red / 60).round()[inside].long(), masks[inside])
        assert (masks[:, -4:] == IGNORED).all()
        assert inside.float().mean() > 0.5


@pytest.mark.parametrize("layout", ["images/{}", "{}/images"])
def test_parts_stay_as_they_are(tmp_path: Path, layout: str) -> None:
    for part, count in (("train", 4), ("val", 3), ("test", 2)):
        images = layout.format(part)
        folder(tmp_path, count, images, images.replace("images", "masks"))
    assert sizes(read_mask_folder(tmp_path, PLAIN)) == [4, 3, 2]


def test_black_and_white_masks_are_two_classes(tmp_path: Path) -> None:
    folder(tmp_path)
    for file in (tmp_path / "masks").iterdir():
        save(file, np.where(scene(0)[1] == 1, 255, 0).astype(np.uint8))
    data = read_mask_folder(tmp_path, PLAIN)
    assert data.classes == ("0", "1")
    assert set(data.train[[0]].targets[0].flatten().tolist()) == {0, 1}


def test_a_file_names_the_classes(tmp_path: Path) -> None:
    (folder(tmp_path) / "classes.txt").write_text("sky\nsea\nland\n")
    assert read_mask_folder(tmp_path, PLAIN).classes == ("sky", "sea", "land")
    (tmp_path / "classes.txt").write_text("sky\nsea\n")
    with pytest.raises(InvalidDatasetError, match=r"masks/\d+\.png has the value 2, which is no class by classes.txt"):
        read_mask_folder(tmp_path, PLAIN)
    (tmp_path / "classes.txt").write_text("sky\nsea\nland\nice\n")
    with pytest.raises(InvalidDatasetError, match=r"class ice of classes\.txt is in no training mask"):
        read_mask_folder(tmp_path, PLAIN)


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.int32])
def test_masks_of_every_depth_are_read(tmp_path: Path, dtype: type[np.generic]) -> None:
    values = np.array([[0, 1], [2, 255]])
    save(tmp_path / "mask.tif", values.astype(dtype))
    assert read_mask(tmp_path / "mask.tif").tolist() == values.tolist()


def test_palettes_and_grey_colours_are_read(tmp_path: Path) -> None:
    values = np.array([[0, 1], [2, 255]], dtype=np.uint8)
    palette = Image.fromarray(values)
    palette.putpalette([value for colour in range(256) for value in (colour * 7 % 256, 255 - colour, 3)])
    palette.save(tmp_path / "palette.png")
    save(tmp_path / "grey.png", values, "RGBA")
    for name in ("palette.png", "grey.png"):
        assert read_mask(tmp_path / name).tolist() == values.tolist()


def coloured(root: Path) -> None:
    save(root / "masks" / "003.png", scene(0)[0])


def smaller(root: Path) -> None:
    save(root / "masks" / "003.png", scene(0)[1][:8])


def sixteen_bits(root: Path) -> None:
    save(root / "masks" / "003.png", np.full((16, 32), 300, dtype=np.uint16))


def truncated(root: Path) -> None:
    file = root / "images" / "003.png"
    file.write_bytes(file.read_bytes()[:60])


def shades(root: Path) -> None:
    for file in (root / "masks").iterdir():
        save(file, (np.arange(16 * 32, dtype=np.uint8) % 40 * 3).reshape(16, 32))


def one_class(root: Path) -> None:
    for file in (root / "masks").iterdir():
        save(file, scene(0)[1] * 0)


@pytest.mark.parametrize(
    ("spoil", "text"),
    [
        (coloured, "masks/003.png is in colours, which name no classes"),
        (smaller, "masks/003.png has 32 x 8 pixels, but"),
        (sixteen_bits, "masks/003.png has values from 300 to 300"),
        (truncated, "images/003.png cannot be read as an image"),
        (shades, "the training masks have 40 values up to 117, which are rather shades"),
        (one_class, "the training masks have 1 classes: two are needed"),
        (lambda root: (root / "masks" / "003.png").unlink(), "masks/003.png does not exist"),
        (lambda root: (root / "images" / "003.png").unlink(), "masks/003.png belongs to no image"),
    ],
)
def test_what_is_wrong_is_named(tmp_path: Path, spoil: Callable[[Path], None], text: str) -> None:
    spoil(folder(tmp_path))
    with pytest.raises(InvalidDatasetError) as refused:
        read_mask_folder(tmp_path, PLAIN)
    assert text in str(refused.value)


def test_files_are_read_as_needed_where_all_would_be_too_large(tmp_path: Path) -> None:
    folder(tmp_path)
    kept, lazy = (
        read_mask_folder(tmp_path, SegmentationDataSettings(image_size=256, augmentation=False, memory_limit_mb=limit))
        for limit in (2048, 1)
    )
    assert isinstance(lazy.train.images, FileTensors)
    assert isinstance(lazy.train.masks, FileTensors)
    one, two = lazy.train[[3, 1]], kept.train[[3, 1]]
    assert torch.equal(one.inputs[0], two.inputs[0])
    assert torch.equal(one.targets[0], two.targets[0])


def cityscapes(root: Path, kind: str, value: int) -> None:
    """Two cities to train and one of val, whose masks are `value` above and nothing below."""
    for part, city, count in (
        ("train", "aachen", 5),
        ("train", "bonn", 5),
        ("val", "munster", 3),
        ("test", "berlin", 1),
    ):
        for number in range(count):
            stem = f"{city}_{number:06}_000019"
            mask = np.full((16, 32), value, dtype=np.uint8)
            mask[8:] = {"labelIds": 3, "labelTrainIds": 255}[kind]
            save(root / "leftImg8bit" / part / city / f"{stem}_leftImg8bit.png", scene(number)[0])
            save(root / "gtFine" / part / city / f"{stem}_gtFine_{kind}.png", mask)


@pytest.mark.parametrize(("kind", "value"), [("labelIds", 26), ("labelTrainIds", 13)])
def test_cityscapes_labels_are_the_evaluated_classes(tmp_path: Path, kind: str, value: int) -> None:
    cityscapes(tmp_path, kind, value)
    assert is_cityscapes(tmp_path)
    assert not is_mask_folder(tmp_path)
    data = read_cityscapes(tmp_path, PLAIN)
    assert sizes(data) == [8, 3, 2]
    assert len(data.classes) == 19
    [masks] = data.test[[0]].targets
    assert data.classes[int(masks[0, 0, 0])] == "car"
    assert (masks[0, 8:] == IGNORED).all()


@pytest.mark.parametrize("kind", ["labelIds", "labelTrainIds"])
def test_an_unknown_label_is_named(tmp_path: Path, kind: str) -> None:
    cityscapes(tmp_path, kind, 77)
    with pytest.raises(InvalidDatasetError, match=rf"_gtFine_{kind}\.png has the value 77, which is no class"):
        read_cityscapes(tmp_path, PLAIN)


@pytest.fixture(scope="module")
def task() -> SemanticSegmentation:
    spec = {"name": "semantic-segmentation", "dataset": {"name": "shapes"}, "settings": {"imageSize": 32}}
    found = load_task(TaskSpec.model_validate(spec), None, torch.device("cpu"))
    assert isinstance(found, SemanticSegmentation)
    return found


class Knowing(nn.Module):
    """Gives what its list says, batch after batch."""

    def __init__(self, answers: list[Tensor]) -> None:
        super().__init__()
        self.answers = answers

    def forward(self, _images: Tensor) -> Tensor:
        return self.answers.pop(0)


def test_mean_iou_is_that_of_all_pixels_together(task: SemanticSegmentation) -> None:
    examples = task.data.validation
    truth = [batch.targets[0] for batch in task.batches(examples)]
    right = [nn.functional.one_hot(masks, 4).movedim(3, 1).float() for masks in truth]
    nothing = [(torch.arange(4) == 0).float()[None, :, None, None].expand_as(each) for each in right]
    assert task.evaluate(Knowing(right), examples) == {"mean_iou": 1, "pixel_accuracy": 1}
    # One who says background everywhere is right about that, and has no other class.
    share = float((torch.cat(truth) == 0).float().mean())
    found = task.evaluate(Knowing(nothing), examples)
    assert found["pixel_accuracy"] == pytest.approx(share)
    assert found["mean_iou"] == pytest.approx(share / 4)


def test_the_dice_loss_is_dices() -> None:
    masks = torch.tensor([[[0, 0], [1, IGNORED]]])
    logits = torch.full((1, 3, 2, 2), -50.0)
    logits[0, 0] = 50.0
    # All said to be class 0: 2 * 2 / (3 + 2) of it is right, nothing of class 1; class 2 does not occur.
    torch.testing.assert_close(dice_loss(logits, masks), torch.tensor((1 / 5 + 1) / 2))
    assert float(dice_loss(logits, torch.full_like(masks, IGNORED))) == 0


def test_ignored_pixels_have_no_gradient_and_nothing_but_them_no_loss(task: SemanticSegmentation) -> None:
    logits = torch.randn(2, 4, 8, 8, requires_grad=True)
    masks = torch.randint(4, (2, 8, 8))
    masks[:, 4:] = IGNORED
    loss = task.loss(Knowing([logits]), Batch((torch.zeros(2, 3, 8, 8),), (masks,)))
    [gradient] = torch.autograd.grad(loss, logits)
    assert gradient[:, :, :4].any()
    assert not gradient[:, :, 4:].any()
    with torch.no_grad():
        empty = Batch((torch.zeros(2, 3, 8, 8),), (torch.full_like(masks, IGNORED),))
        assert float(task.loss(Knowing([logits]), empty)) == 0


def test_only_training_images_are_varied_and_their_masks_follow(task: SemanticSegmentation) -> None:
    torch.manual_seed(0)
    [first], [second] = task.data.train[range(20)].targets, task.data.train[range(20)].targets
    assert not torch.equal(first, second)
    assert set(first.flatten().tolist()) == {0, 1, 2, 3, IGNORED}
    assert torch.equal(task.data.test[range(20)].inputs[0], task.data.test[range(20)].inputs[0])


def test_a_few_steps_lower_the_loss(task: SemanticSegmentation) -> None:
    torch.manual_seed(0)
    network = build_network(UNET.default, UNET, {"width": 0.125}, Images(3, 32, 32, classes=4))
    batch = task.data.test[range(8)]
    found = losses(task, network, batch, steps=20, rate=1e-2)
    assert found[-1] < 0.8 * found[0]
