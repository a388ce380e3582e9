"""Limits of objectives that are known without training."""

from __future__ import annotations

from random import Random
from typing import TYPE_CHECKING

from kubenas.space.cost_limit import CostLimit

if TYPE_CHECKING:
    from kubenas.api.experiment import ExperimentSpec
    from kubenas.space.base import Space

# Builds a network of another size than the published one, whose costs are others.
_NETWORK = "network"


def known_limits(spec: ExperimentSpec, space: Space) -> dict[int, CostLimit]:
    """The limits on metrics that follow from the architecture, by their objective's index.

    These are costs of `searchSpace.costs`, and those of the space itself where trials build the published network.
    """
    known = {table.spec.name for table in space.tables}
    if _NETWORK not in spec.task.settings:
        known |= space.costs(space.complete({}, Random(0))).keys()
    return {
        index: CostLimit(space, objective.metric, objective.limit, upper=objective.goal == "minimize")
        for index, objective in enumerate(spec.objectives)
        if objective.limit is not None and objective.metric in known
    }
