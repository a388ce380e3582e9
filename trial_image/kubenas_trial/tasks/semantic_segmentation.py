"""Semantic segmentation: mean IoU and cross-entropy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

from torch import Tensor, nn
from torch.nn.functional import cross_entropy, interpolate, one_hot

from kubenas_trial.datasets.cityscapes import is_cityscapes, read_cityscapes
from kubenas_trial.datasets.data import Batch, Examples
from kubenas_trial.datasets.image_preprocessing import RawImage, SquarePreprocessing, size_of
from kubenas_trial.datasets.mask_folders import is_mask_folder, read_mask_folder
from kubenas_trial.datasets.masks import IGNORED
from kubenas_trial.datasets.segmentation_data import SegmentationData, SegmentationDataSettings, segmented_shapes
from kubenas_trial.networks.base import Images
from kubenas_trial.networks.unet import UNET
from kubenas_trial.settings import BatchSize, Epochs, LearningRate
from kubenas_trial.tasks.base import BuiltIn, Format, Task, outputs_of


class SemanticSegmentationSettings(SegmentationDataSettings):
    """The defaults train from scratch, on small data sets, within minutes."""

    batch_size: BatchSize = 8
    learning_rate: LearningRate = 3e-3
    warmup_epochs: Epochs = 1.0


class SemanticSegmentation(Task[SemanticSegmentationSettings, SegmentationData]):
    """Which class each pixel of an image belongs to."""

    name = "semantic-segmentation"
    summary = "which of some classes each pixel of an image belongs to"
    metric = "mean_iou"
    preset = "unet"
    epochs = 100
    classes_along = 1
    settings_model = SemanticSegmentationSettings
    preprocessing_model = SquarePreprocessing
    families: ClassVar = {"unet": UNET}
    imported_late = ("torchmetrics.classification",)
    built_in: ClassVar = {
        "shapes": BuiltIn("500 images of circles, squares and triangles, drawn by seed", segmented_shapes)
    }
    formats: ClassVar = {
        "masks": Format(
            "images/*.jpg with masks/*.png of class numbers, or of colours listed in class_dict.csv; Pascal VOC's",
            is_mask_folder,
            read_mask_folder,
        ),
        "cityscapes": Format("Cityscapes: leftImg8bit and gtFine", is_cityscapes, read_cityscapes),
    }

    @property
    def preprocessing(self) -> SquarePreprocessing:
        """Of images as files, or as uint8 (3, height, width)."""
        return SquarePreprocessing(classes=self.data.classes, side=self.data.side)

    @classmethod
    def predict(cls, network: nn.Module, preprocessing: SquarePreprocessing, raw: Sequence[RawImage]) -> list[Tensor]:
        """Of each image the number of the class of each pixel, (height, width)."""
        classes = outputs_of(network, preprocessing.inputs(raw)).argmax(1, keepdim=True).float()
        return [
            interpolate(each[None], size_of(image), mode="nearest-exact")[0, 0].long()
            for each, image in zip(classes, raw, strict=True)
        ]

    @property
    def interface(self) -> Images:
        """Square images of three colours, and classes."""
        return Images(3, self.data.side, self.data.side, classes=len(self.data.classes))

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Cross-entropy, with label smoothing, and Dice loss, as in nnU-Net, of the pixels that are not ignored."""
        [masks] = batch.targets
        logits = network(*batch.inputs).float()
        smoothing = self.settings.label_smoothing
        total = cross_entropy(logits, masks, ignore_index=IGNORED, label_smoothing=smoothing, reduction="sum")
        return total / (masks != IGNORED).sum().clamp(min=1) + dice_loss(logits, masks)

    def evaluate(self, network: nn.Module, examples: Examples) -> dict[str, float]:
        """Mean IoU of the classes that occur in truth or prediction, over all pixels together, and pixel accuracy.

        Both at the size that images are resized to.
        """
        from torchmetrics.classification import MulticlassAccuracy, MulticlassJaccardIndex  # noqa: PLC0415

        classes = len(self.data.classes)
        overlap = MulticlassJaccardIndex(classes, ignore_index=IGNORED, validate_args=False).to(self.device)
        accuracy = MulticlassAccuracy(classes, average="micro", ignore_index=IGNORED, validate_args=False)
        accuracy = accuracy.to(self.device)
        for batch in self.batches(examples):
            [masks] = batch.targets
            predicted = network(*batch.inputs).argmax(1)
            overlap.update(predicted, masks)
            accuracy.update(predicted, masks)
        return {"mean_iou": float(overlap.compute()), "pixel_accuracy": float(accuracy.compute())}


def dice_loss(logits: Tensor, masks: Tensor) -> Tensor:
    """1 - the mean, over the classes that occur, of Dice's coefficient in the whole batch; 0 where none occurs.

    With it a class of few pixels counts as much as the background (Milletari et al., 3DV 2016, arXiv:1606.04797).

    Args:
        logits: (batch, classes, height, width).
        masks: classes (batch, height, width), or IGNORED.
    """
    counted = (masks != IGNORED)[:, None]
    wanted = one_hot(masks.masked_fill(masks == IGNORED, 0), logits.shape[1]).movedim(3, 1) * counted
    given = logits.softmax(1) * counted
    both, sizes = (given * wanted).sum((0, 2, 3)), (given + wanted).sum((0, 2, 3))
    occurs = (wanted.sum((0, 2, 3)) > 0).to(logits.dtype)
    lost: Tensor = ((1 - 2 * both / sizes.clamp(min=1)) * occurs).sum() / occurs.sum().clamp(min=1)
    return lost
