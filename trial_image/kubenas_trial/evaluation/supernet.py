"""Method `supernet`: one trial trains a network that holds all of a space, others judge candidates by its weights."""

from __future__ import annotations

import logging
import time
from typing import Any, Final

from torch import nn

from kubenas.api.space import SearchSpace
from kubenas.space.base import Architecture, Space
from kubenas.space.load import build_space
from kubenas_trial import checkpoint
from kubenas_trial.blueprint import Blueprint, SupernetKind
from kubenas_trial.contract import Candidate, Trial
from kubenas_trial.distributed import rank
from kubenas_trial.document import Evaluation
from kubenas_trial.errors import InvalidTrialError
from kubenas_trial.evaluation.epochs import Epochs, seed_epoch
from kubenas_trial.evaluation.peak import peak_of_training, reset_peak
from kubenas_trial.evaluation.precision import evaluated
from kubenas_trial.evaluation.reporter import Reporter
from kubenas_trial.evaluation.supernet_training import ComplexityAwareRates, SupernetTraining
from kubenas_trial.measure.cost import count_flops, count_parameters
from kubenas_trial.measure.measures import before_training
from kubenas_trial.storage.checkpoints import CheckpointStore
from kubenas_trial.supernets import stored
from kubenas_trial.supernets.calibration import calibrate
from kubenas_trial.supernets.extremes import extremes
from kubenas_trial.supernets.networks import Networks
from kubenas_trial.supernets.rules.load import rule_class
from kubenas_trial.supernets.supernet import Supernet
from kubenas_trial.tasks.base import Task

_LOG = logging.getLogger("kubenas_trial")
# Of a result that took no epoch.
_STEP: Final = 0


def evaluate(task: Task[Any, Any], trial: Trial, reporter: Reporter) -> None:
    """Train a supernet where the trial names none, else judge each candidate by it; one that fails does so alone.

    Raises:
        InvalidTrialError: the rule makes no sense for the space, or the supernet is of another task.
    """
    document = trial.document
    space = trial.space
    networks = Networks.of(task, document.search_space)
    if document.supernet is None:
        [candidate, *others] = trial.candidates
        if others:
            raise InvalidTrialError("candidates: a trial trains one supernet: give one candidate")
        train_supernet(task, document.search_space, document.evaluation, candidate, trial.seed, reporter)
        return
    if rank() > 0:
        return
    supernet = stored.load_for(task, networks, document.supernet)
    for candidate in trial.candidates:
        try:
            found = judge(task, space, supernet, candidate.architecture, trial.seed)
        except Exception as error:
            trial.fail(candidate, error)
        else:
            reporter.report(candidate, _STEP, **found)


def judge(
    task: Task[Any, Any], space: Space, supernet: Supernet, architecture: Architecture, seed: int
) -> dict[str, float]:
    """The metrics of one sub-network with the weights that it has in `supernet`.

    Metrics: those of the task on the validation split, after its batch normalization was calibrated on training
    examples that `seed` chooses; what the space knows of its costs, `params`, `flops` (multiply-adds of one example),
    `seconds` (all that it took), `peak_memory_mb` (of a step of its training), and what `task.settings.measure` lists.

    Raises:
        InvalidTrialError: the supernet lacks some of its parameters.
    """
    start = time.monotonic()
    network = _calibrated(task, supernet, architecture, seed)
    return {
        **evaluated(task, network, task.data.validation),
        **space.costs(architecture),
        "params": count_parameters(network),
        "flops": count_flops(network, task.example()),
        **before_training(task, network),
        "peak_memory_mb": peak_of_training(task, supernet.networks.build(architecture).to(task.device)),
        "seconds": time.monotonic() - start,
    }


def _calibrated(task: Task[Any, Any], supernet: Supernet, architecture: Architecture, seed: int) -> nn.Module:
    """The sub-network, to be used as it is."""
    network = supernet.subnetwork(architecture)
    calibrate(task, network, seed)
    return network


def train_supernet(
    task: Task[Any, Any],
    spec: SearchSpace,
    evaluation: Evaluation,
    candidate: Candidate,
    seed: int,
    reporter: Reporter,
) -> Supernet:
    """The supernet of a space, trained by the rule of `evaluation`, with a report and a checkpoint after each epoch.

    Metrics: those of the task on the validation split of the largest sub-network, `params` (weights of the supernet),
    `flops` (of the largest), `seconds` (training time), `peak_memory_mb`. Training resumes from the candidate's own
    checkpoint, else from `resume_from` where that was written; on SystemExit, as by SIGTERM, it writes one of the last
    step.

    Raises:
        InvalidTrialError: the rule makes no sense for the space, or the checkpoint is of another supernet.
        NonFiniteMetricError: the loss is NaN or infinite.
    """
    space, networks, leads = build_space(spec), Networks.of(task, spec), rank() == 0
    reset_peak(task.device)
    rule = rule_class(evaluation.rule)(space, networks)
    seed_epoch(seed, candidate.id, epoch=0)
    supernet = Supernet.of(space, networks, task.device, rule.branches)
    rates = ComplexityAwareRates(space, networks) if evaluation.complexity_aware_rate else None
    training = SupernetTraining(task, supernet, rule, candidate.epochs, rates, reporter.uninterrupted)
    kind = SupernetKind(rule=evaluation.rule, branches=rule.branches)
    blueprint = Blueprint.of(task, spec, Architecture({}), kind)
    own = reporter.checkpoints(candidate)
    epochs = Epochs(training, candidate, reporter, own, blueprint if leads else None)
    for source in (own, None if candidate.resume_from is None else CheckpointStore(candidate.resume_from)):
        # A training that was cut short at its beginning has left no checkpoint.
        if source is None or (state := checkpoint.newest(source)) is None:
            continue
        stored.check_kind(state, source.at)
        if state.blueprint.supernet != kind:
            raise InvalidTrialError(f"checkpoint {source.at} is of another supernet: delete it to start over")
        stored.restore(supernet, state)
        epochs.go_on_from(state)
        _LOG.info("the supernet goes on from epoch %d, example %d of %s", state.step, state.examples, source.at)
        break
    _, largest = extremes(space, networks)

    def measured() -> dict[str, float]:
        network = _calibrated(task, supernet, largest, seed)
        return {
            **(evaluated(task, network, task.data.validation) if leads else {}),
            "params": count_parameters(supernet),
            "flops": count_flops(network, task.example()),
            "seconds": training.seconds,
            **training.memory,
        }

    epochs.train(seed, measured)
    return supernet
