"""What is wrong with a specification's stages: with their sizes, and with how one leads to the next."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Final

from kubenas.api.errors import SpecError
from kubenas.api.metric_names import SCORE
from kubenas.api.trial import MAX_RUNGS
from kubenas.experiment.resolution import resolve
from kubenas.experiment.stages import ResolvedStage, kept_at_most
from kubenas.experiment.trainings import promoter_of

if TYPE_CHECKING:
    from kubenas.api.experiment import ExperimentSpec

# Of a stage's name.
_LONGEST: Final = 63
# Values at rungs that one pod shows, as others need room on its /metrics too.
_SHOWN: Final = 512
# Candidates of a stage that are put in order by a vote, which compares each with each, each time that some have ended.
_VOTED: Final = 20_000


def stage_problems(spec: ExperimentSpec) -> Iterator[SpecError]:
    """All that is wrong, by paths that begin below `spec`."""
    stages = resolve(spec)
    yield from _too_many_candidates(spec, stages)
    yield from _sizes(spec, stages)
    yield from _names(spec, stages)
    yield from _methods(spec, stages)
    yield from _schedulers(spec, stages)
    yield from _scores(spec)
    yield from _devices(spec, stages[-1])


def _sizes(spec: ExperimentSpec, stages: Sequence[ResolvedStage]) -> Iterator[SpecError]:
    """Stages that ask for more than there is: to keep more than they have, or more seeds than trials."""
    for stage, asked in zip(_own(stages), spec.stages or (None,), strict=True):
        if stage.source == "strategy":
            wanted = (asked.trials.max if asked else None) or spec.trials.max
            if wanted < stage.seeds:
                own = f"{stage.path}trials.max" if asked and asked.trials.max else "trials.max"
                yield SpecError(
                    own, f"{wanted} is fewer than evaluation.seeds, {stage.seeds}: each seed of a candidate is a trial"
                )
        there = stage.most_trials // stage.seeds * stage.candidates_per_trial
        votes = stage.combination is not None and stage.combination.way == "vote"
        if stage.source == "strategy" and votes and there > _VOTED:
            own = f"{stage.path}trials.max" if asked and asked.trials.max else "trials.max"
            yield SpecError(
                own,
                f"{there:,} candidates in trials of {stage.candidates_per_trial} are more than the {_VOTED:,} that a "
                f"vote puts in order: lower it to {_VOTED // stage.candidates_per_trial}, or combine in another way",
            )
        if stage.source == "kept" and stage.before is not None:
            there = min(there, kept_at_most(stages[stage.before]))
        if stage.keep is not None and stage.keep.top is not None and stage.keep.top > there:
            yield SpecError(
                f"{stage.path}keep.top", f"{stage.keep.top} is more than the {there} candidates of stage {stage.name}"
            )


def _too_many_candidates(spec: ExperimentSpec, stages: Sequence[ResolvedStage]) -> Iterator[SpecError]:
    """More candidates a trial than its method judges in a pod, once for each field that asks for them."""
    told = set[str]()
    for stage, asked in zip(_own(stages), spec.stages or (None,), strict=True):
        own = asked is not None and asked.trials.candidates_per_trial is not None
        field = f"{stage.path if own else ''}trials.candidatesPerTrial"
        count, most = stage.candidates_per_trial, stage.evaluation.most_candidates_per_trial
        if count > most and field not in told:
            told.add(field)
            of = f" of stage {stage.name}" if asked else ""
            yield SpecError(
                field,
                f"{count} is more than the {most} of a trial{of} with evaluation.method {stage.evaluation.method}: "
                "lower it",
            )


def _names(spec: ExperimentSpec, stages: Sequence[ResolvedStage]) -> Iterator[SpecError]:
    """Names of stages that are made for others: too long, or those of other stages."""
    counted = Counter(stage.name for stage in stages)
    for stage in stages:
        if stage.name is None or not stage.made:
            continue
        what = "the supernet" if stage.trains_supernet else "the training-free scores"
        if len(stage.name) > _LONGEST:
            yield SpecError(f"{stage.path}name", f"is too long for stage {stage.name} of {what}: shorten it")
        elif counted[stage.name] > 1:
            position = next(n for n, one in enumerate(spec.stages) if one.name == stage.name)
            yield SpecError(
                f"stages[{position}].name", f"{stage.name} is the name of a stage for {what}: choose another"
            )


def _methods(spec: ExperimentSpec, stages: Sequence[ResolvedStage]) -> Iterator[SpecError]:
    """Methods that are where they can do nothing."""
    told = set[str]()
    for stage in _own(stages):
        method, field = stage.evaluation.method, stage.evaluation_field
        if method == "differentiable" and stage.before is not None:
            yield SpecError(
                f"{field}.method",
                "differentiable finds architectures by itself, and takes none from the stage before: make it the first "
                "stage",
            )
        elif method == "differentiable" and stage.path and spec.stages[0].search is not None:
            yield SpecError(f"{stage.path}search", "has no meaning with evaluation.method differentiable: remove it")
        if not stage.objectives:
            metrics = ", ".join(objective.metric for objective in spec.objectives)
            yield SpecError(f"{field}.method", f"{method} measures none of the objectives ({metrics}): choose another")
        if stage.evaluation.inherit and stage.supernet is None:
            yield SpecError(
                f"{field}.inherit",
                "needs an earlier stage with evaluation.method supernet, and there is none: add one, or remove it",
            )
        if method == "supernet" and spec.storage is None and "storage" not in told:
            told.add("storage")
            yield SpecError(
                "storage",
                f"is required by {field}.method supernet, as all its trials read the supernet from there; kubenas run "
                "keeps it in its own folder whatever volume is named",
            )


def _schedulers(spec: ExperimentSpec, stages: Sequence[ResolvedStage]) -> Iterator[SpecError]:
    """Schedulers that can stop nothing, and rungs that are too many."""
    trains = [stage for stage in _own(stages) if stage.evaluation.method == "train"]
    if spec.fidelity.scheduler != "none" and not trains:
        yield SpecError("fidelity.scheduler", "has nothing to stop, as no evaluation.method is train: set it to none")
    for stage, asked in zip(_own(stages), spec.stages or (None,), strict=True):
        own = asked is not None and asked.fidelity is not None
        field = f"{stage.path if own else ''}fidelity"
        if asked is not None and asked.fidelity and asked.fidelity.scheduler != "none" and stage not in trains:
            yield SpecError(
                f"{field}.scheduler",
                f"has nothing to stop with evaluation.method {stage.evaluation.method}: set it to none",
            )
        if stage.scheduler is None:
            continue
        if promoter_of(stage):
            yield from _promotion(spec, stage, field)
        rungs, epochs = stage.scheduler.rungs, stage.evaluation.epochs
        if not rungs:
            first = "patience" if stage.scheduler.completes else "minEpochs"
            yield SpecError(
                f"{field}.{first}",
                f"leaves no rung below the {epochs} epochs that candidates are trained: lower it, or train for longer "
                f"({stage.evaluation_field}.epochs)",
            )
        elif len(rungs) > MAX_RUNGS:
            yield SpecError(
                field, f"has {len(rungs)} rungs in {epochs} epochs, and may have {MAX_RUNGS}: set them further apart"
            )
        shown = len(rungs) * stage.candidates_per_trial * (len(stage.required) + 1)
        if shown > _SHOWN:
            yield SpecError(
                "trials.candidatesPerTrial",
                f"{stage.candidates_per_trial} candidates show {shown} values at {len(rungs)} rungs, and may show "
                f"{_SHOWN}: lower it, or set the rungs of {field} further apart",
            )


def _promotion(spec: ExperimentSpec, stage: ResolvedStage, field: str) -> Iterator[SpecError]:
    """What a training that goes on in another trial lacks."""
    if spec.storage is None:
        yield SpecError(
            "storage",
            f"is required by {field}, which has trainings go on from their checkpoints in other trials; kubenas run "
            "keeps them in its own folder whatever volume is named",
        )
    if stage.seeds > 1:
        yield SpecError(
            f"{stage.evaluation_field}.seeds",
            f"is {stage.seeds}, and trainings that {field} promotes have one: set it to 1, or train with several seeds "
            "in a stage of its own",
        )
    if stage.candidates_per_trial > 1:
        yield SpecError(
            "trials.candidatesPerTrial",
            f"is {stage.candidates_per_trial}, and a trial whose training {field} promotes has one: set it to 1",
        )


def _scores(spec: ExperimentSpec) -> Iterator[SpecError]:
    """Bounds on the score, which no candidate has by itself."""
    for index, objective in enumerate(spec.objectives):
        if objective.metric != SCORE:
            continue
        for field in ("target", "limit", "reference"):
            if getattr(objective, field) is not None:
                yield SpecError(
                    f"objectives[{index}].{field}",
                    f"has no meaning for {SCORE}, which puts candidates in order and changes with each of them: remove "
                    "it, or name one of the proxies",
                )


def _devices(spec: ExperimentSpec, last: ResolvedStage) -> Iterator[SpecError]:
    """Devices that get no network to measure."""
    if last.scheduler is not None and last.scheduler.completes and len(last.reported) < len(last.objectives):
        name = last.path if last.path and spec.stages[-1].fidelity else ""
        yield SpecError(
            f"{name}fidelity.scheduler",
            "ends trainings before their networks are exported for measuredOn: set it to another one, or to none",
        )
    for index, objective in enumerate(spec.objectives):
        if objective.measured_on is not None and last.evaluation.method != "train":
            yield SpecError(
                f"objectives[{index}].measuredOn",
                f"needs trained networks, and {last.evaluation_field}.method of the last stage is "
                f"{last.evaluation.method}: set it to train",
            )


def _own(stages: Sequence[ResolvedStage]) -> Iterator[ResolvedStage]:
    """Those that the specification itself has."""
    return (stage for stage in stages if not stage.made)
