"""Which architecture is tried next."""

from __future__ import annotations

from typing import Literal, TypeAlias

from pydantic import Field

from kubenas.api.base import FreeObject, Model, rule, rules

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
    seed: int = Field(
        default=0,
        ge=0,
        le=2**53 - 1,
        description="Seed of every random draw; the same seed and the same results give the same proposals.",
        json_schema_extra=rules(rule("self == oldSelf", "seed is immutable: past trials were drawn with it")),
    )
    settings: FreeObject = Field(default_factory=dict, description="Settings of the algorithm.")
