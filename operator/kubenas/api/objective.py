"""What a search improves, as users write it."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Literal

from pydantic import ConfigDict, Field, model_validator

from kubenas.api.base import MetricName, Model, rule, rules
from kubenas.api.errors import SpecError, refuse

MAX_OBJECTIVES: Final = 8


class Objective(Model):
    """What the search improves, or what it must respect."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule(
                "!has(self.target) || !has(self.limit) || "
                "(self.goal == 'maximize' ? self.target >= self.limit : self.target <= self.limit)",
                "target lies outside limit, so no architecture can reach it: change one of them",
                field=".target",
            ),
            rule(
                "!self.metric.startsWith('test_')",
                "metric is measured on the test split, which a search must not see: name a validation metric",
                field=".metric",
            ),
        )
    )

    metric: MetricName = Field(description="Name of a metric that the trainer reports.")
    goal: Literal["maximize", "minimize"] = Field(default="maximize", description="Which direction is better.")
    target: float | None = Field(
        default=None, description="The experiment has succeeded once one architecture reaches every target."
    )
    limit: float | None = Field(
        default=None,
        description="A constraint: the worst value that an architecture may have and still be the best "
        "(an upper bound where the goal is minimize, a lower bound where it is maximize). An objective after the first "
        "that has a limit need only be kept; those without one are traded off. Where the metric is a name of "
        "searchSpace.costs, or a cost that the preset knows and task.settings has no network, architectures beyond it "
        "are never tried.",
    )
    reference: float | None = Field(
        default=None,
        description="The worst value that still counts in the hypervolume of several objectives.",
    )

    @model_validator(mode="after")
    def _check(self) -> Objective:
        """The CEL rules once more, for files that no apiserver has seen."""
        refuse(self._problems())
        return self

    def _problems(self) -> Iterator[SpecError]:
        if self.metric.startswith("test_"):
            yield SpecError("metric", "is measured on the test split, which a search must not see")
        if self.target is not None and self.limit is not None:
            sign = 1 if self.goal == "maximize" else -1
            if sign * self.target < sign * self.limit:
                yield SpecError("target", "lies outside limit, so no architecture can reach it: change one of them")
