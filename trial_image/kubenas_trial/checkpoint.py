"""Checkpoints as safetensors files: tensors as they are, all else as JSON, most of it in the file's own header."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from kubenas_trial.blueprint import Blueprint
from kubenas_trial.errors import InvalidTrialError
from kubenas_trial.storage.checkpoints import CheckpointStore

_HEADER_KEY = "kubenas"
_OS_ERROR = re.compile(r"os error (\d+)")
_PREPROCESSING = "preprocessing"


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """The state of one candidate's training after epoch `step`, or within the next, with all that using it needs.

    Attributes:
        blueprint: what the network is rebuilt from and used with.
        step: epochs done.
        examples: how many of the next epoch's examples are done too.
        seconds: time spent on all of it.
        metrics: what was reported at `step`.
        model: `Module.state_dict()`.
        optimizer: `Optimizer.state_dict()`.
        scaler: `GradScaler.state_dict()`, empty without one.
    """

    blueprint: Blueprint
    step: int
    examples: int
    seconds: float
    metrics: dict[str, float]
    model: dict[str, torch.Tensor]
    optimizer: dict[str, Any]
    scaler: dict[str, Any]


def save(path: Path, checkpoint: Checkpoint) -> None:
    """Write `checkpoint` to `path`, durable once this returns, whole or not at all."""
    tensors = {f"model.{name}": tensor.detach() for name, tensor in checkpoint.model.items()}
    optimizer: dict[str, dict[str, Any]] = {}
    for index, state in checkpoint.optimizer["state"].items():
        scalars = optimizer.setdefault(str(index), {})
        for name, value in state.items():
            if isinstance(value, torch.Tensor):
                tensors[f"optimizer.{index}.{name}"] = value.detach()
            else:
                scalars[name] = value
    blueprint = checkpoint.blueprint.model_dump(mode="json", by_alias=True)
    # Tokenizers may be larger than a header.
    tensors[_PREPROCESSING] = _bytes(blueprint.pop("preprocessing"))
    header = {
        "blueprint": blueprint,
        "step": checkpoint.step,
        "examples": checkpoint.examples,
        "seconds": checkpoint.seconds,
        "metrics": checkpoint.metrics,
        "optimizerState": optimizer,
        "optimizerGroups": checkpoint.optimizer["param_groups"],
        "scaler": checkpoint.scaler,
    }
    write(path, tensors, header)


def load(at: str | Path, architecture: dict[str, Any] | None = None) -> Checkpoint:
    """The newest checkpoint `at` a path or a URL (see `CheckpointStore`), its tensors on the CPU.

    Raises:
        InvalidTrialError: there is none, it cannot be read, or it belongs to another architecture than the one given.
        StorageError: the storage refuses, or cannot be reached.
    """
    found = newest(CheckpointStore(at), architecture)
    if found is None:
        raise InvalidTrialError(f"checkpoint {at} does not exist")
    return found


def newest(store: CheckpointStore, architecture: dict[str, Any] | None = None) -> Checkpoint | None:
    """The newest checkpoint in `store`, as `load` does, or None where there is none."""
    return store.load(lambda path: _load(path, architecture))


def _load(path: Path, architecture: dict[str, Any] | None) -> Checkpoint:
    tensors, header = read(path)
    try:
        found = _checkpoint(tensors, header)
    except (KeyError, TypeError, AttributeError, ValueError, RecursionError) as error:
        raise unreadable(path, error) from error
    if architecture not in (None, found.blueprint.architecture):
        raise InvalidTrialError(f"checkpoint {path} belongs to another architecture: {found.blueprint.architecture}")
    return found


def _checkpoint(tensors: dict[str, torch.Tensor], header: Any) -> Checkpoint:
    preprocessing = json.loads(tensors.pop(_PREPROCESSING).numpy().tobytes())
    state: dict[int, dict[str, Any]] = {int(index): scalars for index, scalars in header["optimizerState"].items()}
    model: dict[str, torch.Tensor] = {}
    for name, tensor in tensors.items():
        part, _, rest = name.partition(".")
        if part == "model":
            model[rest] = tensor
        else:
            index, _, key = rest.partition(".")
            state[int(index)][key] = tensor
    return Checkpoint(
        blueprint=Blueprint.model_validate(header["blueprint"] | {"preprocessing": preprocessing}),
        step=header["step"],
        examples=header.get("examples", 0),
        seconds=header["seconds"],
        metrics=header["metrics"],
        model=model,
        optimizer={"state": state, "param_groups": header["optimizerGroups"]},
        scaler=header["scaler"],
    )


def write(path: Path, tensors: Mapping[str, torch.Tensor], header: Mapping[str, Any]) -> None:
    """Write tensors, and a header as JSON, to `path`, durable once this returns, whole or not at all."""
    partial = path.with_name(f"{path.name}.partial")
    whole = {name: tensor.cpu().contiguous() for name, tensor in tensors.items()}
    try:
        save_file(whole, partial, {_HEADER_KEY: json.dumps(header)})
    except SafetensorError as error:
        # It tells of a full disk in its text only.
        if found := _OS_ERROR.search(str(error)):
            raise OSError(int(found[1]), os.strerror(int(found[1])), str(partial)) from error
        raise
    with partial.open("rb") as file:
        os.fsync(file.fileno())
    partial.replace(path)


def read(path: Path) -> tuple[dict[str, torch.Tensor], Any]:
    """The tensors, on the CPU, and the header in `path`.

    Raises:
        InvalidTrialError: there is no such file, or it cannot be read.
    """
    try:
        with safe_open(path, framework="pt") as file:
            written = (file.metadata() or {}).get(_HEADER_KEY)
            if written is None:
                raise InvalidTrialError(f"{path} is no checkpoint of KubeNAS: name one that a trial has written")
            header = json.loads(written)
            return {name: file.get_tensor(name) for name in file.keys()}, header  # noqa: SIM118 - no mapping
    except FileNotFoundError:
        raise InvalidTrialError(f"checkpoint {path} does not exist") from None
    except (SafetensorError, OSError, RecursionError, ValueError) as error:
        raise unreadable(path, error) from error


def unreadable(path: Path, error: Exception) -> InvalidTrialError:
    """What to say of a damaged or foreign file."""
    return InvalidTrialError(f"checkpoint {path} cannot be read ({error}): delete it to start over")


def _bytes(document: Any) -> torch.Tensor:
    """JSON as a tensor of bytes."""
    return torch.frombuffer(bytearray(json.dumps(document).encode()), dtype=torch.uint8)
