"""What keeps an experiment from being accepted, beyond what its schema and CEL rules see."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubenas.api.errors import SpecError
from kubenas.experiment.template import template_problems
from kubenas.search.load import build_strategy
from kubenas.space.load import check_space_spec

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubenas.api.experiment import ExperimentSpec, NASExperiment


def problems(experiment: NASExperiment) -> list[SpecError]:
    """Every problem of an experiment that its models have read; none means that it can be accepted."""
    return [problem.within("spec") for problem in _problems(experiment.spec)]


def _problems(spec: ExperimentSpec) -> Iterator[SpecError]:
    yield from _stage_problems(spec)
    try:
        space = check_space_spec(spec.search_space)
    except SpecError as error:
        yield error.within("searchSpace")
        return
    try:
        build_strategy(spec.search, space)
    except SpecError as error:
        yield error
    for problem in template_problems(spec.trial_template, space.decisions, spec.trials.candidates_per_trial):
        yield problem.within("trialTemplate")


def _stage_problems(spec: ExperimentSpec) -> Iterator[SpecError]:
    """Each stage can keep only what it was given."""
    given = spec.trials.max * spec.trials.candidates_per_trial
    for index, stage in enumerate(spec.stages):
        if stage.keep is not None and stage.keep > given:
            yield SpecError(
                f"stages[{index}].keep", f"{stage.keep} is more than the {given} candidates of stage {stage.name}"
            )
        given = min(given, stage.keep or given)
