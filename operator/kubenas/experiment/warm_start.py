"""Results of another experiment, which a search begins with as known."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kubenas.api.base import MetricValue
from kubenas.api.errors import SpecError
from kubenas.api.status import Imported, ImportedResult, imported_bytes
from kubenas.experiment.judged import Judged, distinct, judged, spread_evenly
from kubenas.experiment.ledger import Ledger
from kubenas.experiment.resolution import resolve
from kubenas.experiment.stages import ResolvedStage
from kubenas.experiment.state import Trial, trial_name

if TYPE_CHECKING:
    from kubenas.api.experiment import NASExperiment
    from kubenas.api.objective import Objective
    from kubenas.search.base import Observation
    from kubenas.space.base import Space

# Trials of an experiment that are read for it.
MOST_TRIALS: Final = 2_000
# Results that are taken from one experiment, and bytes of JSON that they take in the status.
MOST_RESULTS: Final = 256
_BYTES: Final = 64 * 1024
# Of trials that are left out, how many the status tells what is wrong with, in so many characters each.
MOST_LEFT_OUT: Final = 8
_LEFT_OUT_CHARACTERS: Final = 300


def imported(
    experiment: NASExperiment,
    space: Space,
    name: str,
    source: NASExperiment | None,
    trials: Iterable[Trial],
    unreadable: Sequence[str] = (),
) -> Imported:
    """What another experiment brings to one that begins.

    Of the stage with the most results, each architecture once; of too many, as many as fit, evenly from the best to the
    worst.

    Args:
        experiment: the one that begins.
        space: what it searches.
        name: of the experiment that brings results.
        source: that experiment, if it is there.
        trials: its trials; the first `MOST_TRIALS` are read.
        unreadable: what is wrong with further ones.

    Raises:
        SpecError: it cannot bring any; the path begins at the entry of `warmStart`.
    """
    spec = experiment.spec
    if name == experiment.metadata.name:
        raise SpecError("experiment", f"{name} is this experiment itself: name another one")
    if source is None:
        raise SpecError("experiment", f"there is no experiment {name}: create it first, or remove this entry")
    if source.spec.search_space != spec.search_space:
        raise SpecError("experiment", f"{name} has another searchSpace: its architectures are none of this search")
    goals = {objective.metric: objective.goal for objective in source.spec.objectives}
    for objective in spec.objectives:
        if goals.get(objective.metric, objective.goal) != objective.goal:
            raise SpecError("experiment", f"{name} has another goal for {objective.metric}")
    theirs = [_judged_by(stage, tuple(spec.objectives)) for stage in resolve(source.spec)]
    ledger = Ledger(space, theirs)
    for _, trial in zip(range(MOST_TRIALS), trials, strict=False):
        ledger.put(trial)
    stages = [distinct(ledger.stage(stage.name).ranked()) for stage in theirs]
    results = max(reversed(stages), key=len)
    left_out = [*unreadable, *ledger.unreadable()]
    if not results:
        metrics = ", ".join(objective.metric for objective in spec.objectives)
        why = f"; {len(left_out)} cannot be read: {left_out[0][:_LEFT_OUT_CHARACTERS]}" if left_out else ""
        raise SpecError("experiment", f"{name} has no finished trial with {metrics} yet{why}")
    for most in (MOST_RESULTS >> halved for halved in range(MOST_RESULTS.bit_length())):
        found = [_result(spec.objectives, name, one) for one in spread_evenly(results, most)]
        if imported_bytes(found) <= _BYTES:
            break
    told = [message[:_LEFT_OUT_CHARACTERS] for message in left_out[:MOST_LEFT_OUT]]
    if more := len(left_out) - len(told):
        told.append(f"{more} more")
    return Imported(experiment=name, uid=source.metadata.uid, results=found, left_out=told)


def observations(objectives: Sequence[Objective], space: Space, sources: Sequence[Imported]) -> list[Observation]:
    """What was recorded as known, as a strategy sees it: each architecture once, as its first entry has it."""
    known = (
        judged(
            objectives,
            number,
            "0",
            space.parse(result.architecture),
            {metric.name: metric.value for metric in result.metrics},
            None,
            whole=True,
        )
        for source in sources
        for number, result in enumerate(source.results)
    )
    return [one.observation for one in distinct(one for one in known if one.score is not None)]


def _judged_by(stage: ResolvedStage, objectives: tuple[Objective, ...]) -> ResolvedStage:
    """A stage of another experiment whose candidates are judged by objectives of this one."""
    combination = replace(stage.combination, objectives=objectives) if stage.combination else None
    return replace(stage, objectives=objectives, combination=combination)


def _result(objectives: Sequence[Objective], name: str, one: Judged) -> ImportedResult:
    return ImportedResult(
        trial=trial_name(name, one.trial),
        candidate=one.candidate,
        architecture=one.architecture.to_json(),
        metrics=[MetricValue(name=o.metric, value=one.metrics[o.metric]) for o in objectives],
    )
