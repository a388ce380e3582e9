"""Text classification, such as sentiment: accuracy, macro F1 and cross-entropy."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Annotated, ClassVar, Final

import torch
from pydantic import Field
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from kubenas_trial.datasets.data import Examples
from kubenas_trial.datasets.labelled_text import detect
from kubenas_trial.datasets.sentiment import SUMMARY, sentiment
from kubenas_trial.datasets.text_data import TextData, TextSettings, read_tables, text_data
from kubenas_trial.datasets.text_preprocessing import TextPreprocessing
from kubenas_trial.datasets.tokens import PADDING, UNKNOWN
from kubenas_trial.networks.base import Tokens
from kubenas_trial.networks.bert_encoder import BERT_CLASSIFIER
from kubenas_trial.settings import BatchSize, LearningRate, Share, WeightDecay
from kubenas_trial.tasks.base import BuiltIn, Format
from kubenas_trial.tasks.classifier import Classifier


class TextClassificationSettings(TextSettings):
    """The defaults suit some thousand short texts, from which a network learns all that it knows of the language."""

    batch_size: BatchSize = 32
    learning_rate: LearningRate = 1e-3
    weight_decay: WeightDecay = 0.1
    label_smoothing: Share = 0.1
    token_dropout: Annotated[
        float, Field(ge=0, lt=1, description="Share of a training text's tokens that are made unknown (augmentation).")
    ] = 0.2


def _read(path: Path, settings: TextClassificationSettings, *, kind: str) -> TextData:
    return text_data(read_tables(path, kind, settings), settings, settings.token_dropout)


def _built_in(settings: TextClassificationSettings) -> TextData:
    return text_data(sentiment(settings.split_seed), settings, settings.token_dropout)


_FORMATS: Final[Mapping[str, str]] = {
    "tsv": "tab-separated tables with a header (.tsv)",
    "csv": "tables with a header, separated by commas, semicolons or tabs (.csv)",
    "jsonl": "JSON objects, one a line (.jsonl, .ndjson)",
}


class TextClassification(Classifier[TextClassificationSettings, TextData]):
    """Which of some classes a text belongs to."""

    name = "text-classification"
    summary = "which of some classes a text belongs to, for example its sentiment"
    metric = "accuracy"
    preset = "bert-encoder"
    epochs = 6
    settings_model = TextClassificationSettings
    preprocessing_model = TextPreprocessing
    families: ClassVar = {"bert-encoder": BERT_CLASSIFIER}
    built_in: ClassVar = {"sentiment": BuiltIn(SUMMARY, _built_in)}
    formats: ClassVar = {
        kind: Format(
            f"{text}: one file, or a folder with train, validation and test; columns text and label",
            detect(kind),
            partial(_read, kind=kind),
        )
        for kind, text in _FORMATS.items()
    }

    @property
    def preprocessing(self) -> TextPreprocessing:
        """Of texts."""
        return TextPreprocessing(classes=self.data.classes, tokenizer=self.data.tokenizer)

    @property
    def interface(self) -> Tokens:
        """Texts and classes."""
        return Tokens(self.data.vocabulary, self.settings.length, len(self.data.classes), PADDING)

    def evaluate(self, network: nn.Module, examples: Examples) -> dict[str, float]:
        """Accuracy, macro F1, and mean cross-entropy."""
        classes = len(self.data.classes)
        # Rows for true classes, columns for predicted ones.
        confusion, loss = torch.zeros(classes, classes, dtype=torch.int64), 0.0
        for batch in self.batches(examples):
            [labels] = batch.targets
            logits = network(*batch.inputs).float()
            pairs = labels * classes + logits.argmax(1)
            confusion += pairs.bincount(minlength=classes**2).reshape(classes, classes).cpu()
            loss += float(cross_entropy(logits, labels, reduction="sum"))
        return {
            "accuracy": float(confusion.trace() / len(examples)),
            "f1": macro_f1(confusion),
            "loss": loss / len(examples),
        }

    def example(self, size: int = 1) -> tuple[Tensor, ...]:
        """Texts of the greatest length, as a batch's length depends on what is in it."""
        return (torch.full((size, self.settings.length), UNKNOWN, device=self.device),)


def macro_f1(confusion: Tensor) -> float:
    """Mean of the F1 scores of the classes that occur or are predicted, from a confusion matrix (true, predicted).

    By hand, since torchmetrics and scikit-learn take longer to import than a short trial trains.
    """
    both = confusion.sum(0) + confusion.sum(1)
    scores = 2 * confusion.diagonal()[both > 0] / both[both > 0]
    return float(scores.mean())
