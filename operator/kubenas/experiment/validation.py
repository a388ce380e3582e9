"""What is wrong with a specification beyond what its schema and CEL rules see, and what it comes to."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import islice
from random import Random
from typing import TYPE_CHECKING, Final

from kubenas.api.errors import SpecError
from kubenas.experiment.bounds import batch_problem, size_problem
from kubenas.experiment.known_metrics import metric_problems
from kubenas.experiment.limits import known_limits
from kubenas.experiment.resolution import resolve, with_strategies
from kubenas.experiment.stage_problems import stage_problems
from kubenas.experiment.stages import ResolvedStage
from kubenas.experiment.template import template_problems
from kubenas.space.load import build_space, validate_space
from kubenas.space.sampler import EmptySpaceError

if TYPE_CHECKING:
    from collections.abc import Callable

    from kubenas.api.experiment import ExperimentSpec
    from kubenas.space.base import Space


# Of a trial template, how many are told.
MAX_PROBLEMS: Final = 100


@dataclass(frozen=True, slots=True)
class ResolvedSpec:
    """What a specification comes to.

    Attributes:
        problems: what is wrong with it, by paths that begin with `spec`; none where it can be acted on.
        space: None where it is what is wrong.
        stages: with their strategies, save where their settings are wrong, or the space.
    """

    problems: tuple[SpecError, ...]
    space: Space | None
    stages: tuple[ResolvedStage, ...]


@dataclass(frozen=True, slots=True)
class Validation:
    """What validation has found.

    Attributes:
        problems: by paths that begin below `spec`.
        usable: whether the space can be built and drawn from.
    """

    problems: tuple[SpecError, ...]
    usable: bool


def resolve_spec(spec: ExperimentSpec, space: Space | None = None, *, guarded: bool = False) -> ResolvedSpec:
    """Check a specification that its models have read, and build what it describes.

    May take long: constraints are tried out. An operator, which others share, has `validate_spec` done where it can be
    killed.

    Args:
        spec: as its models have read it.
        space: what it has come to before, as a search space never changes.
        guarded: whether services on this machine are not asked, as the experiment's author has no part in it.
    """
    return resolved(spec, validate_spec(spec, known=space is not None), space, guarded)


def validate_spec(
    spec: ExperimentSpec, *, known: bool = False, at: Callable[[str], None] = lambda _: None
) -> Validation:
    """Find out what is wrong; this may take long, or much memory.

    Args:
        spec: as its models have read it.
        known: whether the space was checked before.
        at: is told which field is checked next.
    """
    found = list(stage_problems(spec))
    at("searchSpace")
    try:
        space = searched_space(spec) if known else _checked_space(spec, at)
    except SpecError as error:
        return Validation((*found, *error.problems), usable=False)
    at("objectives")
    found += metric_problems(spec, space)
    too_large = size_problem(spec, space) or batch_problem(spec, space)
    found += [too_large] if too_large else []
    at("trialTemplate")
    each = max(stage.candidates_per_trial for stage in resolve(spec))
    template = template_problems(spec.trial_template, space.decisions, each)
    found += [problem.within("trialTemplate") for problem in islice(template, MAX_PROBLEMS)]
    return Validation(tuple(found), usable=True)


def resolved(spec: ExperimentSpec, found: Validation, space: Space | None, guarded: bool) -> ResolvedSpec:
    """What a checked specification comes to.

    Args:
        spec: as its models have read it.
        found: by `validate_spec`.
        space: as for `resolve_spec`.
        guarded: as for `resolve_spec`.
    """
    problems, stages = list(found.problems), resolve(spec)
    if space is None and found.usable:
        space = searched_space(spec)
    if space is not None:
        stages, wrong = with_strategies(stages, space, guarded=guarded)
        problems += wrong
    return ResolvedSpec(tuple(problem.within("spec") for problem in problems), space, stages)


def searched_space(spec: ExperimentSpec) -> Space:
    """The search space of an accepted specification, within the limits that are known without training."""
    space = build_space(spec.search_space)
    return space.with_constraints(list(known_limits(spec, space).values()))


def _checked_space(spec: ExperimentSpec, at: Callable[[str], None]) -> Space:
    try:
        space = validate_space(spec.search_space, lambda field: at(f"searchSpace.{field}"))
    except SpecError as error:
        raise error.within("searchSpace") from None
    # One after the other, so that the message names the one that leaves nothing.
    for index, limit in known_limits(spec, space).items():
        at(f"objectives[{index}].limit")
        space = space.with_constraints([limit])
        try:
            space.sample(Random(0))
        except EmptySpaceError:
            raise SpecError(
                f"objectives[{index}].limit",
                f"leaves no architecture, or too few to find: {limit} is known without training",
            ) from None
    return space
