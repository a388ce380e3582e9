"""Use what was trained: a checkpoint alone, without its experiment and its data.

from kubenas_trial.prediction import load_predictor

predictor = load_predictor("checkpoints/digits-3/0.safetensors")
predictor.predict(["cat.png"])  # [Choice(label="cat", probability=0.98)]
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from kubenas.space.base import InvalidArchitectureError
from kubenas_trial import checkpoint
from kubenas_trial.blueprint import Blueprint
from kubenas_trial.datasets.preprocessing import Preprocessing
from kubenas_trial.devices import find_device
from kubenas_trial.errors import InvalidTrialError


@dataclass(frozen=True, slots=True)
class Predictor:
    """A trained network with its preprocessing.

    Attributes:
        blueprint: what it was rebuilt from.
        network: in evaluation mode.
        preprocessing: with the names of the classes.
        metrics: as they were last reported.
    """

    blueprint: Blueprint
    network: nn.Module
    preprocessing: Preprocessing
    metrics: dict[str, float]

    def predict(self, raw: Sequence[Any]) -> list[Any]:
        """The prediction for each of `raw`, as one batch.

        | task | an example | prediction |
        | --- | --- | --- |
        | image-classification | an image | `Choice` of a class |
        | object-detection | an image | list of `DetectedObject` |
        | semantic-segmentation | an image | class of each pixel, int64 (height, width) |
        | text-classification | a text | `Choice` of a class |
        | text-representation | a text | its vector, float32 (width) |
        | language-model | a text | `Choice` of the next token |
        | translation | a sentence | its translation |
        | keyword-spotting | a WAV file, or float32 (samples) | `Choice` of a word |
        | node-classification | features (nodes, features) and edges (2, edges) | list of a `Choice` for each node |
        | visual-question-answering | an image and a question | `Choice` of an answer |

        An image is a file, or uint8 (channels, height, width) of any size.

        Raises:
            InvalidDatasetError: a file cannot be read.
            ValueError: an example is none of the task's.
        """
        if not raw:
            return []
        with torch.inference_mode():
            return self.blueprint.task_class().predict(self.network, self.preprocessing, raw)


def load_predictor(path: Path | str, device: str = "cpu") -> Predictor:
    """What the newest checkpoint at `path`, which may be a URL, holds, ready to be used on `device`.

    A device is auto, cpu, cuda or cuda:NUMBER. Nothing in the file is executed: it has tensors and JSON alone.

    Raises:
        InvalidTrialError: the file does not exist or is no checkpoint of this trainer, or there is no such device.
    """
    where = find_device(device)
    state = checkpoint.load(path)
    try:
        network = state.blueprint.build()
        network.load_state_dict(state.model)
        preprocessing = state.blueprint.prepare()
    except (InvalidTrialError, InvalidArchitectureError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise InvalidTrialError(
            f"checkpoint {path} is of no network that this version of the trainer can build: {error}"
        ) from error
    return Predictor(state.blueprint, network.to(where).eval(), preprocessing, state.metrics)
