"""Image classification: SGD as in NAS-Bench-201, accuracy and cross-entropy."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import torch
from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from torch import nn
from torch.nn.functional import cross_entropy

from kubenas.api.space import SearchSpace
from kubenas.space.base import Architecture
from kubenas_trial.networks.build import SkeletonSettings, build_network
from kubenas_trial.sgd import SGD
from kubenas_trial.tasks.datasets import ImageDataset, Split

# Images at once where no gradients are kept.
_BATCH = 1024


class ImageClassificationSettings(BaseModel):
    """`task.settings`; the defaults are NAS-Bench-201's recipe (Dong and Yang, ICLR 2020, table 1)."""

    model_config = ConfigDict(alias_generator=to_camel, frozen=True, extra="forbid")

    batch_size: Annotated[int, Field(ge=2, le=1_000_000)] = 256
    learning_rate: Annotated[float, Field(gt=0, le=1000)] = 0.1
    momentum: Annotated[float, Field(ge=0, lt=1)] = 0.9
    weight_decay: Annotated[float, Field(ge=0, le=1)] = 5e-4
    amp: Literal["auto", "off"] = "auto"
    network: SkeletonSettings | None = None


class ImageClassification:
    """The task on one data set and device.

    Mixed precision (Micikevicius et al., ICLR 2018) is used on a GPU unless `amp` is off: bfloat16 where the GPU has
    it, else float16 with loss scaling. On a CPU everything is float32.
    """

    def __init__(self, settings: ImageClassificationSettings, dataset: ImageDataset, device: torch.device) -> None:
        self.settings = settings
        self.device = device
        self.data = dataset.to(device)
        self.mixed = settings.amp == "auto" and device.type == "cuda"
        bfloat16 = not self.mixed or torch.cuda.is_bf16_supported(including_emulation=False)
        self.dtype = torch.bfloat16 if bfloat16 else torch.float16

    def start(self, architecture: Architecture, space: SearchSpace, epochs: int) -> Training:
        """Training of `architecture` from fresh weights, drawn from torch's global generator.

        Raises:
            InvalidTrialError: the architecture makes no network.
        """
        network = build_network(architecture, space, self.settings.network, self.data.shape, self.data.classes)
        return Training(self, network.to(self.device), epochs)


class Training:
    """One network with all that changes while it learns."""

    def __init__(self, task: ImageClassification, network: nn.Module, epochs: int) -> None:
        settings = task.settings
        self.network = network
        self.optimizer = SGD(
            network.parameters(),
            lr=settings.learning_rate,
            momentum=settings.momentum,
            nesterov=settings.momentum > 0,
            weight_decay=settings.weight_decay,
        )
        self.scaler = torch.amp.GradScaler(task.device.type, enabled=task.mixed and task.dtype is torch.float16)
        self._task = task
        self._epochs = epochs

    def train_epoch(self, epoch: int, generator: torch.Generator) -> None:
        """Learn from every training image once, in an order drawn from `generator`; `epoch` counts from 1.

        The learning rate falls along half a cosine over all epochs (Loshchilov and Hutter, ICLR 2017).
        """
        self.network.train()
        task, data = self._task, self._task.data.train
        order = torch.randperm(len(data.labels), generator=generator)
        batches = torch.split(order, task.settings.batch_size)
        for number, batch in enumerate(batches):
            progress = (epoch - 1 + number / len(batches)) / self._epochs
            for group in self.optimizer.param_groups:
                group["lr"] = task.settings.learning_rate * 0.5 * (1 + math.cos(math.pi * progress))
            index = batch.to(task.device)
            with torch.autocast(task.device.type, task.dtype, enabled=task.mixed):
                loss = cross_entropy(self.network(data.images[index]), data.labels[index])
            self.network.zero_grad()
            self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            self.scaler.step(self.optimizer)
            self.scaler.update()

    def validate(self) -> dict[str, float]:
        """Share of right answers and mean cross-entropy on the validation split."""
        accuracy, loss = self._evaluate(self._task.data.validation)
        return {"accuracy": accuracy, "loss": loss}

    def test(self) -> dict[str, float]:
        """Share of right answers on the test split, under a name that no search is shown."""
        accuracy, _ = self._evaluate(self._task.data.test)
        return {"test_accuracy": accuracy}

    @torch.inference_mode()
    def _evaluate(self, split: Split) -> tuple[float, float]:
        self.network.eval()
        correct, loss = 0, 0.0
        batches = zip(torch.split(split.images, _BATCH), torch.split(split.labels, _BATCH), strict=True)
        for images, labels in batches:
            with torch.autocast(self._task.device.type, self._task.dtype, enabled=self._task.mixed):
                logits = self.network(images).float()
            correct += int((logits.argmax(1) == labels).sum())
            loss += float(cross_entropy(logits, labels, reduction="sum"))
        return correct / len(split.labels), loss / len(split.labels)
