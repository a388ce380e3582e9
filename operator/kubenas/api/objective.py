"""What a search improves, as users write it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import ClassVar, Final, Literal

from pydantic import Field

from kubenas.api.base import MetricName, Ruled
from kubenas.api.device import Device
from kubenas.api.rule import Rule

MAX_OBJECTIVES: Final = 8


class Objective(Ruled):
    """What the search improves, or what it must respect."""

    rules: ClassVar[Sequence[Rule[Objective]]] = [
        Rule(
            cel="!has(self.target) || !has(self.limit) || "
            "(self.goal == 'maximize' ? self.target >= self.limit : self.target <= self.limit)",
            subject="target",
            message="lies outside limit, so no architecture can reach it: change one of them",
            field="target",
            holds=lambda objective: (
                objective.target is None
                or objective.limit is None
                or (
                    objective.target >= objective.limit
                    if objective.goal == "maximize"
                    else objective.target <= objective.limit
                )
            ),
        ),
        Rule(
            cel="!self.metric.startsWith('test_')",
            subject="metric",
            message="is measured on the test split, which a search must not see: name a validation metric",
            field="metric",
            holds=lambda objective: not objective.metric.startswith("test_"),
        ),
    ]

    metric: MetricName = Field(description="Name of a metric that the trainer, or a device, reports.")
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
    measured_on: Device | None = Field(
        default=None,
        description="Measured not by trials but on these nodes, once a training has ended and the other objectives "
        "leave its candidate a chance. In stages with evaluation.method train, of which the last has this objective.",
    )
