"""Supernets in files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch

from kubenas_trial import checkpoint
from kubenas_trial.blueprint import Blueprint
from kubenas_trial.checkpoint import Checkpoint
from kubenas_trial.errors import InvalidTrialError
from kubenas_trial.supernets.networks import Networks
from kubenas_trial.supernets.supernet import Supernet
from kubenas_trial.tasks.base import Task

_FIRST_TREE = "trees.0."


def load_for(task: Task[Any, Any], networks: Networks, at: str) -> Supernet:
    """The supernet in the newest checkpoint at `at`, to be used for `networks` of `task`.

    Raises:
        InvalidTrialError: it is no supernet's, or one of another task or data with other inputs and outputs.
    """
    state = load(at)
    theirs = state.blueprint
    # Skeletons and spaces may differ, as long as each sub-network's parameters are there.
    wanted = Blueprint.interface_of(task)
    if (theirs.task, theirs.interface) != (task.name, wanted):
        raise InvalidTrialError(
            f"supernet {at} is of {theirs.task} with {theirs.interface}, and the trial's networks are of {task.name} "
            f"with {wanted}: train a supernet on this task and data set"
        )
    return of_state(state, networks, task.device)


def load(at: str | Path) -> Checkpoint:
    """The newest checkpoint of a supernet at `at`.

    Raises:
        InvalidTrialError: there is none.
    """
    state = checkpoint.load(at)
    check_kind(state, at)
    return state


def check_kind(state: Checkpoint, at: str | Path) -> None:
    """Check that a checkpoint is of a supernet.

    Raises:
        InvalidTrialError: it is of one architecture.
    """
    if state.blueprint.supernet is None:
        raise InvalidTrialError(
            f"checkpoint {at} is of one architecture, {state.blueprint.architecture}, and not of a supernet"
        )


def of_state(state: Checkpoint, networks: Networks, device: torch.device) -> Supernet:
    """The supernet that a checkpoint holds.

    Raises:
        InvalidTrialError: its parameters are not those of a supernet.
    """
    kind = state.blueprint.supernet
    shapes = {
        name.removeprefix(_FIRST_TREE): tensor.shape
        for name, tensor in state.model.items()
        if name.startswith(_FIRST_TREE)
    }
    supernet = Supernet(shapes, networks, device, None if kind is None else kind.branches)
    restore(supernet, state)
    return supernet


def restore(supernet: Supernet, state: Checkpoint) -> None:
    """Give `supernet` the weights of a checkpoint.

    Raises:
        InvalidTrialError: these are another one's.
    """
    try:
        supernet.load_state_dict(state.model)
    except RuntimeError as error:
        raise InvalidTrialError(f"the checkpoint's supernet is of another space or other settings: {error}") from error
