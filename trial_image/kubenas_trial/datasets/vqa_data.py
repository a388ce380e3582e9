"""Questions about images as tensors."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Final

import torch
from pydantic import Field
from torch import Tensor

from kubenas_trial.datasets.data import Batch, Splits
from kubenas_trial.datasets.pictures import Tensors, normalized, read_image, tensors
from kubenas_trial.datasets.questions import Questions
from kubenas_trial.errors import InvalidDatasetError
from kubenas_trial.settings import TrainingSettings

PADDING, UNKNOWN = range(2)
# The target of answers that are none of the classes.
OTHER: Final = -1
# Largest shift by augmentation, as a share of the side.
_SHIFT: Final = 1 / 16


class VQASettings(TrainingSettings):
    """Settings of questions about images."""

    image_size: Annotated[int, Field(ge=8, le=1024, description="Side to which images are scaled, in pixels.")] = 64
    length: Annotated[int, Field(ge=1, le=1024, description="Words that are read of a question.")] = 32
    vocabulary: Annotated[int, Field(ge=10, le=1_000_000, description="Most words, the commonest of training.")] = 10000
    answers: Annotated[
        int, Field(ge=2, le=1_000_000, description="Most answers, the commonest of training; others count as wrong.")
    ] = 3000


@dataclass(frozen=True, slots=True)
class QuestionExamples:
    """Questions with the images that they are about; a batch is as long as its longest question.

    Attributes:
        pictures: the images, uint8 of (3, side, side) each.
        images: number of each question's image.
        words: words of each question (questions, length), padded.
        answers: class of each answer, or OTHER.
        shift: the largest random shift of an image, in pixels; 0 but for training examples.
    """

    pictures: Tensors
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
        words = self.words[index]
        length = int((words != PADDING).sum(1).max())
        return Batch((normalized(images), words[:, :length]), (self.answers[index],))


@dataclass(frozen=True, slots=True)
class VQAData(Splits):
    """Questions about images.

    Attributes:
        classes: the answers, in the order of their numbers.
        words: that are known, in the order of their numbers.
        vocabulary: number of words, with those for padding and for unknown words.
        side: height and width of the images.
        length: words of the longest question.
    """

    train: QuestionExamples
    validation: QuestionExamples
    test: QuestionExamples
    classes: tuple[str, ...]
    words: tuple[str, ...]
    vocabulary: int
    side: int
    length: int


def vqa_data(questions: Questions, settings: VQASettings) -> VQAData:
    """The questions as tensors; words and answers are those of the training split.

    Raises:
        InvalidDatasetError: an image cannot be read, or there are fewer than two answers.
    """
    classes = _commonest((canonical(question.answer) for question in questions.train), settings.answers)
    if len(classes) < 2:
        raise InvalidDatasetError(f"all training questions have the answer {''.join(classes)!r}: two are needed")
    known = [question for question in questions.train if canonical(question.answer) in classes]
    words = _commonest((word for question in known for word in split_words(question.text)), settings.vocabulary)
    numbers = numbered(words)
    length = min(settings.length, max(len(split_words(question.text)) for question in known))
    parts = (known, questions.validation, questions.test)
    paths = list(dict.fromkeys(question.image for part in parts for question in part))
    image_numbers = {path: number for number, path in enumerate(paths)}
    side = settings.image_size
    pictures = tensors(paths, partial(read_image, side=side), 3 * side**2, settings.memory_limit_mb)
    shift = round(side * _SHIFT) if settings.augmentation else 0
    train, validation, test = (
        QuestionExamples(
            pictures,
            torch.tensor([image_numbers[question.image] for question in part]),
            torch.stack([encoded_words(question.text, numbers, length) for question in part]),
            torch.tensor([classes.get(canonical(question.answer), OTHER) for question in part]),
            shift if part is known else 0,
        )
        for part in parts
    )
    return VQAData(train, validation, test, tuple(classes), tuple(words), UNKNOWN + 1 + len(words), side, length)


def split_words(text: str) -> list[str]:
    """Words and signs in lower case."""
    return re.findall(r"\w+(?:'\w+)?|[^\w\s]", text.lower())


def canonical(answer: str) -> str:
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


def numbered(words: Iterable[str]) -> dict[str, int]:
    """The number of each word."""
    return {word: number for number, word in enumerate(words, start=UNKNOWN + 1)}


def encoded_words(text: str, numbers: Mapping[str, int], length: int) -> Tensor:
    """The numbers of a question's words (length), padded."""
    words = [numbers.get(word, UNKNOWN) for word in split_words(text)[:length]]
    return torch.tensor(words + [PADDING] * (length - len(words)))
