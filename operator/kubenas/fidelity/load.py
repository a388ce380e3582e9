"""The scheduler that a specification names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from kubenas.fidelity.asha import ASHA
from kubenas.fidelity.extrapolation import Extrapolation
from kubenas.fidelity.hyperband import Hyperband
from kubenas.fidelity.median import Median
from kubenas.fidelity.one_epoch import OneEpoch
from kubenas.fidelity.pasha import PASHA
from kubenas.fidelity.patience import Patience
from kubenas.fidelity.promotion import PromotingASHA

if TYPE_CHECKING:
    from collections.abc import Callable

    from kubenas.api.fidelity import Fidelity
    from kubenas.fidelity.base import Promoter, Scheduler

# The settings of each are the fields of its scheduler in `Fidelity`, by name.
SCHEDULERS: Final[dict[str, Callable[..., Scheduler]]] = {
    "asha": ASHA,
    "hyperband": Hyperband,
    "median": Median,
    "patience": Patience,
    "extrapolation": Extrapolation,
    "one-epoch": OneEpoch,
}
# Those that promote, where they always do, or by `mode`.
PROMOTERS: Final[dict[str, Callable[..., Promoter]]] = {"asha": PromotingASHA, "pasha": PASHA}


def build_scheduler(fidelity: Fidelity, epochs: int) -> Scheduler | None:
    """The scheduler of `fidelity` for trainings of so many epochs; None where all are trained to the end."""
    if fidelity.scheduler == "none":
        return None
    fields = ("scheduler", "mode")
    settings = {name: value for name, value in fidelity.resolved() if name not in fields and value is not None}
    if fidelity.resolved().mode == "promotion" or fidelity.scheduler not in SCHEDULERS:
        return PROMOTERS[fidelity.scheduler](epochs, **settings)
    return SCHEDULERS[fidelity.scheduler](epochs, **settings)
