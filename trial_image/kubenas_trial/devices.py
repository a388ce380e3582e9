"""Which device a network is trained on."""

from __future__ import annotations

import torch

from kubenas_trial.errors import InvalidTrialError


def find_device(name: str = "auto") -> torch.device:
    """The device called `name`; auto is a GPU where there is one, else the CPU.

    Raises:
        InvalidTrialError: there is no such device here.
    """
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError:
        raise InvalidTrialError(f"device: {name!r} is unknown: use auto, cpu, cuda or cuda:NUMBER") from None
    if device.type not in {"cpu", "cuda"}:
        raise InvalidTrialError(f"device: {name!r} is not supported: use auto, cpu, cuda or cuda:NUMBER")
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise InvalidTrialError(f"device: there is no {name}, {torch.cuda.device_count()} GPUs are visible: use cpu")
    return device
