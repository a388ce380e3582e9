"""A stand-alone network of one sub-network."""

from __future__ import annotations

from typing import Any

import torch
from torch import nn

from kubenas.api.space import SearchSpace
from kubenas.space.base import Architecture
from kubenas_trial.blueprint import Blueprint
from kubenas_trial.checkpoint import Checkpoint
from kubenas_trial.errors import InvalidTrialError, NonFiniteMetricError
from kubenas_trial.measure.cost import count_parameters
from kubenas_trial.networks.build import family_of
from kubenas_trial.supernets.calibration import batch_norms, calibrate
from kubenas_trial.supernets.networks import Networks
from kubenas_trial.supernets.stored import of_state
from kubenas_trial.tasks.base import Task


def networks_of(blueprint: Blueprint) -> Networks:
    """The networks of the space that a supernet was trained on.

    Raises:
        InvalidTrialError: this trainer has none.
    """
    kind = blueprint.task_class()
    family = family_of(SearchSpace.model_validate(blueprint.space), kind.families, kind.name)
    return Networks(family, blueprint.settings["network"], blueprint.read_interface())


def extract(
    state: Checkpoint, architecture: Architecture, task: Task[Any, Any] | None = None, seed: int = 0
) -> Checkpoint:
    """The checkpoint of `architecture` with the weights that it has in a supernet.

    It computes the same as the sub-network: its batch normalization is calibrated by the same training examples as
    where a trial of this seed judges it.

    Args:
        state: the checkpoint of the supernet.
        architecture: one of its space.
        task: with the data that it was trained on; not needed where there is no batch normalization.
        seed: which training examples batch normalization is calibrated by.

    Raises:
        InvalidTrialError: there is batch normalization and no task, or the task's data are others.
        NonFiniteMetricError: the supernet's training has diverged.
    """
    supernet = of_state(state, networks_of(state.blueprint), torch.device("cpu") if task is None else task.device)
    network = supernet.subnetwork(architecture)
    _check_finite(network)
    if task is not None:
        theirs, wanted = state.blueprint.interface, Blueprint.interface_of(task)
        if wanted != theirs:
            raise InvalidTrialError(
                f"dataset: the supernet has learned {theirs}, and this is {wanted}: name the data set it has learned"
            )
        calibrate(task, network, seed)
    elif batch_norms(network):
        raise InvalidTrialError(
            "dataset: the network has batch normalization, whose statistics are estimated from training data: name the "
            "data set that the supernet was trained on"
        )
    return Checkpoint(
        blueprint=state.blueprint.model_copy(update={"architecture": architecture.to_json(), "supernet": None}),
        step=state.step,
        examples=0,
        seconds=state.seconds,
        metrics={},
        model={name: tensor.detach().clone() for name, tensor in network.state_dict().items()},
        optimizer={"state": {}, "param_groups": []},
        scaler={},
    )


def _check_finite(network: nn.Module) -> None:
    bad = sum(int((~each.isfinite()).sum()) for each in network.parameters())
    if bad:
        raise NonFiniteMetricError(
            f"supernet: {bad:,} of the {count_parameters(network):,} weights of this architecture are NaN or "
            "infinite, as training has diverged: train one with a lower task.settings.learningRate, or with clipNorm"
        )
