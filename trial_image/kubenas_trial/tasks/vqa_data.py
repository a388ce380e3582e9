"""Questions about images as tensors."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Final

import numpy as np
import torch
from PIL import Image
from pydantic import Field
from torch import Tensor

from kubenas_trial.errors import InvalidDatasetError
from kubenas_trial.tasks.data import Batch, Splits, shuffled
from kubenas_trial.tasks.questions import Question, Questions
from kubenas_trial.tasks.settings import TrainingSettings

PADDING, UNKNOWN = range(2)
# The target where the answer is none of the classes, which no network can give.
OTHER: Final = -1
# As many training images give mean and deviation of the colours.
_MEASURED: Final = 1000
# Largest shift of a varied image, as a share of its side.
_SHIFT: Final = 1 / 16


class VQASettings(TrainingSettings):
    """Settings of questions about images."""

    image_size: Annotated[int, Field(ge=8, le=1024, description="Side to which images are scaled, in pixels.")] = 64
    length: Annotated[int, Field(ge=1, le=1024, description="Words that are read of a question.")] = 32
    vocabulary: Annotated[int, Field(ge=10, le=1_000_000, description="Most words, the commonest of training.")] = 10000
    answers: Annotated[
        int, Field(ge=2, le=1_000_000, description="Most answers, the commonest of training; others count as wrong.")
    ] = 3000


class Pictures:
    """Images by number, uint8 of (3, side, side), kept in memory where all fit in `memory_limit_mb`."""

    def __init__(self, paths: Sequence[Path], side: int, memory_limit_mb: int) -> None:
        self.paths = paths
        self.side = side
        self._kept: Tensor | None = None
        if len(paths) * 3 * side * side <= memory_limit_mb * 10**6:
            self._kept = torch.empty(len(paths), 3, side, side, dtype=torch.uint8)
            for number, path in enumerate(paths):
                self._kept[number] = read_image(path, side)

    def __getitem__(self, numbers: Tensor) -> Tensor:
        """(count, 3, side, side)."""
        if self._kept is not None:
            return self._kept[numbers]
        return torch.stack([read_image(self.paths[number], self.side) for number in numbers.tolist()])


@dataclass(frozen=True, slots=True)
class QuestionExamples:
    """Questions with the images that they are about; a batch is as long as its longest question.

    Attributes:
        pictures: the images.
        colours: mean and deviation of each colour, each (3, 1, 1), by which images are normalized.
        images: number of each question's image.
        words: words of each question (questions, length), padded.
        answers: class of each answer, or OTHER.
        shift: pixels by which images are moved at most, each by a draw of its own; only training examples have it.
    """

    pictures: Pictures
    colours: tuple[Tensor, Tensor]
    images: Tensor
    words: Tensor
    answers: Tensor
    shift: int = 0

    def __len__(self) -> int:
        return len(self.answers)

    def __getitem__(self, indices: Sequence[int], /) -> Batch:
        index = torch.as_tensor(indices)
        images = self.pictures[self.images[index]]
        if self.shift:
            images = shifted(images, self.shift)
        mean, deviation = self.colours
        words = self.words[index]
        length = int((words != PADDING).sum(1).max())
        return Batch(((images.float() - mean) / deviation, words[:, :length]), (self.answers[index],))


@dataclass(frozen=True, slots=True)
class VQAData(Splits):
    """Questions about images.

    Attributes:
        classes: the answers, in the order of their numbers.
        vocabulary: number of words, with those for padding and for unknown words.
        side: height and width of the images.
        length: words of the longest question.
    """

    train: QuestionExamples
    validation: QuestionExamples
    test: QuestionExamples
    classes: tuple[str, ...]
    vocabulary: int
    side: int
    length: int


def vqa_data(questions: Questions, settings: VQASettings) -> VQAData:
    """The questions as tensors; words, answers and colours are those of the training split.

    Raises:
        InvalidDatasetError: an image cannot be read, or there are fewer than two answers.
    """
    classes = _commonest((normalized(question.answer) for question in questions.train), settings.answers)
    if len(classes) < 2:
        raise InvalidDatasetError(f"all training questions have the answer {''.join(classes)!r}: two are needed")
    known = [question for question in questions.train if normalized(question.answer) in classes]
    words = _commonest((word for question in known for word in split_words(question.text)), settings.vocabulary)
    numbers = {word: number for number, word in enumerate(words, start=UNKNOWN + 1)}
    length = min(settings.length, max(len(split_words(question.text)) for question in known))
    parts = (known, questions.validation, questions.test)
    paths = list(dict.fromkeys(question.image for part in parts for question in part))
    places = {path: place for place, path in enumerate(paths)}
    pictures = Pictures(paths, settings.image_size, settings.memory_limit_mb)
    seen = list(dict.fromkeys(places[question.image] for question in known))
    colours = _colours(pictures, torch.tensor([seen[number] for number in shuffled(len(seen), 0)[:_MEASURED]]))
    shift = round(settings.image_size * _SHIFT) if settings.augmentation else 0
    train, validation, test = (
        QuestionExamples(
            pictures,
            colours,
            torch.tensor([places[question.image] for question in part]),
            torch.stack([_encoded(question, numbers, length) for question in part]),
            torch.tensor([classes.get(normalized(question.answer), OTHER) for question in part]),
            shift if part is known else 0,
        )
        for part in parts
    )
    return VQAData(train, validation, test, tuple(classes), UNKNOWN + 1 + len(words), settings.image_size, length)


def read_image(path: Path, side: int) -> Tensor:
    """The image, scaled to a square of colours: uint8 of (3, side, side).

    Raises:
        InvalidDatasetError: it cannot be read.
    """
    try:
        with Image.open(path) as image:
            pixels = np.asarray(image.convert("RGB").resize((side, side), Image.Resampling.BILINEAR))
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError) as error:
        raise InvalidDatasetError(f"{path}: cannot be read as an image ({error}): replace it") from None
    return torch.from_numpy(pixels.copy()).permute(2, 0, 1)


def split_words(text: str) -> list[str]:
    """Words and signs in lower case."""
    return re.findall(r"\w+(?:'\w+)?|[^\w\s]", text.lower())


def normalized(answer: str) -> str:
    """The answer in lower case with single spaces, as answers are compared."""
    return " ".join(answer.lower().split())


def shifted(images: Tensor, shift: int) -> Tensor:
    """Each of `images`, (batch, channels, height, width), moved by up to `shift` pixels; its border is repeated."""
    batch, _, height, width = images.shape
    down, right = torch.randint(-shift, shift + 1, (2, batch, 1))
    rows = (torch.arange(height) + down).clamp(0, height - 1)
    columns = (torch.arange(width) + right).clamp(0, width - 1)
    # What is indexed by tensors with a slice between comes first, so the channels are last.
    moved = images[torch.arange(batch)[:, None, None], :, rows[:, :, None], columns[:, None, :]]
    return moved.permute(0, 3, 1, 2)


def _commonest(items: Iterable[str], count: int) -> dict[str, int]:
    """The `count` commonest, numbered in alphabetical order."""
    counts = sorted(Counter(items).items(), key=lambda item: (-item[1], item[0]))
    return {item: number for number, item in enumerate(sorted(item for item, _ in counts[:count]))}


def _encoded(question: Question, numbers: Mapping[str, int], length: int) -> Tensor:
    words = [numbers.get(word, UNKNOWN) for word in split_words(question.text)[:length]]
    return torch.tensor(words + [PADDING] * (length - len(words)))


def _colours(pictures: Pictures, numbers: Tensor) -> tuple[Tensor, Tensor]:
    pixels = pictures[numbers].float()
    mean, deviation = pixels.mean((0, 2, 3)), pixels.std((0, 2, 3))
    return mean[:, None, None], deviation.clamp(min=1.0)[:, None, None]
