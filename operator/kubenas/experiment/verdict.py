"""Whether an experiment is over, and why."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from kubenas.api.base import duration_seconds
from kubenas.api.experiment import NASExperiment
from kubenas.experiment.front import Front
from kubenas.experiment.judged import Judged
from kubenas.experiment.ledger import Ledger
from kubenas.experiment.objectives import reached
from kubenas.experiment.proposals import current_stage, open_trials
from kubenas.experiment.spending import Spending, Spent, budget_spent, exhausted_at
from kubenas.experiment.stages import ResolvedStage

# Failures that lie in the experiment, its data or its trainer, and so many alike that end it.
_MISTAKES = frozenset({"InvalidDataset", "InvalidTrial", "MetricMissing", "ResultsTooLarge"})
MOST_ALIKE = 3
# Of the experiment's end, and of the trials and measurements that it has cut short.
BUDGET_EXHAUSTED = "BudgetExhausted"
# Why a measurement was given up that has not failed.
_GIVEN_UP = frozenset({"DeviceUnavailable", BUDGET_EXHAUSTED})
_DIGITS = re.compile(r"\d+")


@dataclass(frozen=True, slots=True)
class Verdict:
    """The end of an experiment.

    Attributes:
        measures: whether devices still measure what has been trained by then.
    """

    succeeded: bool
    reason: str
    message: str
    measures: bool = False


def best_candidate(stages: Sequence[ResolvedStage], ledger: Ledger) -> Judged | None:
    """The best candidate of the last stage that has one and measures all objectives."""
    return next((best for stage in _deciding(stages) if (best := ledger.stage(stage.name).best)), None)


def best_at_end(stages: Sequence[ResolvedStage], ledger: Ledger) -> Judged | None:
    """As `best_candidate`, once nothing runs: with those that have not been trained with all seeds."""
    for stage in _deciding(stages):
        found = next((one for one in ledger.stage(stage.name).ranked_at_end() if one.feasible), None)
        if found is not None:
            return found
    return None


def front(stages: Sequence[ResolvedStage], ledger: Ledger) -> Front:
    """The Pareto front of the last stage that has one and measures all objectives."""
    fronts = [ledger.stage(stage.name).front for stage in _deciding(stages)]
    return next((front for front in fronts if front.members), fronts[0])


def _deciding(stages: Sequence[ResolvedStage]) -> list[ResolvedStage]:
    """The stages whose candidates can be the best, the last one first."""
    return [stage for stage in reversed(stages) if stage.decides]


def verdict(
    experiment: NASExperiment,
    stages: Sequence[ResolvedStage],
    ledger: Ledger,
    spent: Spent,
    exhausted: ResolvedStage | None,
    now: float,
) -> Verdict | None:
    """The end that has come, or None while there is more to do.

    It follows from what is written down alone, so that it can be lifted: by a larger budget, more trials
    or more failures allowed.

    Args:
        spent: by ended and running attempts.
        exhausted: the stage whose strategy has nothing more to propose.
    """
    spec = experiment.spec
    best = best_candidate(stages, ledger)
    if best and reached(spec.objectives, best.metrics):
        return Verdict(True, "GoalReached", f"{best.metrics[spec.objectives[0].metric]:g} reaches the target.")
    if ledger.count("Failed") > spec.trials.max_failures:
        fault = ledger.last_fault()
        last = f" The last one: {fault.reason}: {fault.message}" if fault else ""
        failed = ledger.count("Failed")
        return Verdict(
            False,
            "MaxFailuresExceeded",
            f"{failed} trials have failed, more than trials.maxFailures ({spec.trials.max_failures}).{last}",
        )
    if mistake := _mistake(ledger) or _no_supernet(stages, ledger) or _no_measurement(ledger):
        return mistake
    stage = current_stage(stages, ledger, exhausted)
    over = _spent_budget(experiment, spent, now)
    completed = not ledger.unfinished and open_trials(stages, stage, ledger, exhausted) == 0
    if completed and not (over and _cut_short(ledger)):
        return _completed(ledger, best, exhausted=stage is exhausted)
    if over:
        return Verdict(best is not None, BUDGET_EXHAUSTED, over, measures=True)
    return None


def budget_ends_at(experiment: NASExperiment, spending: Spending, now: float) -> float | None:
    """When the budget is spent if all goes on as it does."""
    budget, start = experiment.spec.budget, experiment.status.start_time
    ends = exhausted_at(budget, spending, now)
    if budget.wall_clock and start:
        ends.append(start.timestamp() + duration_seconds(budget.wall_clock))
    return min(ends, default=None)


def _cut_short(ledger: Ledger) -> bool:
    """Whether a budget has stopped trials, of which none may be left to make, or measurements of their candidates."""
    faults = (fault for one in ledger.ended.values() for fault in (one.fault, *(m.fault for m in one.measurements)))
    return any(fault is not None and fault.reason == BUDGET_EXHAUSTED for fault in faults)


def _mistake(ledger: Ledger) -> Verdict | None:
    """The end by a mistake that every trial repeats, seen before one has succeeded."""
    if ledger.count("Succeeded") or ledger.count("Failed") < MOST_ALIKE:
        return None
    alike: dict[tuple[str, str], int] = {}
    for ended in sorted(ledger.ended.values(), key=lambda one: one.order):
        fault = ended.fault
        if ended.phase != "Failed" or fault is None or fault.reason not in _MISTAKES:
            continue
        # Numbers may be of the trial or its architecture.
        kind = (fault.reason, _DIGITS.sub("0", fault.message))
        alike[kind] = alike.get(kind, 0) + 1
        if alike[kind] == MOST_ALIKE:
            return Verdict(
                False,
                fault.reason,
                f"{MOST_ALIKE} trials have failed alike, and none has succeeded. The last one: {fault.message} "
                "If it can be mended outside of the experiment, delete the failed trials to go on.",
            )
    return None


def _no_supernet(stages: Sequence[ResolvedStage], ledger: Ledger) -> Verdict | None:
    """The end by a supernet that cannot be trained, without which nothing can be judged."""
    for stage in stages:
        record = ledger.stage(stage.name)
        if not stage.trains_supernet or record.succeeded is not None or not record.phases["Failed"]:
            continue
        fault = ledger.last_fault()
        why = f": {fault.reason}: {fault.message.rstrip('.')}" if fault else ""
        return Verdict(
            False,
            "SupernetFailed",
            f"The supernet was not trained{why}. If that can be mended outside of the experiment, delete the failed "
            "trial to go on.",
        )
    return None


def _no_measurement(ledger: Ledger) -> Verdict | None:
    """The end by a mistake that every measurement repeats, as an image that is not there, before one has succeeded."""
    if ledger.unmeasured is None or ledger.unmeasured.metric in ledger.measured_at:
        return None
    alike: dict[tuple[str, str, str], set[int]] = {}
    for ended in sorted(ledger.ended.values(), key=lambda one: one.order):
        for one in ended.measurements:
            if one.fault is None or one.fault.reason in _GIVEN_UP or one.metric in ledger.measured_at:
                continue
            trials = alike.setdefault((one.metric, one.fault.reason, _DIGITS.sub("0", one.fault.message)), set())
            trials.add(ended.number)
            if len(trials) == MOST_ALIKE:
                last = f"{one.fault.reason}: {one.fault.message.rstrip('.')}"
                return Verdict(
                    False,
                    "NothingMeasured",
                    f"Measurements of {one.metric} of {MOST_ALIKE} trials have failed alike, and none has succeeded. "
                    f"The last one: {last}. If it can be mended outside of the experiment, delete them to go on.",
                )
    return None


def _completed(ledger: Ledger, best: Judged | None, *, exhausted: bool) -> Verdict:
    succeeded = ledger.count("Succeeded")
    if succeeded == 0:
        fault = ledger.last_fault()
        last = f" The last one: {fault.reason}: {fault.message}" if fault else ""
        return Verdict(False, "NoTrialSucceeded", f"None of {len(ledger)} trials has a result.{last}")
    if best is None and ledger.unmeasured is not None and not ledger.measured_at:
        last = f"{ledger.unmeasured.fault.reason}: {ledger.unmeasured.fault.message}" if ledger.unmeasured.fault else ""
        message = f"No candidate of {succeeded} trials has a value of {ledger.unmeasured.metric}. The last one: {last}"
        return Verdict(False, "NothingMeasured", message)
    limits = "" if best else " No architecture is within every limit."
    if exhausted:
        return Verdict(True, "SearchSpaceExhausted", f"Every architecture of the space was tried.{limits}")
    return Verdict(True, "TrialsCompleted", f"{succeeded} of {len(ledger)} trials have a result.{limits}")


def _spent_budget(experiment: NASExperiment, spent: Spent, now: float) -> str | None:
    budget, start = experiment.spec.budget, experiment.status.start_time
    if said := budget_spent(budget, spent):
        return said
    if budget.wall_clock and start and now >= start.timestamp() + duration_seconds(budget.wall_clock):
        return f"budget.wallClock ({budget.wall_clock}) has passed."
    return None
