"""What keeps an experiment from being accepted, beyond what its schema and CEL rules see."""

from __future__ import annotations

from dataclasses import dataclass
from random import Random
from typing import TYPE_CHECKING

from kubenas.api.errors import SpecError
from kubenas.experiment.limits import known_limits
from kubenas.experiment.template import template_problems
from kubenas.search.load import build_strategy
from kubenas.space.load import build_space, check_space_spec
from kubenas.space.sampler import EmptySpaceError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from kubenas.api.experiment import ExperimentSpec
    from kubenas.search.base import Strategy
    from kubenas.space.decisions import DecisionSpace


@dataclass(frozen=True, slots=True)
class Accepted:
    """What a specification comes to.

    Attributes:
        problems: what is wrong with it, by paths that begin with `spec`; none where it can be acted on.
        space: None where it is what is wrong.
        strategy: None where its settings are wrong, or the space.
    """

    problems: tuple[SpecError, ...]
    space: DecisionSpace | None
    strategy: Strategy | None


def accept(spec: ExperimentSpec, space: DecisionSpace | None = None, *, guarded: bool = False) -> Accepted:
    """Check a specification that its models have read, and build what it describes.

    May take seconds: constraints are tried out.

    Args:
        spec: as its models have read it.
        space: what it has come to before, as a search space never changes.
        guarded: whether services on this machine are not asked, as the experiment's author has no part in it.
    """
    found = list(_stage_problems(spec))
    strategy = None
    try:
        space = space or _checked_space(spec)
    except SpecError as error:
        found.append(error)
    if space is not None:
        try:
            strategy = build_strategy(spec.search, space, guarded=guarded)
        except SpecError as error:
            found.append(error)
        template = template_problems(spec.trial_template, space.decisions, spec.trials.candidates_per_trial)
        found += [problem.within("trialTemplate") for problem in template]
    return Accepted(tuple(problem.within("spec") for problem in found), space, strategy)


def searched_space(spec: ExperimentSpec) -> DecisionSpace:
    """The search space of an accepted specification, within the limits that are known without training."""
    space = build_space(spec.search_space)
    return space.within(list(known_limits(spec, space).values()))


def _checked_space(spec: ExperimentSpec) -> DecisionSpace:
    try:
        space = check_space_spec(spec.search_space)
    except SpecError as error:
        raise error.within("searchSpace") from None
    # One after the other, so that the message names the one that leaves nothing.
    for index, limit in known_limits(spec, space).items():
        space = space.within([limit])
        try:
            space.sample(Random(0))
        except EmptySpaceError:
            raise SpecError(
                f"objectives[{index}].limit",
                f"leaves no architecture, or too few to find: {limit} is known without training",
            ) from None
    return space


def _stage_problems(spec: ExperimentSpec) -> Iterator[SpecError]:
    """Each stage can keep only what it was given."""
    given = spec.trials.max * spec.trials.candidates_per_trial
    for index, stage in enumerate(spec.stages):
        if stage.keep is not None and stage.keep > given:
            yield SpecError(
                f"stages[{index}].keep", f"{stage.keep} is more than the {given} candidates of stage {stage.name}"
            )
        given = min(given, stage.keep or given)
