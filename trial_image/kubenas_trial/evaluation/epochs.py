"""The epochs of one training, each with a report and a checkpoint, from where an earlier attempt has ended."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from pathlib import Path

import torch

from kubenas_trial import checkpoint
from kubenas_trial.blueprint import Blueprint
from kubenas_trial.checkpoint import Checkpoint
from kubenas_trial.contract import Candidate
from kubenas_trial.evaluation.reporter import Reporter
from kubenas_trial.evaluation.saving import Saving
from kubenas_trial.evaluation.training import Training
from kubenas_trial.storage.checkpoints import CheckpointStore


class Epochs:
    """Those of `candidate` by `training`.

    Attributes:
        done: how many are.
        metrics: what was reported after the last one.
    """

    def __init__(
        self,
        training: Training,
        candidate: Candidate,
        reporter: Reporter,
        store: CheckpointStore | None,
        blueprint: Blueprint | None,
    ) -> None:
        """Write checkpoints with `blueprint` to `store`; none where either is None."""
        self.done = 0
        self.metrics: dict[str, float] = {}
        self._training, self._candidate, self._reporter = training, candidate, reporter
        self._blueprint = blueprint
        self._saving = Saving[tuple[int, int]](
            None if blueprint is None else store, self._write, reporter.uninterrupted
        )
        self._saving.has(self._position)

    def go_on_from(self, state: Checkpoint) -> None:
        """Take over all of a checkpoint but the network's weights, and report its metrics again."""
        training = self._training
        training.optimizer.load_state_dict(state.optimizer)
        if state.scaler:
            training.scaler.load_state_dict(state.scaler)
        training.examples, training.seconds = state.examples, state.seconds
        self.done, self.metrics = state.step, state.metrics
        self._saving.has(self._position)
        if self.done:
            self._reporter.report(self._candidate, self.done, **self.metrics)

    def train(
        self,
        seed: int,
        measured: Callable[[], dict[str, float]],
        should_stop: Callable[[Candidate], bool] = lambda _: False,
    ) -> None:
        """Train those that are left; on SystemExit, as by SIGTERM, a checkpoint of the last step is written.

        Args:
            seed: of the trial.
            measured: the metrics after an epoch.
            should_stop: whether the training ends with the step that it is in; not before it has reported anything. Of
                several processes any may say so.

        Raises:
            StorageError: the last checkpoint could not be written.
        """
        training = self._training
        training.should_stop = lambda: self.done > 0 and should_stop(self._candidate)
        try:
            for epoch in range(self.done + 1, self._candidate.epochs + 1):
                generator = seed_epoch(seed, self._candidate.id, epoch)
                training.train_epoch(epoch, generator, lambda: self._saving.within(self._position))
                if training.stopped:
                    # A later trial may go on from here.
                    self._saving.now(self._position, last=True)
                    return
                values = measured()
                with self._reporter.uninterrupted():
                    self._reporter.report(self._candidate, epoch, **values)
                    self.done, training.examples, self.metrics = epoch, 0, values
                self._saving.now(self._position, last=epoch == self._candidate.epochs)
        except SystemExit:
            self._saving.now(self._position)
            raise

    @property
    def _position(self) -> tuple[int, int]:
        return self.done, self._training.examples

    def _write(self, path: Path) -> None:
        training = self._training
        assert self._blueprint is not None  # noqa: S101 - else nothing is written
        state = Checkpoint(
            blueprint=self._blueprint,
            step=self.done,
            examples=training.examples,
            seconds=training.seconds,
            metrics=self.metrics,
            model=training.network.state_dict(),
            optimizer=training.optimizer.state_dict(),
            scaler=training.scaler.state_dict(),
        )
        checkpoint.save(path, state)


def seed_epoch(seed: int, candidate: str, epoch: int) -> torch.Generator:
    """Seed every random draw of one epoch.

    Draws do not depend on earlier epochs, so that a resumed training draws the same as an uninterrupted one.
    """
    digest = hashlib.sha256(f"{seed}/{candidate}/{epoch}".encode()).digest()
    return torch.manual_seed(int.from_bytes(digest[:8], "big"))
