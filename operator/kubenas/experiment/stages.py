"""The stages of a search, resolved: each with all that it needs, whatever the specification leaves to defaults."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from kubenas.api.errors import SpecError

if TYPE_CHECKING:
    from kubenas.api.evaluation import Evaluation
    from kubenas.api.experiment import ExperimentSpec
    from kubenas.api.search import Search
    from kubenas.api.stage import Keep, Stage
    from kubenas.experiment.state import Trial
    from kubenas.search.base import Strategy
    from kubenas.space.base import Space

# Between the seeds of two stages, so that a later one does not draw what an earlier one has drawn.
_SEEDS_APART: Final = 7_368_787


@dataclass(frozen=True, slots=True)
class ResolvedStage:
    """One stage; an experiment without stages is one without a name.

    Attributes:
        index: from 0.
        name: None where the experiment has no stages.
        search: what proposes its candidates; None where they are those that the stage before has kept.
        search_field: where the specification says so.
        strategy: what `search` describes; None also as long as it, or the space, is wrong.
        evaluation: how its candidates are judged, with all fields of its method.
        horizon: epochs that the schedule of a training is laid out for.
        candidates_per_trial: how many candidates a trial evaluates.
        most_trials: how many trials it has at most.
        keep: what goes on to the next stage; None where everything does, or there is none.
    """

    index: int
    name: str | None
    search: Search | None
    search_field: str
    strategy: Strategy | None
    evaluation: Evaluation
    horizon: int
    candidates_per_trial: int
    most_trials: int
    keep: Keep | None

    @property
    def seeds(self) -> int:
        """How many trials evaluate the same candidates."""
        return self.evaluation.seeds


def resolve(spec: ExperimentSpec) -> tuple[ResolvedStage, ...]:
    """The stages of a specification, in order, without their strategies."""
    stages: list[ResolvedStage] = []
    for index, stage in enumerate(spec.stages or (None,)):
        evaluation = ((stage.evaluation if stage else None) or spec.evaluation).resolved()
        asked = (stage.trials.candidates_per_trial if stage else None) or spec.trials.candidates_per_trial
        each = asked or evaluation.candidates_per_trial
        search = _search(spec, index, stage)
        if search is None:
            most = -(-_kept(stages[-1]) // each) * evaluation.seeds
        else:
            wanted = (stage.trials.max if stage else None) or spec.trials.max
            most = max(1, wanted // evaluation.seeds) * evaluation.seeds
        stages.append(
            ResolvedStage(
                index=index,
                name=stage.name if stage else None,
                search=search,
                search_field=f"stages[{index}].search" if stage and stage.search else "search",
                strategy=None,
                evaluation=evaluation,
                horizon=_horizon(spec, evaluation),
                candidates_per_trial=each,
                most_trials=most,
                keep=stage.keep if stage else None,
            )
        )
    return tuple(stages)


def with_strategies(
    stages: Sequence[ResolvedStage], space: Space, *, guarded: bool
) -> tuple[tuple[ResolvedStage, ...], list[SpecError]]:
    """The stages with their strategies, and what is wrong with the settings of those that have none.

    Args:
        stages: resolved ones.
        space: what all of them search.
        guarded: whether services on this machine are not asked, as the experiment's author has no part in it.
    """
    # Strategies bring NumPy and more.
    from kubenas.search.load import build_strategy  # noqa: PLC0415

    built: list[ResolvedStage] = []
    problems: list[SpecError] = []
    for stage in stages:
        strategy = None
        if stage.search is not None:
            try:
                strategy = build_strategy(stage.search, space, guarded=guarded)
            except SpecError as error:
                below = [(problem.field.removeprefix("search"), problem.message) for problem in error.problems]
                problems += [SpecError(f"{stage.search_field}{path}", message) for path, message in below]
        built.append(replace(stage, strategy=strategy))
    return tuple(built), problems


def stage_named(stages: Sequence[ResolvedStage], name: str | None) -> ResolvedStage | None:
    """The stage of that name."""
    return next((stage for stage in stages if stage.name == name), None)


def stage_of(stages: Sequence[ResolvedStage], trial: Trial) -> ResolvedStage:
    """A trial's stage.

    Raises:
        ValueError: it names none of them.
    """
    stage = stage_named(stages, trial.stage)
    if stage is None:
        raise ValueError(f"trial {trial.name} is of stage {trial.stage}, which the experiment does not have")
    return stage


def size_problems(spec: ExperimentSpec) -> Iterator[SpecError]:
    """Stages that ask for more than there is: to keep more than they have, or more seeds than trials."""
    stages = resolve(spec)
    yield from _too_many_candidates(spec, stages)
    for stage, asked in zip(stages, spec.stages or (None,), strict=True):
        path = f"stages[{stage.index}]" if asked else ""
        if stage.search is not None:
            wanted = (asked.trials.max if asked else None) or spec.trials.max
            if wanted < stage.seeds:
                own = f"{path}.trials.max" if asked and asked.trials.max else "trials.max"
                yield SpecError(
                    own, f"{wanted} is fewer than evaluation.seeds, {stage.seeds}: each seed of a candidate is a trial"
                )
        there = stage.most_trials // stage.seeds * stage.candidates_per_trial
        if stage.search is None:
            there = min(there, _kept(stages[stage.index - 1]))
        if stage.keep is not None and stage.keep.top is not None and stage.keep.top > there:
            yield SpecError(
                f"{path}.keep.top", f"{stage.keep.top} is more than the {there} candidates of stage {stage.name}"
            )


def _too_many_candidates(spec: ExperimentSpec, stages: Sequence[ResolvedStage]) -> Iterator[SpecError]:
    """More candidates a trial than its method judges in a pod, once for each field that asks for them."""
    told = set[str]()
    for stage, asked in zip(stages, spec.stages or (None,), strict=True):
        own = asked is not None and asked.trials.candidates_per_trial is not None
        field = f"{f'stages[{stage.index}].' if own else ''}trials.candidatesPerTrial"
        count, most = stage.candidates_per_trial, stage.evaluation.most_candidates_per_trial
        if count > most and field not in told:
            told.add(field)
            of = f" of stage {stage.name}" if asked else ""
            yield SpecError(
                field,
                f"{count} is more than the {most} of a trial{of} with evaluation.method {stage.evaluation.method}: "
                "lower it",
            )


def _search(spec: ExperimentSpec, index: int, stage: Stage | None) -> Search | None:
    if index == 0:
        return (stage.search if stage else None) or spec.search
    if stage is None or stage.search is None:
        return None
    return stage.search.model_copy(update={"seed": stage.search.seed + index * _SEEDS_APART})


def _kept(stage: ResolvedStage) -> int:
    return stage.keep.most if stage.keep else stage.most_trials // stage.seeds * stage.candidates_per_trial


def _horizon(spec: ExperimentSpec, evaluation: Evaluation) -> int:
    """Epochs that the schedule of a training is laid out for.

    Where stages go on from checkpoints, the longest one's: a candidate that is taken over then ends as one trained in
    one go. Where each stage begins anew, its own, as a schedule that has ended tells more of the outcome.
    """
    if evaluation.method != "train" or spec.storage is None:
        return evaluation.epochs or 0
    evaluations = [(stage.evaluation or spec.evaluation).resolved() for stage in spec.stages] or [evaluation]
    return max(one.epochs or 0 for one in evaluations if one.method == "train")
