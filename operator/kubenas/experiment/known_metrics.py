"""The metrics of KubeNAS' own trainer, so that an objective that it has not is told before anything is trained."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from random import Random

from kubenas.api.errors import SpecError
from kubenas.api.experiment import ExperimentSpec
from kubenas.api.metric_names import TASKS, of_measure
from kubenas.experiment.measured import measured_metrics, measures_of, own_program
from kubenas.experiment.resolution import resolve
from kubenas.space.base import Space


def metric_problems(spec: ExperimentSpec, space: Space) -> Iterator[SpecError]:
    """The objectives that no trial of the last stage would report, by which the best is chosen.

    None where the trainer is the user's own, or the task.
    """
    task = spec.task.name
    if task not in TASKS or own_program(spec.trial_template):
        return
    evaluation = resolve(spec)[-1].evaluation
    costs = space.costs(space.complete({}, Random(0)))
    reported = measured_metrics(spec, evaluation, costs) or set()
    measures = measures_of(evaluation.method)
    further = {metric: name for name in measures for metric in of_measure(name, task)}
    by = "" if evaluation.method == "train" else f" in the last stage, by evaluation.method {evaluation.method}"
    more = f", and by task.settings.measure {', '.join(measures)}" if measures else ""
    for index, objective in enumerate(spec.objectives):
        metric = objective.metric
        if metric in reported or objective.measured_on is not None:
            continue
        if metric in further:
            message = f"{metric} is measured only where task.settings.measure lists {further[metric]}: add it there"
        else:
            close = get_close_matches(metric, sorted(reported), n=3)
            meant = f"did you mean {' or '.join(close)}? " if close else ""
            message = (
                f"{metric} is no metric that trials of {task} report{by}: {meant}There are "
                f"{', '.join(sorted(reported))}{more}"
            )
        yield SpecError(f"objectives[{index}].metric", message)
