"""Tasks that assign each example one of several classes."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from kubenas_trial.datasets.data import Batch, Examples, Splits
from kubenas_trial.datasets.preprocessing import Preprocessing
from kubenas_trial.settings import TrainingSettings
from kubenas_trial.tasks.answers import Choice, choices
from kubenas_trial.tasks.base import Task, outputs_of

S = TypeVar("S", bound=TrainingSettings)
D = TypeVar("D", bound=Splits)


class Classifier(Task[S, D]):
    """Networks give logits (batch, classes), a batch's one target is the classes (batch)."""

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Cross-entropy, with label smoothing."""
        [labels] = batch.targets
        return cross_entropy(network(*batch.inputs), labels, label_smoothing=self.settings.label_smoothing)

    @classmethod
    def predict(cls, network: nn.Module, preprocessing: Preprocessing, raw: Sequence[Any]) -> list[Choice]:
        """The most probable class of each example."""
        return choices(outputs_of(network, preprocessing.inputs(raw)), preprocessing.classes)

    def evaluate(self, network: nn.Module, examples: Examples) -> dict[str, float]:
        """Accuracy and mean cross-entropy."""
        correct, loss = 0, 0.0
        for batch in self.batches(examples):
            [labels] = batch.targets
            logits = network(*batch.inputs).float()
            correct += int((logits.argmax(1) == labels).sum())
            loss += float(cross_entropy(logits, labels, reduction="sum"))
        return {"accuracy": correct / len(examples), "loss": loss / len(examples)}
