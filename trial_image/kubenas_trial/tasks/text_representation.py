"""Text representation: an encoder is trained on masked tokens, and a linear probe judges its vectors."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, Literal, cast

import numpy as np
import torch
from numpy.typing import NDArray
from pydantic import Field
from torch import Tensor, nn

from kubenas_trial.datasets.data import Batch, Examples
from kubenas_trial.datasets.representation_data import (
    MaskedExamples,
    RepresentationData,
    detect_texts,
    read_representation,
    representation_data,
)
from kubenas_trial.datasets.sentiment import SUMMARY, sentiment
from kubenas_trial.datasets.text_data import TextExamples, TextSettings
from kubenas_trial.datasets.text_preprocessing import TextPreprocessing
from kubenas_trial.datasets.tokens import IGNORED, PADDING, UNKNOWN
from kubenas_trial.networks.base import Tokens
from kubenas_trial.networks.bert_encoder import BERT_MASKED_LM, MaskedLanguageModel
from kubenas_trial.settings import LearningRate
from kubenas_trial.tasks.base import BuiltIn, Format, Task
from kubenas_trial.tasks.token_losses import mean_token_loss, summed_token_loss


class TextRepresentationSettings(TextSettings):
    """The defaults suit some thousand short texts."""

    learning_rate: LearningRate = 2e-3
    # The exported network predicts masked tokens; its outputs are not the probe's vectors, so int8 has no metric.
    measure: Annotated[
        tuple[Literal["latency_ms", "onnx_latency_ms", "size_mb"], ...],
        Field(description="What is measured beside the task's metrics, each a metric too; no int8 here."),
    ] = ()


def _built_in(settings: TextRepresentationSettings) -> RepresentationData:
    return representation_data(sentiment(settings.split_seed), settings)


class TextRepresentation(Task[TextRepresentationSettings, RepresentationData]):
    """Vectors of texts, learned without labels."""

    name = "text-representation"
    summary = "vectors of texts, learned by finding hidden tokens and judged by a linear classifier on top"
    metric = "probe_accuracy"
    preset = "bert-encoder"
    epochs = 10
    settings_model = TextRepresentationSettings
    preprocessing_model = TextPreprocessing
    families: ClassVar = {"bert-encoder": BERT_MASKED_LM}
    built_in: ClassVar = {"sentiment": BuiltIn(SUMMARY, _built_in)}
    formats: ClassVar = {
        "text": Format(
            "texts (.txt, one a line) and a labelled table (.tsv, .csv, .jsonl) in a folder, or a table alone",
            detect_texts,
            read_representation,
        )
    }

    @property
    def preprocessing(self) -> TextPreprocessing:
        """Of texts."""
        return TextPreprocessing(tokenizer=self.data.tokenizer)

    @classmethod
    def predict(cls, network: nn.Module, preprocessing: TextPreprocessing, raw: Sequence[str]) -> list[Tensor]:
        """The vector (width) of each text."""
        [tokens] = preprocessing.inputs(raw)
        encoder = cast("MaskedLanguageModel", network).encoder
        return list(encoder.mean(tokens.to(encoder.embedding.weight.device)).cpu())

    @property
    def interface(self) -> Tokens:
        """Texts, with a token of the vocabulary at each position."""
        return Tokens(self.data.vocabulary, self.settings.length, len(self.data.classes), PADDING)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Mean cross-entropy of the masked tokens, with label smoothing."""
        return mean_token_loss(network, batch, IGNORED, self.settings.label_smoothing)

    def evaluate(self, network: nn.Module, examples: Examples) -> dict[str, float]:
        """Accuracy of the linear probe, and mean cross-entropy of the masked tokens.

        The probe is logistic regression on each text's mean vector, standardised; it learns from the labelled training
        texts and is measured on those of the split of `examples`.
        """
        # Only here, as it takes seconds to import.
        from sklearn.linear_model import LogisticRegression  # noqa: PLC0415
        from sklearn.pipeline import make_pipeline  # noqa: PLC0415
        from sklearn.preprocessing import StandardScaler  # noqa: PLC0415

        probe: Any = make_pipeline(StandardScaler(), LogisticRegression(max_iter=1000))
        probe.fit(*self._vectors(network, self.data.train.probe))
        accuracy = float(probe.score(*self._vectors(network, cast("MaskedExamples", examples).probe)))
        loss, count = 0.0, 0
        for batch in self.batches(examples):
            summed, tokens = summed_token_loss(network, batch, IGNORED)
            loss, count = loss + summed, count + tokens
        return {"probe_accuracy": accuracy, "mlm_loss": loss / count}

    def example(self, size: int = 1) -> tuple[Tensor, ...]:
        """Texts of the greatest length, as a batch's length depends on what is in it."""
        return (torch.full((size, self.settings.length), UNKNOWN, device=self.device),)

    def _vectors(self, network: nn.Module, examples: TextExamples) -> tuple[NDArray[np.float64], NDArray[np.int64]]:
        """Mean vectors (texts, width) and classes (texts)."""
        encoder = cast("MaskedLanguageModel", network).encoder
        vectors = [encoder.mean(*batch.inputs).double().cpu() for batch in self.batches(examples)]
        return torch.cat(vectors).numpy(), examples.labels.numpy()
