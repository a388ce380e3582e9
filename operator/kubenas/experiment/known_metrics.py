"""The metrics of KubeNAS' own trainer, so that an objective that it has not is told before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from random import Random
from typing import Any

from kubenas.api.errors import SpecError
from kubenas.api.experiment import ExperimentSpec, TrialTemplate
from kubenas.api.metric_names import ALWAYS, MEASURES, TASKS, of_measure
from kubenas.experiment.contract import TRAINER
from kubenas.space.base import Space


def metric_problems(spec: ExperimentSpec, space: Space) -> Iterator[SpecError]:
    """The objectives that no trial would report; none where the trainer is the user's own, or the task."""
    task = spec.task.name
    if task not in TASKS or _own_program(spec.trial_template):
        return
    measured = spec.task.settings.get("measure", ())
    wanted = measured if isinstance(measured, list | tuple) else ()
    reported = {*TASKS[task], *ALWAYS, *space.costs(space.complete({}, Random(0)))}
    further: dict[str, str] = {}
    for name in MEASURES:
        if name in wanted:
            reported |= {*of_measure(name, task)}
        else:
            further |= dict.fromkeys(of_measure(name, task), name)
    for index, objective in enumerate(spec.objectives):
        metric = objective.metric
        if metric in reported:
            continue
        if metric in further:
            yield SpecError(
                f"objectives[{index}].metric",
                f"{metric} is measured only where task.settings.measure lists {further[metric]}: add it there",
            )
        else:
            close = get_close_matches(metric, sorted(reported), n=3)
            meant = f"did you mean {' or '.join(close)}? " if close else ""
            yield SpecError(
                f"objectives[{index}].metric",
                f"{metric} is no metric that trials of {task} report: {meant}There are {', '.join(sorted(reported))}, "
                f"and by task.settings.measure {', '.join(MEASURES)}",
            )


def _own_program(template: TrialTemplate) -> bool:
    containers: Any = template.spec.get("containers")
    return any(
        isinstance(container, Mapping)
        and container.get("name") == TRAINER
        and (container.get("image") or container.get("command"))
        for container in (containers if isinstance(containers, list) else ())
    )
