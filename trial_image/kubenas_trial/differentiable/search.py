"""The search itself: weights and alphas are learned in turn, each from its own half of the training split."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import astuple, fields, replace
from typing import Any, Final

import torch
from torch import Tensor, nn

from kubenas.api.space import SearchSpace
from kubenas.space.base import Architecture
from kubenas_trial.datasets.data import Batch
from kubenas_trial.differentiable.choices import skip_share
from kubenas_trial.differentiable.collapse import WARM_UP, Signs, measured
from kubenas_trial.differentiable.curvature import curvature
from kubenas_trial.differentiable.halves import halves
from kubenas_trial.differentiable.mixture import Mixture
from kubenas_trial.differentiable.order import first_order, second_order
from kubenas_trial.differentiable.perturbation import noise_at
from kubenas_trial.differentiable.pruning import operations_at, prune
from kubenas_trial.differentiable.regularizers import beta_decay, expected_flops, operation_flops
from kubenas_trial.differentiable.samplers.load import SAMPLERS
from kubenas_trial.differentiable.unchanged import calibrated, held
from kubenas_trial.document import Evaluation
from kubenas_trial.evaluation.training import Training
from kubenas_trial.optimizers import Adam
from kubenas_trial.step import Step
from kubenas_trial.tasks.base import Task

# DARTS' search on CIFAR-10: 50 epochs of 390 steps. Adam moves an alpha by its rate in a step at most, so that rates
# are such that a search of any length can move it as far.
_RATE: Final = 3e-4
_STEPS: Final = 50 * 390
_LARGEST_RATE: Final = 0.1
_BETAS: Final = (0.5, 0.999)
_DECAY: Final = 1e-3


class Search(Training):
    """A differentiable search on the training split of `task`; neither validation nor test examples are learned from.

    An epoch is one of the half that weights are learned from. Before each of their steps the alphas take one, on a
    random batch of the other half. Every part is in one file: `evaluation` says which are used.

    Attributes:
        mixture: the mixed network.
        alphas_optimizer: of what decides.
        past: what tells of collapse after each epoch.
        alphas: what decides, as it was after each epoch.
    """

    # What is computed changes from pass to pass.
    compiles = False

    def __init__(
        self,
        task: Task[Any, Any],
        space: SearchSpace,
        evaluation: Evaluation,
        epochs: int,
        seed: int = 0,
        uninterrupted: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        """Search for `epochs`; `seed` says which examples are in which half.

        Raises:
            InvalidTrialError: the space cannot be searched so.
        """
        self.mixture = Mixture(task, space, SAMPLERS[evaluation.sampler], evaluation.partial_channels)
        own, self._others = halves(task.data.train, seed)
        super().__init__(
            task,
            self.mixture,
            epochs,
            uninterrupted,
            learned=self.mixture.learned,
            train=own,
        )
        self._evaluation = evaluation
        steps = max(1, len(self._others) // (task.settings.batch_size * task.settings.accumulate))
        rate = min(_LARGEST_RATE, _RATE * _STEPS / (epochs * steps))
        self.alphas_optimizer = Adam(self.mixture.deciding, rate, _BETAS, weight_decay=_DECAY)
        self._flops = operation_flops(self.mixture, task.example()) if evaluation.flops_penalty else []
        self.past: list[Signs] = []
        self.alphas: list[list[Tensor]] = []

    def train_epoch(
        self, epoch: int, generator: torch.Generator, after_step: Callable[[], None] = lambda: None
    ) -> None:
        """Learn from every example of the weights' half once; `epoch` counts from 1.

        Raises:
            NonFiniteMetricError: the loss is NaN or infinite.
        """
        mixture = self.mixture
        mixture.progress = (epoch - 1) / max(1, self._epochs - 1)
        if self._evaluation.perturbation == "random":
            mixture.noise = noise_at(mixture.progress)
        if self._evaluation.pruning and not self.examples:
            done = (epoch - 1) / self._epochs
            with torch.no_grad():
                for weights, kept in zip(mixture.expected(), mixture.kept, strict=True):
                    prune(weights, kept, operations_at(done, kept.shape[1]))
        super().train_epoch(epoch, generator, after_step)

    def first_step(self) -> None:
        """One step of the alphas and of the weights on the first examples: all that an epoch takes of memory."""
        self.mixture.train()
        [batch] = self._task.batches(self._train, list(range(min(self._settings.batch_size, len(self._train)))))
        self.step([batch], Step(0, 0, WARM_UP))

    def _step(self, batches: list[Batch], step: Step) -> Tensor:
        """One step of the alphas, once the weights have had their start, then one of the weights."""
        deciding, learned = self.mixture.deciding, [parameter for _, parameter in self.mixture.learned]
        # Among untrained operations those without weights would look best.
        if step.progress >= WARM_UP:
            for parameter, own in zip(deciding, self._gradient(batches, deciding, learned), strict=True):
                parameter.grad = own
            self.alphas_optimizer.step()
        elif step.number == 0:
            # Of no effect: too little memory for it is better known now than when a fifth of the search is done.
            seed = torch.initial_seed()
            self._gradient(batches, deciding, learned)
            torch.manual_seed(seed)
        with held(deciding):
            return super()._step(batches, step)

    def _gradient(
        self, batches: list[Batch], deciding: list[nn.Parameter], learned: list[nn.Parameter]
    ) -> list[Tensor]:
        """Of what decides, on random examples of its half: as many as those of `batches`."""
        size, seed = self._task.settings.batch_size, torch.initial_seed()
        chosen = torch.randperm(len(self._others))[: size * self._task.settings.accumulate].tolist()
        noise, self.mixture.noise = self.mixture.noise, 0.0

        def learning() -> Tensor:
            return torch.stack([self._drawn_loss(each, seed) for each in batches]).mean()

        def of(batch: Batch) -> list[Tensor]:
            def loss() -> Tensor:
                return self._drawn_loss(batch, seed) + self._penalties()

            if self._evaluation.order == "second":
                return second_order(loss, learning, deciding, learned, self.optimizer.param_groups[0]["lr"])
            with held(learned):
                return first_order(loss, deciding)

        try:
            parts = [chosen[start : start + size] for start in range(0, len(chosen), size)]
            each = [of(self._others[part].to(self._task.device)) for part in parts]
        finally:
            self.mixture.noise = noise
        return [torch.stack(own).mean(0) for own in zip(*each, strict=True)]

    def _drawn_loss(self, batch: Batch, seed: int) -> Tensor:
        """The loss with the weights that `seed` draws."""
        torch.manual_seed(seed)
        with self._autocast(), self._checkpointed(self.mixture):
            loss: Tensor = self._task.loss(self.mixture, batch)
            return loss

    def _penalties(self) -> Tensor:
        mixture, evaluation = self.mixture, self._evaluation
        total: Tensor = mixture.alphas[0].new_zeros(())
        if mixture.sampler.penalty is not None:
            total = total + torch.stack([mixture.sampler.penalty(alphas) for alphas in mixture.alphas]).sum()
        if evaluation.beta_decay:
            # The weight rises from 0, as in the authors' search.
            total = total + evaluation.beta_decay * mixture.progress * beta_decay(list(mixture.alphas))
        if evaluation.flops_penalty:
            total = total + evaluation.flops_penalty * expected_flops(mixture.expected(), self._flops)
        return total

    def signs(self, epoch: int) -> Signs:
        """What tells of collapse after `epoch`; the eigenvalue is measured every few epochs."""
        share = skip_share(self.mixture.choices, self.mixture.derive())
        if measured(epoch, self._epochs):
            return Signs(*curvature(self._task, self.mixture, self._others, self._settings.batch_size), share)
        return replace(self.past[-1], skip_share=share)

    def entropy(self) -> float:
        """The mean entropy of the places' weights, from 0 to 1, where all operations are weighed alike."""
        with torch.no_grad():
            rows = [
                torch.special.entr(rows).sum(-1) / math.log(max(2, rows.shape[1])) for rows in self.mixture.expected()
            ]
        return float(torch.cat(rows).mean())

    def keep(self, signs: Signs) -> None:
        """Keep what decides as it is after an epoch, and what tells of collapse then."""
        self.past.append(signs)
        self.alphas.append([each.detach().clone() for each in self.mixture.deciding])

    def restore(self, epoch: int) -> None:
        """Go back to what decided after `epoch`."""
        self._decide(self.alphas[epoch - 1])

    @contextmanager
    def restored(self, epoch: int) -> Iterator[None]:
        """Within, what decides is as it was after `epoch`."""
        before = [each.detach().clone() for each in self.mixture.deciding]
        self.restore(epoch)
        try:
            yield
        finally:
            self._decide(before)

    def _decide(self, values: Sequence[Tensor]) -> None:
        with torch.no_grad():
            for parameter, value in zip(self.mixture.deciding, values, strict=True):
                parameter.copy_(value)

    def judge(self, architecture: Architecture | None) -> dict[str, float]:
        """The task's metrics on the validation split: of `architecture` with the mixture's weights, or of the mixture.

        Normalization's statistics are estimated for it from training examples.
        """
        with self.mixture.weighted(architecture), calibrated(self._task, self.mixture):
            return self.evaluate(self._task.data.validation)

    def state(self) -> dict[str, Tensor]:
        """All that a search goes on from, by name."""
        tensors = {f"mixture.{name}": value for name, value in self.mixture.state_dict().items()}
        for part, optimizer in self._optimizers.items():
            for index, state in optimizer.state_dict()["state"].items():
                tensors |= {f"{part}.{index}.{name}": value for name, value in state.items() if value is not None}
        for index, values in enumerate(zip(*self.alphas, strict=True)):
            tensors[f"past.{index}"] = torch.stack(values)
        signs = [astuple(each) for each in self.past]
        return tensors | {"past.signs": torch.tensor(signs, dtype=torch.float64).reshape(-1, len(fields(Signs)))}

    def load_state(self, tensors: Mapping[str, Tensor]) -> None:
        """Go on from `state`."""
        parts: dict[str, dict[str, Tensor]] = {"mixture": {}, "past": {}, **{part: {} for part in self._optimizers}}
        for name, value in tensors.items():
            part, _, rest = name.partition(".")
            parts[part][rest] = value
        self.mixture.load_state_dict(parts["mixture"])
        for part, optimizer in self._optimizers.items():
            state: dict[int, dict[str, Tensor]] = {}
            for name, value in parts[part].items():
                index, _, key = name.partition(".")
                state.setdefault(int(index), {})[key] = value
            optimizer.load_state_dict(optimizer.state_dict() | {"state": state})
        self.past = [Signs(*each) for each in parts["past"].pop("signs").tolist()]
        columns = [parts["past"][str(index)].to(self._task.device) for index in range(len(parts["past"]))]
        self.alphas = [[column[epoch] for column in columns] for epoch in range(len(self.past))]

    @property
    def _optimizers(self) -> dict[str, torch.optim.Optimizer]:
        return {"weights": self.optimizer, "alphas": self.alphas_optimizer}
