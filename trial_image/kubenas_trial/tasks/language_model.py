"""Language modelling: perplexity, bits per character and cross-entropy."""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import ClassVar, Final, cast

import torch
from torch import Tensor, nn

from kubenas_trial.datasets.data import Batch, Examples
from kubenas_trial.datasets.language_data import LanguageData, LanguageSettings, Windows, detect, read_text
from kubenas_trial.datasets.text_preprocessing import LanguagePreprocessing
from kubenas_trial.datasets.tokens import IGNORED
from kubenas_trial.networks.base import Tokens
from kubenas_trial.networks.transformer_decoder import TRANSFORMER_DECODER
from kubenas_trial.settings import BatchSize, Epochs, LearningRate, Norm, WeightDecay
from kubenas_trial.tasks.answers import Choice
from kubenas_trial.tasks.base import BuiltIn, Format, Task, outputs_of
from kubenas_trial.tasks.token_losses import mean_token_loss, summed_token_loss

_ALICE: Final = Path(__file__).parents[1] / "data" / "alice.txt"


class LanguageModelSettings(LanguageSettings):
    """The defaults suit a text of some hundred thousand characters."""

    batch_size: BatchSize = 16
    learning_rate: LearningRate = 2e-3
    weight_decay: WeightDecay = 0.1
    warmup_epochs: Epochs = 0.5
    clip_norm: Norm = 1.0


def _alice(settings: LanguageModelSettings) -> LanguageData:
    return read_text(_ALICE, settings)


class LanguageModel(Task[LanguageModelSettings, LanguageData]):
    """Which token comes next in a text."""

    name = "language-model"
    summary = "which token comes next in a text"
    metric = "perplexity"
    goal = "minimize"
    preset = "transformer-decoder"
    epochs = 8
    settings_model = LanguageModelSettings
    preprocessing_model = LanguagePreprocessing
    families: ClassVar = {"transformer-decoder": TRANSFORMER_DECODER}
    built_in: ClassVar = {"alice": BuiltIn("Lewis Carroll's Alice in Wonderland, 145,000 characters", _alice)}
    formats: ClassVar = {
        "text": Format(
            "UTF-8 texts (.txt, .tokens): one file, or a folder, for example train.txt, valid.txt and test.txt",
            detect,
            read_text,
        )
    }

    @property
    def preprocessing(self) -> LanguagePreprocessing:
        """Of texts."""
        data = self.data
        return LanguagePreprocessing(
            tokenizer=data.tokenizer, order=data.order, start=data.start, length=self.settings.length
        )

    @classmethod
    def predict(cls, network: nn.Module, preprocessing: LanguagePreprocessing, raw: Sequence[str]) -> list[Choice]:
        """The most probable next token of each text."""
        found = []
        for text in raw:
            chances = outputs_of(network, preprocessing.inputs([text]))[0, -1].float().softmax(0)
            token = int(chances.argmax())
            found.append(Choice(preprocessing.text_of(token), float(chances[token])))
        return found

    @property
    def interface(self) -> Tokens:
        """Windows of tokens, each to be followed by one of the vocabulary."""
        return Tokens(self.data.vocabulary, self.settings.length, classes=self.data.vocabulary)

    def loss(self, network: nn.Module, batch: Batch) -> Tensor:
        """Mean cross-entropy of the next tokens, with label smoothing."""
        return mean_token_loss(network, batch, IGNORED, self.settings.label_smoothing)

    def evaluate(self, network: nn.Module, examples: Examples) -> dict[str, float]:
        """Perplexity of a token, bits per character, mean cross-entropy of a token.

        Perplexities compare only where the vocabulary is the same, bits per character always. A token's context is
        its window up to there, as in training.
        """
        loss, count = 0.0, 0
        for batch in self.batches(examples):
            summed, tokens = summed_token_loss(network, batch, IGNORED)
            loss, count = loss + summed, count + tokens
        return {
            "perplexity": float(torch.tensor(loss / count, dtype=torch.float64).exp()),
            "bits_per_character": loss / math.log(2) / cast("Windows", examples).characters,
            "loss": loss / count,
        }

    def example(self, size: int = 1) -> tuple[Tensor, ...]:
        """Windows of one token again and again: all windows have the same length."""
        return (torch.zeros((size, self.settings.length), dtype=torch.int64, device=self.device),)
