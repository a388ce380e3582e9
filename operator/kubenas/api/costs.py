"""Costs that are sums over decisions, such as measured latencies, as users write them."""

from __future__ import annotations

from typing import Annotated, Final

from pydantic import ConfigDict, Field, model_validator

from kubenas.api.base import MetricName, Model, keyed, rule, rules
from kubenas.api.errors import SpecError, refuse, repeats
from kubenas.api.parameter import ValueNumber, ValueText

MAX_TABLES: Final = 8

Cost = Annotated[float, Field(ge=-1e15, le=1e15)]
DecisionName = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]*$")]

_ONE_OF: Final = "needs either value or number"


class CostValue(Model):
    """What one value of a decision costs."""

    model_config = ConfigDict(json_schema_extra=rules(rule("has(self.value) != has(self.number)", _ONE_OF)))

    value: ValueText | None = Field(default=None, description="The value, where it is a text.")
    number: ValueNumber | None = Field(default=None, description="The value, where it is a number.")
    add: Cost = Field(description="What it adds to the cost.")

    @model_validator(mode="after")
    def _check(self) -> CostValue:
        """The CEL rule once more, for files that no apiserver has seen."""
        if (self.value is None) == (self.number is None):
            raise SpecError("", _ONE_OF)
        return self


class CostTerm(Model):
    """What a decision costs, by its value."""

    parameter: DecisionName = Field(
        description="The decision. Of a repeated one, its name without the index stands for each layer that is there."
    )
    values: list[CostValue] = Field(
        min_length=1,
        max_length=256,
        description="What each of its values adds.",
        json_schema_extra={"x-kubernetes-list-type": "atomic"},
    )


class CostTable(Model):
    """A cost that is a sum over decisions, as the latency tables of ProxylessNAS and Once-for-All.

    Cai et al., ICLR 2019, arXiv:1812.00332; Cai et al., ICLR 2020, arXiv:1908.09791.
    """

    name: MetricName = Field(description="Name of the cost, for example latency_ms, and of the metric that tells it.")
    base: Cost = Field(default=0.0, description="What every architecture costs.")
    terms: list[CostTerm] = Field(
        min_length=1,
        max_length=128,
        description="What decisions add, where they are switched on.",
        json_schema_extra=keyed("parameter"),
    )

    @model_validator(mode="after")
    def _check(self) -> CostTable:
        """List keys once more, for files that no apiserver has seen."""
        refuse(repeats("terms", [term.parameter for term in self.terms], "parameter"))
        return self
