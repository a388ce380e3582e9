"""What trainings have come to at rungs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubenas.experiment.curves import epoch_of, steps_at
from kubenas.experiment.objectives import score, values
from kubenas.fidelity.base import RungCurve, Training, Value

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kubenas.api.trial import Candidate
    from kubenas.experiment.stages import ResolvedStage
    from kubenas.experiment.state import Curves


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


def trained(candidates: Iterable[Candidate], curves: Curves) -> set[str]:
    """Those candidates that have shown their last epoch, by all that is known: there is nothing left to stop."""
    found = set[str]()
    for candidate in candidates:
        curve = curves.get(candidate.id)
        if curve and epoch_of(max(curve), curve[max(curve)]) == candidate.epochs:
            found.add(candidate.id)
    return found
