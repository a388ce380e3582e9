"""Method `differentiable`: find an architecture by gradient, in a network that mixes all operations."""

from __future__ import annotations

import logging
from contextlib import nullcontext
from pathlib import Path
from typing import Any

from kubenas.space.base import Architecture
from kubenas_trial import checkpoint
from kubenas_trial.contract import Candidate, Trial
from kubenas_trial.differentiable.collapse import Signs, last_good
from kubenas_trial.differentiable.search import Search
from kubenas_trial.distributed import world_size
from kubenas_trial.errors import InvalidTrialError
from kubenas_trial.evaluation.epochs import seed_epoch
from kubenas_trial.evaluation.peak import reset_peak
from kubenas_trial.evaluation.reporter import Reporter
from kubenas_trial.evaluation.saving import Saving
from kubenas_trial.measure.cost import count_flops, count_parameters
from kubenas_trial.tasks.base import Task

_LOG = logging.getLogger("kubenas_trial")


def evaluate(task: Task[Any, Any], trial: Trial, reporter: Reporter) -> None:
    """Search an architecture for each candidate of `trial`; one that fails does so alone.

    Raises:
        InvalidTrialError: several processes search together.
    """
    if world_size() > 1:
        raise InvalidTrialError(
            "evaluation.method: differentiable searches in one process: give each trial one device, and run more trials"
        )
    for candidate in trial.candidates:
        try:
            search(task, trial, candidate, reporter)
        except Exception as error:
            trial.fail(candidate, error)


def search(task: Task[Any, Any], trial: Trial, candidate: Candidate, reporter: Reporter) -> Architecture:
    """The architecture that is found for `candidate`, with a report and a checkpoint after each epoch.

    Metrics: those of the task on the validation split, of the derived architecture with the search's weights;
    `params`, `flops` and what the space knows of its costs; `seconds` and `peak_memory_mb` of the search;
    `skip_share` (of its operations in a cell), `alpha_entropy` (mean of the places', 1 where all operations are
    weighed alike), `hessian_eigenvalue` (the largest, of the loss in the alphas), `discretization_gap` (by how much the
    task's first metric is worse than the mixture's) and `restored_epoch`: 0, or where the search has collapsed the
    epoch whose alphas it went back to, by which it ends. The test split is not used. On SystemExit, as by
    SIGTERM, a checkpoint of the last step is written, from which the next attempt goes on.

    Raises:
        InvalidTrialError: the candidate has an architecture, or the space cannot be searched so.
        NonFiniteMetricError: the loss, or a metric, is NaN or infinite.
    """
    if candidate.given is not None:
        raise InvalidTrialError(f"candidate {candidate.id}: differentiable finds an architecture, and this has one")
    document, seed = trial.document, trial.seed
    reset_peak(task.device)
    seed_epoch(seed, candidate.id, epoch=0)
    found = Search(task, document.search_space, document.evaluation, candidate.epochs, seed, reporter.uninterrupted)
    done, metrics = 0, dict[str, float]()
    own = reporter.checkpoints(candidate)
    # Not a network's own checkpoint.
    store = None if own is None else own.beside("search")
    if store is not None and (loaded := store.load(lambda path: _load(path, found))):
        done, metrics = loaded
        if done:
            trial.found(candidate, found.mixture.derive())
            reporter.report(candidate, done, **metrics)
        _LOG.info("candidate %s: goes on from epoch %d, example %d", candidate.id, done, found.examples)
    saving = Saving[tuple[int, int]](store, lambda path: _save(path, found, done, metrics), reporter.uninterrupted)
    saving.has((done, found.examples))

    def save_within() -> None:
        saving.within((done, found.examples))

    try:
        while done < candidate.epochs and not metrics.get("restored_epoch"):
            epoch = done + 1
            generator = seed_epoch(seed, candidate.id, epoch)
            found.train_epoch(epoch, generator, save_within)
            signs, values = _measured(task, trial, found, epoch, candidate.epochs)
            with reporter.uninterrupted():
                found.keep(signs)
                if values["restored_epoch"]:
                    found.restore(int(values["restored_epoch"]))
                trial.found(candidate, found.mixture.derive())
                reporter.report(candidate, epoch, **values)
                done, found.examples, metrics = epoch, 0, values
            saving.now((done, found.examples))
    except SystemExit:
        saving.now((done, found.examples))
        raise
    if restored := int(metrics["restored_epoch"]):
        _LOG.warning(
            "candidate %s: collapsed by epoch %d, went back to the alphas of epoch %d", candidate.id, done, restored
        )
    return found.mixture.derive()


def _measured(
    task: Task[Any, Any], trial: Trial, found: Search, epoch: int, epochs: int
) -> tuple[Signs, dict[str, float]]:
    """What tells of collapse after `epoch`, and all metrics; the search is left as it is."""
    signs = found.signs(epoch)
    restored = last_good([*found.past, signs], epochs, mixed=not found.mixture.sampler.hard) or 0
    with found.restored(restored) if restored else nullcontext():
        architecture = found.mixture.derive()
        own = found.judge(architecture)
        mixed = found.judge(None)
        first = next(iter(own))
        gap = mixed[first] - own[first] if task.goal == "maximize" else own[first] - mixed[first]
        network = task.build(architecture, trial.document.search_space)
        values = {
            **own,
            **trial.space.costs(architecture),
            "params": count_parameters(network),
            "flops": count_flops(network, task.example()),
            "skip_share": signs.skip_share,
            "alpha_entropy": found.entropy(),
            "hessian_eigenvalue": signs.eigenvalue,
            "discretization_gap": gap,
            "restored_epoch": restored,
            "seconds": found.seconds,
            **found.memory,
        }
    return signs, values


def _save(path: Path, found: Search, done: int, metrics: dict[str, float]) -> None:
    header = {"step": done, "metrics": metrics, "examples": found.examples, "seconds": found.seconds}
    checkpoint.write(path, found.state(), header | {"scaler": found.scaler.state_dict()})


def _load(path: Path, found: Search) -> tuple[int, dict[str, float]]:
    """The epochs that are done, and their metrics.

    Raises:
        InvalidTrialError: the checkpoint is damaged, or another search's.
    """
    tensors, header = checkpoint.read(path)
    try:
        found.load_state(tensors)
        found.examples, found.seconds = header["examples"], header["seconds"]
        if header["scaler"]:
            found.scaler.load_state_dict(header["scaler"])
        return header["step"], header["metrics"]
    except (KeyError, RuntimeError, TypeError, ValueError) as error:
        raise checkpoint.unreadable(path, error) from error
