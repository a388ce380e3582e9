"""How far a candidate is trained: a union by `scheduler`, flat, with rules that keep each field to its schedulers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar, Final, Literal, TypeAlias

from pydantic import Field

from kubenas.api.base import Ruled
from kubenas.api.rule import Rule, only

Scheduler: TypeAlias = Literal["none", "asha", "pasha", "hyperband", "median", "patience", "extrapolation", "one-epoch"]

# What each scheduler has where nothing is said: a default of the schema would be there for all schedulers.
_DEFAULTS: Final[Mapping[str, Mapping[str, Any]]] = {
    "none": {},
    "asha": {"min_epochs": 1, "eta": 3, "mode": "stopping", "top": 1},
    "pasha": {"min_epochs": 1, "eta": 3, "top": 1},
    "hyperband": {"min_epochs": 1, "eta": 3},
    "median": {"min_epochs": 1, "min_results": 5},
    "patience": {"min_epochs": 1, "patience": 10},
    "extrapolation": {"min_epochs": 1, "min_results": 5, "chance": 0.05},
    "one-epoch": {"min_epochs": 1, "top": 5},
}


class Fidelity(Ruled):
    """How far candidates are trained before they are judged or stopped."""

    rules: ClassVar[Sequence[Rule[Fidelity]]] = [
        only("scheduler", [one for one, fields in _DEFAULTS.items() if field in fields], field)
        for field in ("min_epochs", "eta", "mode", "min_results", "patience", "chance", "top")
    ]

    scheduler: Scheduler = Field(
        default="none",
        description="none: all candidates are trained to the end. asha: at each rung the best of 1/eta go on. pasha: "
        "asha by promotion, whose rungs grow only while their order is unstable. hyperband: asha in brackets, each "
        "with another first rung. median: what is worse than the median of running means is stopped. patience: what no "
        "longer improves has its result. extrapolation: what will hardly become the best is stopped. one-epoch: after "
        "one epoch the best go on.",
    )
    min_epochs: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="Epochs that each candidate is trained at least, and after which it is judged first; 1 if absent.",
    )
    eta: int | None = Field(
        default=None,
        ge=2,
        le=64,
        description="asha, pasha, hyperband: of how many candidates at a rung one goes on, and how many times as far; "
        "3 if absent.",
    )
    mode: Literal["stopping", "promotion"] | None = Field(
        default=None,
        description="asha: whether a candidate trains on until it is stopped at a rung, or its trial ends at each rung "
        "and it goes on from its checkpoint in another trial once it is promoted; stopping if absent.",
    )
    min_results: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description="median, extrapolation: other candidates that must have come as far, or to the end, before one is "
        "stopped; 5 if absent.",
    )
    patience: int | None = Field(
        default=None,
        ge=1,
        le=1_000_000,
        description="patience: epochs without an improvement after which a candidate has its result; 10 if absent.",
    )
    chance: float | None = Field(
        default=None,
        gt=0,
        le=0.5,
        description="extrapolation: the chance to become the best below which a candidate is stopped; 0.05 if absent.",
    )
    top: int | None = Field(
        default=None,
        ge=1,
        le=100_000,
        description="one-epoch: how many candidates are trained to the end; 5 if absent. asha, pasha: how many are at "
        "least, by stopping as long as they stay among the best; 1 if absent.",
    )

    def resolved(self) -> Fidelity:
        """The same with all fields of its scheduler."""
        given = {name: value for name, value in self if value is not None}
        return type(self)(**{**_DEFAULTS[self.scheduler], **given})
