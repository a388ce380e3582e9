"""Questions about images, encoded by the vocabulary of the training questions."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property

import torch
from torch import Tensor

from kubenas_trial.datasets.image_preprocessing import RawImage, read_pixels
from kubenas_trial.datasets.pictures import normalized
from kubenas_trial.datasets.preprocessing import Preprocessing
from kubenas_trial.datasets.vqa_data import encoded_words, numbered


class QuestionPreprocessing(Preprocessing):
    """Images, resized to squares, with a question each.

    Attributes:
        words: that are known, in the order of their numbers.
        length: words that are read of a question.
        side: of the images, in pixels.
    """

    words: tuple[str, ...]
    length: int
    side: int

    def inputs(self, raw: Sequence[tuple[RawImage, str]]) -> tuple[Tensor, ...]:
        """Images (batch, 3, side, side) and words (batch, length), padded."""
        images = torch.stack([read_pixels(image, 3, self.side, self.side, crop=False) for image, _ in raw])
        words = torch.stack([encoded_words(question, self._numbers, self.length) for _, question in raw])
        return normalized(images), words

    @cached_property
    def _numbers(self) -> dict[str, int]:
        return numbered(self.words)
