"""What an experiment demands of its trials."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Rules:
    """What an experiment demands of the trials of a stage."""

    retries: int
    timeout: float | None
    required: tuple[str, ...]
    # Epochs at which curves are kept.
    rungs: tuple[int, ...] = ()
    # Whether candidates without an architecture must bring one.
    finds: bool = True
    # Whether the last values of what is stopped early are its result.
    stop_completes: bool = False
    # GPUs that a device of a resource counts for, where it is not one.
    shares: Mapping[str, float] = field(default_factory=dict)
