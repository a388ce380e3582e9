"""A trial's environment variables beside its document, and which of its processes this one is."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from pathlib import Path
from typing import Final

from kubenas_trial.errors import InvalidTrialError

# File for the message of a process above rank 0, for the one that started it.
RANK_LOG: Final = "KUBENAS_RANK_LOG"


def rank(environment: Mapping[str, str]) -> int:
    """Number of this process among those that train together, 0 where it is alone."""
    # Read here, not from torch.distributed: a trainer may have no torch.
    distributed = sys.modules.get("torch.distributed")
    if distributed is not None and distributed.is_available() and distributed.is_initialized():
        return int(distributed.get_rank())
    # torchrun and accelerate set both, Lightning the latter.
    numbers = (environment.get(variable, "") for variable in ("RANK", "LOCAL_RANK"))
    return next((int(number) for number in numbers if number.isdecimal()), 0)


def termination_log(environment: Mapping[str, str]) -> Path:
    """The file of this process' last message."""
    if rank(environment):
        return Path(environment.get(RANK_LOG, os.devnull))
    return Path(environment.get("KUBENAS_TERMINATION_LOG", "/dev/termination-log"))


def directory(environment: Mapping[str, str], variable: str) -> Path | None:
    """The folder that `variable` names, or None."""
    text = environment.get(variable)
    return Path(text) if text else None


def whole_number(environment: Mapping[str, str], variable: str, default: int) -> int:
    """The whole number in `variable`.

    Raises:
        InvalidTrialError: it is none.
    """
    text = environment.get(variable, str(default))
    if not text.isdecimal():
        raise InvalidTrialError(f"{variable} is {text!r}: give a whole number")
    return int(text)
