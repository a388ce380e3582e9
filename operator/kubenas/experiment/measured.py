"""Which metrics an evaluation method measures, so that stages before the last one know what to judge by."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from kubenas.api.evaluation import SCORING
from kubenas.api.metric_names import ALWAYS, DIFFERENTIABLE, INT8, MEASURES, SCORE, TASKS, of_measure, of_proxies
from kubenas.experiment.contract import TRAINER

if TYPE_CHECKING:
    from collections.abc import Iterable

    from kubenas.api.evaluation import Evaluation
    from kubenas.api.experiment import ExperimentSpec
    from kubenas.api.template import TrialTemplate


def own_program(template: TrialTemplate) -> bool:
    """Whether trials run a program of the user's, which may report what it likes."""
    return any(_replaces_trainer(one.spec.get("containers")) for one in template.all)


def _replaces_trainer(containers: Any) -> bool:
    return any(
        isinstance(container, Mapping)
        and container.get("name") == TRAINER
        and (container.get("image") or container.get("command"))
        for container in (containers if isinstance(containers, list) else ())
    )


def measures_of(method: str) -> tuple[str, ...]:
    """What a method measures where `task.settings.measure` lists it."""
    if method in SCORING:
        return tuple(name for name in MEASURES if name != INT8)
    return tuple(MEASURES) if method == "train" else ()


def measured_metrics(spec: ExperimentSpec, evaluation: Evaluation, costs: Iterable[str] = ()) -> set[str] | None:
    """The metrics that a method measures of a candidate; None where any is possible.

    Args:
        spec: the experiment's.
        evaluation: resolved.
        costs: what the space knows of an architecture, beside `searchSpace.costs`.
    """
    task, method = spec.task.name, evaluation.method
    known = {*costs, *(cost.name for cost in spec.search_space.costs or ())}
    listed = spec.task.settings.get("measure", ())
    wanted = [one for one in measures_of(method) if isinstance(listed, list | tuple) and one in listed]
    if method == "zero-cost":
        measured = (metric for name in wanted for metric in MEASURES[name])
        return {SCORE, *of_proxies(evaluation.proxies or ()), *ALWAYS, *known, *measured}
    if task not in TASKS or own_program(spec.trial_template):
        return None
    own = DIFFERENTIABLE if method == "differentiable" else ()
    return {*TASKS[task], *ALWAYS, *known, *own, *(metric for name in wanted for metric in of_measure(name, task))}
