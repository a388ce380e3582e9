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


def current_stage(plans: list[StagePlan], ledger: Ledger) -> int:
    """Index of the stage that runs: the last one that has a trial, or the next one where that is over."""
    index = max((i for i, p in enumerate(plans) if ledger.created(p.name)), default=0)
    whole = ledger.created(plans[index].name) >= _size(plans, index, ledger)
    if whole and not ledger.unfinished and index + 1 < len(plans) and ledger.ranked(plans[index].name):
        return index + 1
    return index


def total_trials(plans: list[StagePlan]) -> int:
    """Trials of all stages together."""
    return sum(plan.trials for plan in plans)


def open_places(plans: list[StagePlan], index: int, ledger: Ledger) -> int:
    """Trials of the stage that are still to be made."""
    return max(0, _size(plans, index, ledger) - ledger.created(plans[index].name))


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
    above = ledger.after(number)
    if above is not None:
        observed, stage = above
        index = next((i for i, p in enumerate(plans) if p.name == stage), index)
        count = 1
    else:
        observed = ledger.last_order
        ledger.history()
    plan, each = plans[index], spec.trials.candidates_per_trial
    # Trials of a stage have the numbers after those of the stages before it.
    first = sum(ledger.created(before.name) for before in plans[:index])
    kept = [] if plan.takes is None else ledger.ranked(plans[index - 1].name)[: plan.takes]
    made: list[tuple[str, TrialSpec]] = []
    for number_now in range(number, number + count):
        if plan.takes is not None:
            position = (number_now - first) * each
            candidates = [
                _candidate(i, judged.architecture, plan, ledger, _checkpoint(spec, experiment, judged))
                for i, judged in enumerate(kept[position : position + each])
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


def _size(plans: list[StagePlan], index: int, ledger: Ledger) -> int:
    plan = plans[index]
    if plan.takes is None:
        return plan.trials
    there = len(ledger.ranked(plans[index - 1].name)[: plan.takes])
    return -(-there * plan.trials // plan.takes)


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
