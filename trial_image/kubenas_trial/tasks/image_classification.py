"""Image classification: accuracy and cross-entropy; by default the recipe of NAS-Bench-201."""

from __future__ import annotations

from typing import ClassVar, cast

from kubenas_trial.datasets.image_data import ImageClassificationSettings, ImageData, ImageExamples, digits
from kubenas_trial.datasets.image_files import is_cifar, is_mnist, read_cifar, read_mnist
from kubenas_trial.datasets.image_folders import is_image_folder, read_image_folder
from kubenas_trial.datasets.image_preprocessing import ImagePreprocessing
from kubenas_trial.datasets.noise import noise_images
from kubenas_trial.networks.base import Images
from kubenas_trial.networks.cells import cell_family
from kubenas_trial.networks.darts import DARTS
from kubenas_trial.networks.macro import MACRO
from kubenas_trial.networks.mlp import MLP, PERCEPTRON
from kubenas_trial.networks.mobilenet_ofa import MOBILENET_OFA
from kubenas_trial.networks.nasbench101 import NASBENCH101
from kubenas_trial.networks.nasbench201 import NASBENCH201
from kubenas_trial.networks.nasbench_macro import NASBENCH_MACRO
from kubenas_trial.networks.vit import VIT
from kubenas_trial.tasks.base import BuiltIn, Format
from kubenas_trial.tasks.classifier import Classifier


class ImageClassification(Classifier[ImageClassificationSettings, ImageData]):
    """Which of some classes an image shows."""

    name = "image-classification"
    summary = "which of some classes an image shows"
    metric = "accuracy"
    preset = "nasbench201"
    epochs = 12
    settings_model = ImageClassificationSettings
    preprocessing_model = ImagePreprocessing
    families: ClassVar = {
        "nasbench201": NASBENCH201,
        "nasbench101": NASBENCH101,
        "darts": DARTS,
        "nasbench-macro": NASBENCH_MACRO,
        "mobilenet-ofa": MOBILENET_OFA,
        "vit": VIT,
        "mlp": MLP,
        "parameters": PERCEPTRON,
        "cell": cell_family,
        "macro": MACRO,
    }
    built_in: ClassVar = {
        "digits": BuiltIn("1,797 handwritten digits of 8 x 8 pixels", digits),
        "noise": BuiltIn("noise of 3 x 32 x 32 pixels in 10 classes, as CIFAR-10's: scores need no more", noise_images),
    }
    formats: ClassVar = {
        "cifar10": Format(
            "CIFAR-10's data_batch_1 … data_batch_5, test_batch, for Python", is_cifar(10), read_cifar(10)
        ),
        "cifar100": Format("CIFAR-100's train, test, for Python, with its 100 classes", is_cifar(100), read_cifar(100)),
        "mnist": Format("MNIST's train-images-idx3-ubyte …, packed by gzip or not", is_mnist, read_mnist),
        "image-folder": Format(
            "a folder of images per class, or such folders in train, val and test", is_image_folder, read_image_folder
        ),
    }

    @property
    def preprocessing(self) -> ImagePreprocessing:
        """Of images as files, or as uint8 (channels, height, width)."""
        examples = cast("ImageExamples", self.data.validation)
        return ImagePreprocessing(
            classes=self.data.classes,
            shape=self.data.shape,
            mean=tuple(examples.mean.flatten().tolist()),
            deviation=tuple(examples.deviation.flatten().tolist()),
        )

    @property
    def interface(self) -> Images:
        """Images and classes."""
        return Images(*self.data.shape, classes=len(self.data.classes))
