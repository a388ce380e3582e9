"""What trainings have come to at rungs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubenas.experiment.curves import curves_of, epoch_of, steps_at
from kubenas.experiment.objectives import score, values
from kubenas.experiment.trainings import promoter_of
from kubenas.fidelity.base import RungCurve, Training, Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from kubenas.api.trial import Candidate
    from kubenas.experiment.judged import Judged
    from kubenas.experiment.stages import ResolvedStage
    from kubenas.experiment.state import Curves, Trial


def rung_curves(stage: ResolvedStage, number: int, curves: Curves) -> dict[Training, RungCurve]:
    """The values of a trial's candidates at the rungs that they were seen at, with all objectives that trials report.

    Args:
        stage: the trial's.
        number: the trial's.
        curves: all that is known of its candidates.
    """
    found: dict[Training, RungCurve] = {}
    for candidate, curve in curves.items():
        seen = {epoch: curve[step] for epoch, step in steps_at(curve, stage.rungs).items()}
        found[Training(number, candidate)] = {
            epoch: reported_value(stage, metrics)
            for epoch, metrics in seen.items()
            if all(name in metrics for name in stage.required)
        }
    return {training: curve for training, curve in found.items() if curve}


def reported_value(stage: ResolvedStage, metrics: Mapping[str, float]) -> Value:
    """What a training has come to, by the objectives that trials report: devices measure only what has ended.

    Raises:
        KeyError: one of them is missing.
    """
    return Value(score(stage.reported, metrics), values(stage.reported, metrics))


def ended_curves(stage: ResolvedStage | None, trial: Trial) -> dict[Training, RungCurve]:
    """What an ended trial's candidates have come to at rungs; where trials end at rungs, at that of its end exactly."""
    if stage is None or not stage.rungs:
        return {}
    curves = rung_curves(stage, trial.begun_by, curves_of(trial.status.curve))
    epochs = trial.candidates[0].epochs
    if promoter_of(stage) is None or trial.status.phase != "Succeeded" or epochs is None:
        return curves
    for result in trial.status.results:
        metrics = {one.name: one.value for one in result.metrics}
        if all(name in metrics for name in stage.required):
            training = Training(trial.begun_by, result.candidate)
            end = reported_value(stage, metrics)
            curves[training] = {**curves.get(training, {}), epochs: end}
    return curves


def whole_curves(
    stage: ResolvedStage | None, trial: Trial, candidates: Sequence[Judged], curves: Mapping[Training, RungCurve]
) -> Mapping[Training, RungCurve]:
    """What an ended trial's candidates have come to at rungs, and at the end of a whole training.

    Where trials end at rungs, nothing of one that has not: there may be no checkpoint to go on from.
    """
    if stage is None or stage.scheduler is None or stage.epochs is None:
        return curves
    if promoter_of(stage):
        return curves if trial.status.phase == "Succeeded" else {}
    whole = dict(curves)
    for one in candidates:
        if one.score is not None or one.unmeasured is not None:
            training = Training(trial.number, one.candidate)
            whole[training] = {**curves.get(training, {}), stage.epochs: reported_value(stage, one.metrics)}
    return whole


def trained(candidates: Iterable[Candidate], curves: Curves) -> set[str]:
    """Those candidates that have shown their last epoch, by all that is known: there is nothing left to stop."""
    found = set[str]()
    for candidate in candidates:
        curve = curves.get(candidate.id)
        if curve and epoch_of(max(curve), curve[max(curve)]) == candidate.epochs:
            found.add(candidate.id)
    return found
