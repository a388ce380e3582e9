"""Costs that are sums over decisions, such as measured latencies, as users write them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Final

from pydantic import Field

from kubenas.api.base import MetricName, Model, Ruled
from kubenas.api.parameter import ValueNumber, ValueText
from kubenas.api.rule import Rule, Unique

MAX_TABLES: Final = 8

Cost = Annotated[float, Field(ge=-1e15, le=1e15)]
DecisionName = Annotated[str, Field(min_length=1, max_length=128, pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]*$")]


class CostValue(Ruled):
    """What one value of a decision costs."""

    rules: ClassVar[Sequence[Rule[CostValue]]] = [
        Rule(
            cel="has(self.value) != has(self.number)",
            message="needs either value or number",
            holds=lambda cost: (cost.value is None) != (cost.number is None),
        )
    ]

    value: ValueText | None = Field(default=None, description="The value, where it is a text.")
    number: ValueNumber | None = Field(default=None, description="The value, where it is a number.")
    add: Cost = Field(description="What it adds to the cost.")


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


class CostTable(Ruled):
    """A cost that is a sum over decisions, as the latency tables of ProxylessNAS and Once-for-All.

    Cai et al., ICLR 2019, arXiv:1812.00332; Cai et al., ICLR 2020, arXiv:1908.09791.
    """

    rules: ClassVar[Sequence[Unique]] = [Unique("terms", "parameter")]

    name: MetricName = Field(description="Name of the cost, for example latency_ms, and of the metric that tells it.")
    base: Cost = Field(default=0.0, description="What every architecture costs.")
    terms: list[CostTerm] = Field(
        min_length=1,
        max_length=128,
        description="What decisions add, where they are switched on.",
    )
