"""Which architecture is tried next."""

from __future__ import annotations

from typing import Annotated, Literal, TypeAlias

from pydantic import Field

from kubenas.api.base import FreeObject, Model
from kubenas.api.rule import Transition

Algorithm: TypeAlias = Literal[
    "random",
    "grid",
    "sobol",
    "regularized-evolution",
    "local-search",
    "reinforce",
    "predictor",
    "bayesian",
    "tpe",
    "cma-es",
    "nsga2",
    "llm",
    "external",
]


class Search(Model):
    """Which architecture is tried next."""

    algorithm: Algorithm = Field(default="predictor", description="The search strategy.")
    seed: Annotated[
        int, Transition(cel="self == oldSelf", message="seed is immutable: past trials were drawn with it")
    ] = Field(
        default=0,
        ge=0,
        le=2**53 - 1,
        description="Seed of every random draw; the same seed and the same results give the same proposals.",
    )
    settings: FreeObject = Field(default_factory=dict, description="Settings of the algorithm.")
