"""The funnel: which stage runs, and which candidates its next trial has."""

from __future__ import annotations

from dataclasses import dataclass

from kubenas.api.experiment import ExperimentSpec
from kubenas.api.trial import Candidate, TrialSpec
from kubenas.experiment.front import Judged
from kubenas.experiment.ledger import Ledger
from kubenas.experiment.state import trial_name
from kubenas.search.base import Strategy
from kubenas.space.base import Architecture


@dataclass(frozen=True, slots=True)
class StagePlan:
    """A stage with all that it needs; an experiment without stages is one without a name."""

    name: str | None
    epochs: int
    # Candidates taken over from the stage before; None where the strategy proposes them.
    takes: int | None
    trials: int


def stage_plans(spec: ExperimentSpec) -> list[StagePlan]:
    """The stages in order; the first one searches."""
    if not spec.stages:
        return [StagePlan(None, spec.evaluation.epochs, None, spec.trials.max)]
    plans = [StagePlan(spec.stages[0].name, spec.stages[0].epochs, None, spec.trials.max)]
    for before, stage in zip(spec.stages, spec.stages[1:], strict=False):
        takes = before.keep or 1
        plans.append(StagePlan(stage.name, stage.epochs, takes, -(-takes // spec.trials.candidates_per_trial)))
    return plans


def current_stage(plans: list[StagePlan], ledger: Ledger, *, searched: bool = False) -> int:
    """Index of the stage that runs: the last one that has a trial, or the next one where that is over.

    Args:
        searched: whether the strategy has nothing more to propose.
    """
    index = max((i for i, p in enumerate(plans) if ledger.created(p.name)), default=0)
    if ledger.unfinished or index + 1 == len(plans) or not ledger.ranked(plans[index].name):
        return index
    searching = plans[index].takes is None and not searched and ledger.created(plans[index].name) < plans[index].trials
    return index if searching or _waiting(plans, index, ledger) else index + 1


def total_trials(plans: list[StagePlan]) -> int:
    """Trials of all stages together."""
    return sum(plan.trials for plan in plans)


def open_places(spec: ExperimentSpec, plans: list[StagePlan], index: int, ledger: Ledger) -> int:
    """Trials of the stage that are still to be made."""
    if plans[index].takes is None:
        return max(0, plans[index].trials - ledger.created(plans[index].name))
    return -(-len(_waiting(plans, index, ledger)) // spec.trials.candidates_per_trial)


def next_trials(
    spec: ExperimentSpec,
    experiment: str,
    plans: list[StagePlan],
    index: int,
    ledger: Ledger,
    strategy: Strategy,
    count: int,
) -> list[tuple[str, TrialSpec]]:
    """Name and specification of up to `count` further trials, in order of their numbers.

    None where the space is used up. Trials that are proposed together are written together, so after a crash a
    number may be missing below others. It is then proposed again with what those above it were proposed with, and so
    comes out the same.
    """
    number = ledger.next_number()
    plan, each = plans[index], spec.trials.candidates_per_trial
    above = ledger.after(number)
    observed = ledger.last_order
    if above is not None:
        count = 1
        if plan.takes is None:
            observed = above[0]
    elif plan.takes is None:
        ledger.history()
    waiting = _waiting(plans, index, ledger)
    made: list[tuple[str, TrialSpec]] = []
    for number_now in range(number, number + count):
        if plan.takes is not None:
            taken, waiting = waiting[:each], waiting[each:]
            candidates = [
                _candidate(i, judged.architecture, plan, ledger, _checkpoint(spec, experiment, judged))
                for i, judged in enumerate(taken)
            ]
        else:
            if above is not None:
                proposals = strategy.propose(ledger.history_at(number_now, observed), each)
            else:
                proposals = ledger.propose(strategy, number_now, each)
            candidates = [_candidate(i, a, plan, ledger, None) for i, a in enumerate(proposals)]
        if not candidates:
            break
        trial = TrialSpec(number=number_now, observed=observed, stage=plan.name, candidates=candidates)
        made.append((trial_name(experiment, number_now), trial))
    return made


def _waiting(plans: list[StagePlan], index: int, ledger: Ledger) -> list[Judged]:
    """Candidates that the stage before has kept, each architecture once, and that no trial of this one has yet."""
    takes = plans[index].takes
    if takes is None:
        return []
    kept: dict[Architecture, Judged] = {}
    for judged in ledger.ranked(plans[index - 1].name):
        if len(kept) == takes:
            break
        kept.setdefault(judged.architecture, judged)
    there = ledger.architectures(plans[index].name)
    return [judged for architecture, judged in kept.items() if architecture not in there]


def _checkpoint(spec: ExperimentSpec, experiment: str, judged: Judged) -> str | None:
    if spec.storage is None:
        return None
    return f"{trial_name(experiment, judged.trial)}/{judged.candidate}.safetensors"


def _candidate(
    index: int, architecture: Architecture, plan: StagePlan, ledger: Ledger, resume_from: str | None
) -> Candidate:
    return Candidate(
        id=str(index),
        name=ledger.space.name(architecture),
        architecture=architecture.to_json(),
        epochs=plan.epochs,
        resume_from=resume_from,
    )
