"""Images of noise, for what is computed without learning."""

from __future__ import annotations

import torch

from kubenas_trial.datasets.image_data import ImageClassificationSettings, ImageData, image_data, resized
from kubenas_trial.datasets.published import Numbers

_IMAGES = 1_280
_SIDE = 32
_CLASSES = 10


def noise_images(settings: ImageClassificationSettings) -> ImageData:
    """1,280 images of random pixels with random classes, in the shape of CIFAR-10's; always the same ones."""
    generator = torch.Generator().manual_seed(0)
    images = torch.randint(256, (_IMAGES, 3, _SIDE, _SIDE), dtype=torch.uint8, generator=generator)
    labels = torch.randint(_CLASSES, (_IMAGES,), generator=generator)
    fifths = [list(range(start, _IMAGES, 5)) for start in range(5)]
    numbers = Numbers(sorted([*fifths[0], *fifths[1], *fifths[2]]), fifths[3], fifths[4])
    return image_data(
        resized(images, settings.image_size), labels, numbers, [str(label) for label in range(_CLASSES)], None
    )
