"""Which stage runs, and which candidates its next trials have."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from kubenas.api.evaluation import MAX_TRAINED
from kubenas.api.experiment import NASExperiment
from kubenas.api.trial import Candidate, TrialSpec
from kubenas.experiment.actions import NewTrial
from kubenas.experiment.judged import Judged
from kubenas.experiment.ledger import Ledger
from kubenas.experiment.promotions import promoted, promoted_again, promotion
from kubenas.experiment.stages import ResolvedStage, stage_named
from kubenas.experiment.state import checkpoint_of, trial_name
from kubenas.experiment.trainings import first_epochs, promoter_of
from kubenas.search.base import History
from kubenas.space.base import Architecture


@dataclass(frozen=True, slots=True)
class _Group:
    """Candidates that one trial for each seed evaluates, from trial `first` on; None for one to be found."""

    first: int
    results_seen: int
    architectures: Sequence[Architecture | None]


def current_stage(
    stages: Sequence[ResolvedStage], ledger: Ledger, exhausted: ResolvedStage | None = None
) -> ResolvedStage:
    """The stage that runs: the last one that has a trial, or the next one where that is over.

    Args:
        exhausted: the stage whose strategy has nothing more to propose.
    """
    begun = [stage for stage in stages if ledger.stage(stage.name).created]
    stage = begun[-1] if begun else stages[0]
    last = stage.index + 1 == len(stages)
    if not (ledger.unfinished or last or _fruitless(stage, ledger)):
        over = open_trials(stages, stage, ledger, exhausted) == 0
        stage = stages[stage.index + 1] if over else stage
    if stage.supernet is None or not _fruitless(stages[stage.supernet], ledger):
        return stage
    # The trial that has trained its supernet was deleted, which matters as long as others need it.
    return stages[stage.supernet] if open_trials(stages, stage, ledger, exhausted) else stage


def _fruitless(stage: ResolvedStage, ledger: Ledger) -> bool:
    """Whether a stage has brought nothing yet that another one could take up."""
    record = ledger.stage(stage.name)
    return record.succeeded is None if stage.trains_supernet else record.unscored


def open_trials(
    stages: Sequence[ResolvedStage],
    stage: ResolvedStage,
    ledger: Ledger,
    exhausted: ResolvedStage | None = None,
) -> int:
    """Trials of a stage that are still to be made.

    Args:
        exhausted: the stage whose strategy has nothing more to propose.
    """
    new = _open_for_new(stages, stage, ledger, exhausted)
    return new + len(promoted(stage, ledger, new))


def _open_for_new(
    stages: Sequence[ResolvedStage], stage: ResolvedStage, ledger: Ledger, exhausted: ResolvedStage | None = None
) -> int:
    """Of `open_trials`, those of candidates that no trial has yet, or not with all seeds."""
    record = ledger.stage(stage.name)
    if stage.source != "kept":
        # A supernet whose training was cut short by a budget goes on once that allows it.
        made = record.created - (record.phases["Pruned"] if stage.trains_supernet else 0)
        made = len(record.trainings) if promoter_of(stage) else made
        return max(record.missing, 0 if stage is exhausted else stage.most_trials - made)
    waiting = len(_waiting(stages, stage, ledger))
    return record.missing + -(-waiting // stage.candidates_per_trial) * stage.seeds


def total_trials(stages: Sequence[ResolvedStage], ledger: Ledger) -> int:
    """Trials of all stages together, as far as it is known how many are kept."""
    current = current_stage(stages, ledger)
    total = 0
    for stage in stages:
        if stage.index < current.index:
            total += ledger.stage(stage.name).created
        elif stage is current and (stage.source == "kept" or promoter_of(stage)):
            total += ledger.stage(stage.name).created + open_trials(stages, stage, ledger)
        else:
            total += stage.most_trials
    return total


def asked(
    stages: Sequence[ResolvedStage],
    stage: ResolvedStage,
    ledger: Ledger,
    trials: int,
    exhausted: ResolvedStage | None = None,
) -> tuple[History, int] | None:
    """What the stage's strategy is asked with for so many trials, and for how many candidates.

    None where it is not asked: no strategy proposes, or the trials complete what was proposed before, or go on with it.
    """
    if stage.source != "strategy":
        return None
    number = ledger.next_number(stage)
    results_seen = ledger.after(number)
    if results_seen is not None:
        # A number is missing below others: it is proposed again with what those above it were proposed with.
        known = ledger.replicates(stage, number) or promoted_again(stage, ledger, results_seen)
        return None if known else (ledger.history_at(stage, number, results_seen), stage.candidates_per_trial)
    going_on = len(promoted(stage, ledger, _open_for_new(stages, stage, ledger, exhausted)))
    groups = -(-(trials - ledger.stage(stage.name).missing - going_on) // stage.seeds)
    return (ledger.history(stage), groups * stage.candidates_per_trial) if groups > 0 else None


def next_trials(
    experiment: NASExperiment,
    stages: Sequence[ResolvedStage],
    stage: ResolvedStage,
    ledger: Ledger,
    count: int,
    exhausted: ResolvedStage | None = None,
) -> list[NewTrial]:
    """Up to `count` further trials of a stage, in order of their numbers; none where the space is used up.

    Trainings that are promoted come before new candidates.

    Trials that are proposed together are written together, so after a crash a number may be missing below others. It
    is then proposed again with what those above it were proposed with, and so comes out the same.
    """
    number = ledger.next_number(stage)
    results_seen = ledger.after(number)
    if results_seen is not None:
        count = 1
    elif stage.source == "strategy":
        ledger.history(stage)
    waiting = _waiting(stages, stage, ledger)
    name = experiment.metadata.name
    known = ledger.replicates(stage, number)
    group = _Group(known.number, known.results_seen, known.architectures) if known else None
    made: list[NewTrial] = []
    if results_seen is None:
        going_on = [*promoted(stage, ledger, _open_for_new(stages, stage, ledger, exhausted))]
    else:
        going_on = [*promoted_again(stage, ledger, results_seen)]
    for now in range(number, number + count):
        if going_on:
            further = promotion(experiment, stage, ledger, going_on.pop(0), now, results_seen)
            made.append(NewTrial(trial_name(name, now), further))
            continue
        if group is None or now - group.first >= stage.seeds:
            if stage.source == "strategy":
                group = _proposed(stage, ledger, now, results_seen)
            elif stage.source == "kept":
                taken, waiting = waiting[: stage.candidates_per_trial], waiting[stage.candidates_per_trial :]
                group = _Group(now, ledger.last_order, [one.architecture for one in taken])
            else:
                group = _Group(now, ledger.last_order, [None])
        if not group.architectures:
            break
        checkpoints = _checkpoints(experiment, stages, stage, ledger) if now == group.first else {}
        trial = _trial(stage, ledger, group, now, checkpoints, _supernet(experiment, stages, stage, ledger))
        made.append(NewTrial(trial_name(name, now), trial))
    return made


def proposed(stages: Sequence[ResolvedStage], create: Sequence[NewTrial]) -> tuple[str, int] | None:
    """Which algorithm has proposed new trials' candidates, and how many; None where none has.

    Further seeds and further trials of candidates that were there before, and candidates that the stage before has
    kept, are not proposed.
    """
    stage = stage_named(stages, create[0].spec.stage) if create else None
    candidates = sum(len(new.spec.candidates) for new in create if new.spec.seed == 0 and new.spec.continues is None)
    return (stage.search.algorithm, candidates) if stage and stage.search and candidates else None


def _checkpoints(
    experiment: NASExperiment, stages: Sequence[ResolvedStage], stage: ResolvedStage, ledger: Ledger
) -> dict[Architecture | None, str]:
    """What the first seed of candidates that were kept goes on from, and a supernet whose training was cut short.

    The other seeds begin anew, or they would differ by less than trainings do.
    """
    name = experiment.metadata.name
    if stage.trains_supernet:
        cut_short = ledger.stage(stage.name).pruned
        return {} if cut_short is None else {None: checkpoint_of(name, cut_short, "0")}
    if experiment.spec.storage is None or stage.before is None or not goes_on_from_checkpoints(stages, stage):
        return {}
    kept = ledger.kept(stages[stage.before])
    return {one.architecture: checkpoint_of(name, one.trial, one.candidate) for one in kept}


def goes_on_from_checkpoints(stages: Sequence[ResolvedStage], stage: ResolvedStage) -> bool:
    """Whether a stage trains on what the one before has kept, where there is storage.

    What was not trained by itself has no checkpoint, and what a supernet is to hand down is not that of the stage
    before.
    """
    if stage.source != "kept" or stage.before is None or stage.evaluation.inherit:
        return False
    return {stage.evaluation.method, stages[stage.before].evaluation.method} == {"train"}


def _supernet(
    experiment: NASExperiment, stages: Sequence[ResolvedStage], stage: ResolvedStage, ledger: Ledger
) -> str | None:
    """Checkpoint of the supernet that a stage's trials need."""
    if stage.supernet is None:
        return None
    number = ledger.stage(stages[stage.supernet].name).succeeded
    assert number is not None  # noqa: S101 - a stage runs only once its supernet is trained
    return checkpoint_of(experiment.metadata.name, number, "0")


def _proposed(stage: ResolvedStage, ledger: Ledger, number: int, results_seen: int | None) -> _Group:
    strategy, each = stage.strategy, stage.candidates_per_trial
    assert strategy is not None  # noqa: S101 - nothing is proposed while a specification is wrong
    if results_seen is None:
        results_seen = ledger.last_order
        proposals = ledger.stage(stage.name).propose(strategy, number, each)
    else:
        proposals = strategy.propose(ledger.history_at(stage, number, results_seen), each)
    return _Group(number, results_seen, proposals)


def _trial(
    stage: ResolvedStage,
    ledger: Ledger,
    group: _Group,
    number: int,
    checkpoints: Mapping[Architecture | None, str],
    supernet: str | None,
) -> TrialSpec:
    # Of thousands the names would take as much room as the architectures.
    named = len(group.architectures) <= MAX_TRAINED
    return TrialSpec(
        number=number,
        results_seen=group.results_seen,
        stage=stage.name,
        seed=number - group.first,
        supernet=supernet,
        candidates=[
            Candidate(
                id=str(index),
                name=ledger.space.name(architecture) if named and architecture is not None else None,
                architecture=None if architecture is None else architecture.to_json(),
                epochs=first_epochs(stage),
                resume_from=checkpoints.get(architecture),
            )
            for index, architecture in enumerate(group.architectures)
        ],
    )


def _waiting(stages: Sequence[ResolvedStage], stage: ResolvedStage, ledger: Ledger) -> list[Judged]:
    """Candidates that the stage before has kept and that no trial of this one has yet."""
    if stage.source != "kept" or stage.before is None:
        return []
    there = ledger.stage(stage.name).architectures()
    return [one for one in ledger.kept(stages[stage.before]) if one.architecture not in there]
