"""Object detection: COCO's mean average precision; one-stage detectors trained as FCOS is."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar

import torch
from torch import Tensor, nn

from kubenas_trial.datasets.coco import is_coco, read_coco
from kubenas_trial.datasets.data import Batch, Examples
from kubenas_trial.datasets.detection_data import PADDING, DetectionData, DetectionDataSettings
from kubenas_trial.datasets.image_preprocessing import RawImage, SquarePreprocessing, size_of
from kubenas_trial.datasets.shapes import detected_shapes
from kubenas_trial.datasets.voc import is_voc, read_voc
from kubenas_trial.networks.base import Images
from kubenas_trial.networks.detector import DETECTOR, Predictions
from kubenas_trial.settings import BatchSize, Epochs, LearningRate, Norm, WeightDecay
from kubenas_trial.tasks.answers import DetectedObject
from kubenas_trial.tasks.base import BuiltIn, Format, Task, outputs_of
from kubenas_trial.tasks.boxes import decode, detection_loss


class ObjectDetectionSettings(DetectionDataSettings):
    """The defaults train from scratch, on small data sets, within minutes."""

    batch_size: BatchSize = 4
    learning_rate: LearningRate = 2e-3
    weight_decay: WeightDecay = 0.05
    warmup_epochs: Epochs = 1.0
    clip_norm: Norm = 10.0


class ObjectDetection(Task[ObjectDetectionSettings, DetectionData]):
    """Which objects an image shows, and where."""

    name = "object-detection"
    summary = "which objects an image shows, and in which boxes"
    metric = "map"
    preset = "detector"
    epochs = 24
    classes_along = None
    settings_model = ObjectDetectionSettings
    preprocessing_model = SquarePreprocessing
    families: ClassVar = {"detector": DETECTOR}
    imported_late = ("torchmetrics.detection", "torchvision.ops")
    built_in: ClassVar = {
        "shapes": BuiltIn("500 images of circles, squares and triangles, drawn by seed", detected_shapes)
    }
    formats: ClassVar = {
        "voc": Format(
            "Pascal VOC: Annotations/*.xml, JPEGImages, ImageSets/Main/*.txt, or .xml beside images", is_voc, read_voc
        ),
        "coco": Format(
            "COCO: annotations/instances_{train,val}*.json and images, or a JSON beside images", is_coco, read_coco
        ),
    }

    @property
    def preprocessing(self) -> SquarePreprocessing:
        """Of images as files, or as uint8 (3, height, width)."""
        return SquarePreprocessing(classes=self.data.classes, side=self.data.side)

    @classmethod
    def predict(
        cls, network: nn.Module, preprocessing: SquarePreprocessing, raw: Sequence[RawImage]
    ) -> list[list[DetectedObject]]:
        """The objects in each image, the most confident first."""
        found = Predictions.of(outputs_of(network, preprocessing.inputs(raw)))
        objects = []
        for number, image in enumerate(raw):
            boxes, scores, labels = decode(found, number, preprocessing.side)
            height, width = size_of(image)
            scaled = boxes * (torch.tensor([width, height] * 2) / preprocessing.side)
            objects.append(
                [
                    DetectedObject(preprocessing.classes[label], score, (box[0], box[1], box[2], box[3]))
                    for label, score, box in zip(labels.tolist(), scores.tolist(), scaled.tolist(), strict=True)
                ]
            )
        return objects

    @property
    def interface(self) -> Images:
        """Square images of three colours, and classes."""
        return Images(3, self.data.side, self.data.side, classes=len(self.data.classes))

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Focal, GIoU and centerness loss."""
        boxes, labels, ignored = batch.targets
        wanted = (labels != PADDING) & ~ignored
        return detection_loss(
            Predictions.of(network(*batch.inputs)),
            [each[keep] for each, keep in zip(boxes, wanted, strict=True)],
            [each[keep] for each, keep in zip(labels, wanted, strict=True)],
        )

    def evaluate(self, network: nn.Module, examples: Examples) -> dict[str, float]:
        """mAP over IoU thresholds from 0.5 to 0.95, and at 0.5 (COCO's definition, by pycocotools).

        Resizing an image does not change how boxes overlap, so they are compared as the network sees them.
        """
        from torchmetrics.detection import MeanAveragePrecision  # noqa: PLC0415

        metric = MeanAveragePrecision(backend="pycocotools")
        for batch in self.batches(examples):
            found = Predictions.of(network(*batch.inputs))
            finds = [decode(found, image, self.data.side)._asdict() for image in range(len(found.logits))]
            truth = [
                {"boxes": boxes[there], "labels": labels[there], "iscrowd": ignored[there].int()}
                for boxes, labels, ignored in zip(*batch.targets, strict=True)
                for there in [labels != PADDING]
            ]
            metric.update(finds, truth)
        values = metric.compute()
        return {"map": float(values["map"]), "map_50": float(values["map_50"])}
