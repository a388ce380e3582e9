"""Judge each candidate by training it."""

from __future__ import annotations

import hashlib
import logging
import time
from pathlib import Path

import torch

from kubenas_trial import checkpoint
from kubenas_trial.checkpoint import Checkpoint
from kubenas_trial.contract import Candidate, Trial
from kubenas_trial.tasks.image_classification import ImageClassification

_LOG = logging.getLogger("kubenas_trial")


def train(trial: Trial, task: ImageClassification) -> None:
    """Train every candidate of `trial`, with a report and a checkpoint after each epoch.

    Metrics: those of the task, `parameters` (number of weights) and `seconds` (training time, without evaluation).
    A candidate goes on from its own checkpoint, else from the one that it is to resume from.
    """
    for candidate in trial.candidates:
        _train_candidate(trial, task, candidate)


def _train_candidate(trial: Trial, task: ImageClassification, candidate: Candidate) -> None:
    seed = trial.seed
    _seed(seed, candidate.id, epoch=0)
    training = task.start(candidate.architecture, trial.document.search_space, candidate.epochs)
    parameters = sum(parameter.numel() for parameter in training.network.parameters())
    done, seconds, metrics = 0, 0.0, dict[str, float]()
    path = trial.checkpoint_path(candidate)
    if source := _source(path, candidate):
        state = checkpoint.load(source, candidate.architecture.to_json())
        training.network.load_state_dict(state.model)
        training.optimizer.load_state_dict(state.optimizer)
        if state.scaler:
            training.scaler.load_state_dict(state.scaler)
        done, seconds, metrics = state.step, state.seconds, state.metrics
        trial.report(candidate, done, **metrics)
        _LOG.info("candidate %s: goes on from epoch %d of %s", candidate.id, done, source)
    for epoch in range(done + 1, candidate.epochs + 1):
        start = time.monotonic()
        training.train_epoch(epoch, _seed(seed, candidate.id, epoch))
        seconds += time.monotonic() - start
        done, metrics = epoch, {**training.validate(), "parameters": parameters, "seconds": seconds}
        trial.report(candidate, done, **metrics)
        values = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        _LOG.info("candidate %s: epoch %d/%d, %s", candidate.id, epoch, candidate.epochs, values)
        if path is not None:
            checkpoint.save(
                path,
                Checkpoint(
                    architecture=candidate.architecture.to_json(),
                    step=done,
                    seconds=seconds,
                    metrics=metrics,
                    model=training.network.state_dict(),
                    optimizer=training.optimizer.state_dict(),
                    scaler=training.scaler.state_dict(),
                ),
            )
    trial.report(candidate, done, **metrics, **training.test())


def _source(own: Path | None, candidate: Candidate) -> Path | None:
    if own is not None and own.exists():
        return own
    return candidate.resume_from


def _seed(seed: int, candidate: str, epoch: int) -> torch.Generator:
    """Seed every random draw of one epoch.

    An epoch's draws depend on nothing that came before, so training that resumes draws what undisturbed training does.
    """
    digest = hashlib.sha256(f"{seed}/{candidate}/{epoch}".encode()).digest()
    return torch.manual_seed(int.from_bytes(digest[:8], "big"))
