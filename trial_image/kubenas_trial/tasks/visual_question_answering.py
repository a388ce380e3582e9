"""Visual question answering, as a choice of the answers that training questions have (Antol et al., ICCV 2015)."""

from __future__ import annotations

from pathlib import Path
from typing import ClassVar

from torch import nn
from torch.nn.functional import cross_entropy

from kubenas_trial.datasets.data import Examples
from kubenas_trial.datasets.question_preprocessing import QuestionPreprocessing
from kubenas_trial.datasets.questions import detect_questions, easy_vqa, read_questions
from kubenas_trial.datasets.vqa_data import OTHER, PADDING, VQAData, VQASettings, vqa_data
from kubenas_trial.networks.base import ImageText
from kubenas_trial.networks.image_text import IMAGE_TEXT
from kubenas_trial.tasks.base import BuiltIn, Format
from kubenas_trial.tasks.classifier import Classifier


def _easy_vqa(settings: VQASettings) -> VQAData:
    return vqa_data(easy_vqa(settings.split_seed), settings)


def _read(path: Path, settings: VQASettings) -> VQAData:
    return vqa_data(read_questions(path, settings.split_seed), settings)


class VisualQuestionAnswering(Classifier[VQASettings, VQAData]):
    """The answer to a question about an image."""

    name = "visual-question-answering"
    summary = "the answer to a question about an image"
    metric = "accuracy"
    preset = "image-text"
    epochs = 6
    settings_model = VQASettings
    preprocessing_model = QuestionPreprocessing
    families: ClassVar = {"image-text": IMAGE_TEXT}
    built_in: ClassVar = {"easy-vqa": BuiltIn("48,248 questions about 5,000 images of shapes", _easy_vqa)}
    formats: ClassVar = {
        "jsonl": Format(
            "a folder of images with train.jsonl, validation.jsonl and test.jsonl, or one file; "
            "each line has image, question and answer",
            detect_questions,
            _read,
        )
    }

    @property
    def preprocessing(self) -> QuestionPreprocessing:
        """Of images, as files or as uint8 (3, height, width), with a question each."""
        data = self.data
        return QuestionPreprocessing(classes=data.classes, words=data.words, length=data.length, side=data.side)

    @property
    def interface(self) -> ImageText:
        """Images, words and answers."""
        data = self.data
        return ImageText(3, data.side, data.side, data.vocabulary, data.length, len(data.classes), PADDING)

    def evaluate(self, network: nn.Module, examples: Examples) -> dict[str, float]:
        """Accuracy, and mean cross-entropy of those answers that occur in training."""
        correct, known, loss = 0, 0, 0.0
        for batch in self.batches(examples):
            [answers] = batch.targets
            logits = network(*batch.inputs).float()
            correct += int((logits.argmax(1) == answers).sum())
            known += int((answers != OTHER).sum())
            loss += float(cross_entropy(logits, answers, ignore_index=OTHER, reduction="sum"))
        return {"accuracy": correct / len(examples), "loss": loss / max(known, 1)}
