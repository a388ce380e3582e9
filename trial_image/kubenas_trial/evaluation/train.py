"""Method `train`: judge candidates by training them."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from torch import nn

from kubenas.api.metric_names import metric_names
from kubenas.api.space import SearchSpace
from kubenas.space.load import build_space
from kubenas_trial import checkpoint
from kubenas_trial.blueprint import Blueprint
from kubenas_trial.checkpoint import Checkpoint
from kubenas_trial.contract import Candidate, Trial
from kubenas_trial.distributed import rank, world_size
from kubenas_trial.errors import InvalidTrialError
from kubenas_trial.evaluation.epochs import Epochs, seed_epoch
from kubenas_trial.evaluation.peak import reset_peak
from kubenas_trial.evaluation.reporter import Reporter
from kubenas_trial.evaluation.training import REDUCED_BATCH, Training
from kubenas_trial.measure.cost import count_flops, count_parameters
from kubenas_trial.measure.measures import after_training, before_training
from kubenas_trial.storage.checkpoints import CheckpointStore
from kubenas_trial.tasks.base import Task

if TYPE_CHECKING:
    from kubenas_trial.supernets.supernet import Supernet

_LOG = logging.getLogger("kubenas_trial")


def evaluate(task: Task[Any, Any], trial: Trial, reporter: Reporter) -> None:
    """Train each candidate of `trial`; one that fails does so alone, unless several processes train together.

    Raises:
        TrialError: results might not fit into the termination message.
        TrialError: a candidate has failed, and several processes train together.
    """
    supernet = _inherited(task, trial)
    costs = trial.space.costs(trial.candidates[0].architecture)
    trial.check_room([*metric_names(trial.document.task.name, task.settings.measure, costs), REDUCED_BATCH])
    for candidate in trial.candidates:
        try:
            space = trial.document.search_space
            network = train(task, space, candidate, trial.seed, reporter, supernet, trial.should_stop)
            if trial.document.export and rank() == 0 and not trial.should_stop(candidate):
                trial.export(candidate, lambda path, network=network: _export(task, network, path))  # type: ignore[misc]
        except Exception as error:
            # The others would no longer be at the same step.
            if world_size() > 1:
                raise
            trial.fail(candidate, error)


def train(
    task: Task[Any, Any],
    space: SearchSpace,
    candidate: Candidate,
    seed: int,
    reporter: Reporter,
    supernet: Supernet | None = None,
    should_stop: Callable[[Candidate], bool] = lambda _: False,
) -> nn.Module:
    """The network of `candidate`, trained, with a report and a checkpoint after each epoch.

    Metrics: those of the task on the validation split, `params` (weights), `flops` (multiply-adds of one example),
    `seconds` (training time, without evaluation), `peak_memory_mb`, `reduced_batch_size` where memory ran out, what the
    space knows of its costs, and what `task.settings.measure` lists; at the end also those on the test split, with
    `test_` before their names. Training resumes from the candidate's own checkpoint, else from `resume_from`, else
    begins with the weights that the architecture has in `supernet`, where one is given. On SystemExit, as by SIGTERM,
    it writes a checkpoint of the last step. Of several processes that train together the first evaluates and writes
    checkpoints.

    Raises:
        InvalidTrialError: the architecture makes no network of this task, or the supernet lacks some of its parameters.
        NonFiniteMetricError: the loss, or a metric, is NaN or infinite.
    """
    leads, architecture = rank() == 0, candidate.architecture
    reset_peak(task.device)
    seed_epoch(seed, candidate.id, epoch=0)
    network = task.build(architecture, space)
    costs = {
        **build_space(space).costs(architecture),
        "params": count_parameters(network),
        "flops": count_flops(network, task.example()),
        **(before_training(task, network) if leads else {}),
    }
    training = Training(task, network, max(candidate.epochs, candidate.horizon), reporter.uninterrupted)
    own = reporter.checkpoints(candidate)
    blueprint = None if own is None or not leads else Blueprint.of(task, space, architecture)
    epochs = Epochs(training, candidate, reporter, own, blueprint)
    if state := _earlier(own, candidate):
        network.load_state_dict(state.model)
        epochs.go_on_from(state)
        _LOG.info("candidate %s: goes on from epoch %d, example %d", candidate.id, state.step, state.examples)
    elif supernet is not None:
        # Without batch normalization's statistics.
        network.load_state_dict(supernet.weights(architecture), strict=False)

    def measured() -> dict[str, float]:
        judged = training.evaluate(task.data.validation) if leads else {}
        return {**judged, **costs, "seconds": training.seconds, **training.memory}

    epochs.train(seed, measured, should_stop)
    if not leads or epochs.done < candidate.epochs:
        return network
    test = {f"test_{name}": value for name, value in training.evaluate(task.data.test).items()}
    reporter.report(
        candidate, epochs.done, **(training.memory | epochs.metrics), **test, **after_training(task, network)
    )
    return network


def _export(task: Task[Any, Any], network: nn.Module, path: Path) -> None:
    # The libraries of ONNX take seconds to import.
    from kubenas_trial.measure.export import export_onnx  # noqa: PLC0415

    export_onnx(network, task.example(2), path)


def _inherited(task: Task[Any, Any], trial: Trial) -> Supernet | None:
    """The supernet whose weights the candidates of `trial` begin with."""
    document = trial.document
    if not document.evaluation.inherit:
        return None
    if document.supernet is None:
        raise InvalidTrialError("evaluation.inherit: no supernet is named whose weights the training is to begin with")
    # Only here: other trials need none of it.
    from kubenas_trial.supernets.networks import Networks  # noqa: PLC0415
    from kubenas_trial.supernets.stored import load_for  # noqa: PLC0415

    return load_for(task, Networks.of(task, document.search_space), document.supernet)


def _earlier(own: CheckpointStore | None, candidate: Candidate) -> Checkpoint | None:
    """What is gone on from: the candidate's own checkpoint, else the one that it is given."""
    architecture = candidate.architecture.to_json()
    state = None if own is None else checkpoint.newest(own, architecture)
    if state is None and candidate.resume_from is not None:
        return checkpoint.load(candidate.resume_from, architecture)
    return state
