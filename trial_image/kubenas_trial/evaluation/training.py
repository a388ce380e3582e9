"""The training of one network, with its optimizer, scaler and counters."""

from __future__ import annotations

import copy
import logging
import math
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, nullcontext, suppress
from itertools import islice
from typing import Any, Final, cast

import torch
from torch import Tensor, nn

from kubenas_trial.datasets.data import Batch, Examples
from kubenas_trial.distributed import average, begin_alike, in_any, rank, share, world_size
from kubenas_trial.errors import InvalidTrialError, NonFiniteMetricError, TrialError, is_out_of_memory
from kubenas_trial.evaluation.checkpointing import checkpointed
from kubenas_trial.evaluation.draws import Seeded, draw_anew
from kubenas_trial.evaluation.optimization import learning_rate, make_optimizer
from kubenas_trial.evaluation.precision import autocast, evaluated, precision
from kubenas_trial.measure.live_memory import LiveMemory
from kubenas_trial.settings import TrainingSettings
from kubenas_trial.step import Step
from kubenas_trial.tasks.base import Task

# Steps between two checks of a GPU's losses, since each check waits for the GPU.
_CHECK_STEPS = 50
# A metric of trials whose memory ran out: examples of a forward pass from there on.
REDUCED_BATCH: Final = "reduced_batch_size"
_LOG = logging.getLogger("kubenas_trial")


class Training:
    """Training of `network` on the training split of `task`, epoch by epoch.

    Mixed precision (Micikevicius et al., ICLR 2018) is used on a GPU unless `amp` is off: bfloat16, or float16 with
    loss scaling. On a CPU everything is float32 and exactly repeatable.

    Attributes:
        network: as it was given; what is saved and exported.
        optimizer: over all its parameters, or those that are `learned`.
        scaler: of the losses, for float16.
        examples: how many of the current epoch's examples all processes together have learned from.
        seconds: time spent in `train_epoch`.
        should_stop: asked after each step whether the training ends there; of several processes any may say so.
        stopped: whether it has ended so.
        reduced_batch_size: examples of a forward pass since memory ran out; None while it has not.
    """

    # Whether the network can be compiled, and whether all processes of the trial learn together.
    compiles = True
    joint = True

    def __init__(
        self,
        task: Task[Any, Any],
        network: nn.Module,
        epochs: int,
        uninterrupted: Callable[[], AbstractContextManager[None]] = nullcontext,
        *,
        learned: Iterable[tuple[str, nn.Parameter]] | None = None,
        train: Examples | None = None,
    ) -> None:
        """Train by a schedule of `epochs`; no signal may raise an exception within `uninterrupted`.

        Where they are given, only the parameters `learned` (with names) are, and from the examples `train`.
        """
        settings: TrainingSettings = task.settings
        self.network = network
        self.optimizer = make_optimizer(network.named_parameters() if learned is None else learned, settings)
        self.dtype = precision(settings, task.device)
        self.scaler = torch.amp.GradScaler(task.device.type, enabled=self.dtype is torch.float16)
        self._task = task
        self._settings = settings
        self.examples = 0
        self.seconds = 0.0
        self.should_stop: Callable[[], bool] = lambda: False
        self.stopped = False
        self.reduced_batch_size: int | None = None
        self._counted_peak = 0
        self._counting: LiveMemory | None = None
        self._peak_of_gradient = 0
        self._updating = False
        self._train: Examples = task.data.train if train is None else train
        self._epochs = epochs
        self._uninterrupted = uninterrupted
        if settings.compile and settings.checkpoint_activations:
            raise InvalidTrialError(
                "task.settings: compile and checkpointActivations do not go together: leave one of them out"
            )
        compiled = self.compiles and settings.compile and task.device.type == "cuda"
        self._forward = cast("nn.Module", torch.compile(network)) if compiled else network
        self._together = self.joint and world_size() > 1
        if self._together:
            begin_alike(network)

    def train_epoch(
        self, epoch: int, generator: torch.Generator, after_step: Callable[[], None] = lambda: None
    ) -> None:
        """Learn from every training example once, in an order drawn from `generator`; `epoch` counts from 1.

        Where it `should_stop` the epoch ends with the step, and `examples` says how far it has come.

        `after_step` is called after each step, its time not counted.

        The first `self.examples` are skipped, as they were done before an interruption. Each step seeds its draws anew,
        so that a resumed training draws the same as an uninterrupted one. Where memory runs out for a step, that and
        those that follow are done in batches of half the size, twice as many.

        Raises:
            NonFiniteMetricError: the loss is NaN or infinite; nothing that follows would be worth its time.
            TrialError: memory ran out again, with reason OutOfMemory.
        """
        self.network.train()
        examples = Seeded(self._train, generator.initial_seed())
        order = share(torch.randperm(len(examples), generator=generator).tolist())
        while True:
            try:
                self._go_on(epoch, examples, order, after_step)
            except Exception as error:
                if self._together and is_out_of_memory(error) and not isinstance(error, _TogetherError):
                    self._tell_others(error)
                self._reduce_batches(error)
            else:
                return

    def _go_on(self, epoch: int, examples: Seeded, order: list[int], after_step: Callable[[], None]) -> None:
        """The steps of an epoch that are not done yet."""
        start = time.monotonic()
        seed = examples.seed
        if len(order) > self._settings.batch_size > 1 == len(order) % self._settings.batch_size:
            # Batch normalization cannot learn from one vector; each epoch leaves another one out.
            order = order[:-1]
        size = self._settings.batch_size * self._settings.accumulate
        steps = math.ceil(len(order) / size)
        first = self.examples // (size * world_size())
        losses: list[Tensor] = []
        batches = self._task.batches(examples, order[first * size :])
        for step, group in enumerate(_groups(batches, self._settings.accumulate), start=first):
            with self._uninterrupted():
                draw_anew(seed, "step", step, rank())
                done = epoch - 1 + step / steps
                rate = learning_rate(self._settings, done, self._epochs)
                for parameters in self.optimizer.param_groups:
                    parameters["lr"] = rate
                losses.append(self.step(group, Step(seed, step, done / self._epochs)))
                if self._task.device.type == "cpu" or len(losses) == _CHECK_STEPS or step == steps - 1:
                    _check(torch.stack(losses), epoch, step)
                    losses.clear()
                self.examples = (step + 1) * size * world_size()
                self.seconds += time.monotonic() - start
            if not self._together:
                self.stopped = self.should_stop()
            if self.stopped:
                return
            after_step()
            start = time.monotonic()

    def evaluate(self, examples: Examples) -> dict[str, float]:
        """The task's metrics on `examples`; batches are halved as in training where memory runs out.

        Raises:
            TrialError: memory ran out again, with reason OutOfMemory.
        """
        self.network.eval()
        while True:
            try:
                return evaluated(self._task, self._forward, examples)
            except Exception as error:
                # The others of a joint training have nothing to evaluate, and would go on with other batches.
                self._reduce_batches(error, possible=not self._together)

    @property
    def memory(self) -> dict[str, float]:
        """The metrics of memory: its peak, and the size of batches where that was reduced.

        The peak is in MB (10^6 bytes): of a GPU what torch has allocated at most, else the counted peak of a step, with
        its batch, weights, gradients and the optimizer's state, see `LiveMemory`.
        """
        on_gpu = self._task.device.type == "cuda"
        peak = torch.cuda.max_memory_allocated(self._task.device) if on_gpu else self._counted_peak
        reduced = {} if self.reduced_batch_size is None else {REDUCED_BATCH: float(self.reduced_batch_size)}
        return {"peak_memory_mb": peak / 1e6, **reduced}

    def step(self, batches: list[Batch], step: Step) -> Tensor:
        """One step by the mean gradient of `batches`; their mean loss. The memory of the first one is counted."""
        if self._counted_peak or self._task.device.type == "cuda":
            return self._step(batches, step)
        network = [*self.network.parameters(), *self.network.buffers()]
        state = self._optimizer_state()
        data = [tensor for batch in batches for tensor in (*batch.inputs, *batch.targets)]
        with LiveMemory([*network, *state, *data]) as self._counting:
            loss = self._step(batches, step)
        # A first step makes the optimizer's state, which later ones have from their beginning.
        made = _bytes(self._optimizer_state()) - _bytes(state)
        self._counted_peak = max(self._peak_of_gradient + made, self._counting.peak)
        self._counting = None
        return loss

    def _optimizer_state(self) -> list[Tensor]:
        values = (value for state in self.optimizer.state.values() for value in state.values())
        return [value for value in values if isinstance(value, Tensor)]

    def _reduce_batches(self, error: Exception, *, possible: bool = True) -> None:
        """Halve the batches, or divide them further where halves would make another step; raise `error` if futile."""
        if not is_out_of_memory(error):
            raise error
        settings = self._settings
        step = settings.batch_size * settings.accumulate
        smaller = [size for size in range(1, settings.batch_size // 2 + 1) if step % size == 0]
        # Half an update cannot be done anew.
        futile = not smaller or not possible or self._updating
        if self.reduced_batch_size is not None or futile:
            again = f" with batches of {settings.batch_size}" if self.reduced_batch_size else ""
            said = (str(error) or type(error).__name__).splitlines()[0]
            raise TrialError(
                "OutOfMemory",
                f"{said:.200}{again}: lower task.settings.batchSize, set checkpointActivations, or give the trial more "
                "memory",
            ) from None
        self.reduced_batch_size = size = max(smaller)
        _LOG.warning(
            "out of memory with batches of %d: from here on of %d, %d of them for a step",
            settings.batch_size,
            size,
            step // size,
        )
        self._settings = settings.model_copy(update={"batch_size": size, "accumulate": step // size})
        self._task = copy.copy(self._task)
        self._task.settings = self._settings
        self._counted_peak, self._counting = 0, None
        if self._task.device.type == "cuda":
            torch.cuda.empty_cache()

    def _step(self, batches: list[Batch], step: Step) -> Tensor:
        """One step by the mean gradient of `batches`; their mean loss."""
        self.network.zero_grad()  # the optimizer's own imports torch's compiler
        total = torch.zeros((), device=self._task.device)
        failed = None
        try:
            for batch in batches:
                total += self._learn(batch, 1 / len(batches), step)
        except Exception as error:
            if not (self._together and is_out_of_memory(error)):
                raise
            # Not the error, whose frames hold what takes the memory.
            failed = str(error)
        if self._together:
            self._average(failed)
        if self._counting is not None:
            self._peak_of_gradient = self._counting.peak
        if self._settings.clip_norm is not None:
            self.scaler.unscale_(self.optimizer)
            nn.utils.clip_grad_norm_(self.network.parameters(), self._settings.clip_norm)
        self._updating = True
        self.scaler.step(self.optimizer)
        self._updating = False
        self.scaler.update()
        return total

    def _learn(self, batch: Batch, share: float, step: Step) -> Tensor:  # noqa: ARG002 - for trainings of several
        """Add the gradient of `batch`, times `share`; its loss, times `share`."""
        with self._autocast(), self._checkpointed(self.network):
            loss = self._task.loss(self._forward, batch) * share
        self.scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
        return loss.detach()

    def _average(self, failed: str | None) -> None:
        """Average gradients over all processes, unless memory has run out in one of them; `failed` says so of this one.

        Raises:
            _TogetherError: it has, and all processes raise this.
        """
        parameters = [*self.network.parameters()]
        # Parts of an architecture that do not reach the output get no gradient, and a batch may leave out others.
        given = [failed is None and parameter.grad is not None for parameter in parameters]
        # All end with the same step, and nothing more is exchanged for it.
        out, self.stopped, *wanted = in_any([failed is not None, self.should_stop(), *given])
        if out:
            raise _TogetherError(failed or "out of memory in another process of the trial")
        self._updating = True
        learned = [parameter for parameter, one in zip(parameters, wanted, strict=True) if one]
        for parameter in learned:
            parameter.grad = torch.zeros_like(parameter) if parameter.grad is None else parameter.grad
        average([parameter.grad for parameter in learned if parameter.grad is not None])
        self._updating = False

    def _tell_others(self, error: Exception) -> None:
        """Have the other processes, which wait in their step for this one, do theirs anew as well."""
        with suppress(_TogetherError):
            self._average(str(error))

    def _checkpointed(self, network: nn.Module) -> AbstractContextManager[None]:
        return checkpointed(network) if self._settings.checkpoint_activations else nullcontext()

    def _autocast(self) -> torch.autocast:
        return autocast(self.dtype, self._task.device)


class _TogetherError(MemoryError):
    """Memory has run out in one of the processes that learn together, and all know it."""


def _check(losses: Tensor, epoch: int, step: int) -> None:
    if not bool(losses.isfinite().all()):
        value = losses[~losses.isfinite()][0].item()
        raise NonFiniteMetricError(
            f"epoch {epoch}, step {step + 1}: the loss is {value}: lower task.settings.learningRate, or set clipNorm"
        )


def _bytes(tensors: Iterable[Tensor]) -> int:
    return sum(tensor.untyped_storage().nbytes() for tensor in tensors)


def _groups(batches: Iterable[Batch], size: int) -> Iterator[list[Batch]]:
    iterator = iter(batches)
    while group := list(islice(iterator, size)):
        yield group
