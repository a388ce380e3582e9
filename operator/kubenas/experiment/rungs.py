"""What trainings have come to at rungs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubenas.experiment.curves import epoch_of, joined, steps_at
from kubenas.experiment.objectives import score, values
from kubenas.fidelity.base import RungCurve, Training, Value

if TYPE_CHECKING:
    from kubenas.experiment.stages import ResolvedStage
    from kubenas.experiment.state import Curves, Trial


def rung_curves(stage: ResolvedStage, trial: Trial, read: Curves | None = None) -> dict[Training, RungCurve]:
    """The values of a trial's candidates at the rungs that they were seen at, with all objectives.

    Args:
        stage: the trial's.
        trial: with what its status has of earlier readings.
        read: of its current attempt.
    """
    if not stage.rungs:
        return {}
    found: dict[Training, RungCurve] = {}
    for candidate, curve in joined(trial.status.curve, read).items():
        seen = {epoch: curve[step] for epoch, step in steps_at(curve, stage.rungs).items()}
        found[Training(trial.number, candidate)] = {
            epoch: Value(score(stage.objectives, metrics), values(stage.objectives, metrics))
            for epoch, metrics in seen.items()
            if all(name in metrics for name in stage.required)
        }
    return {training: curve for training, curve in found.items() if curve}


def trained(trial: Trial, read: Curves | None = None) -> set[str]:
    """The candidates of a trial that have shown their last epoch: there is nothing left to stop.

    Args:
        trial: with what its status has of earlier readings.
        read: of its current attempt.
    """
    curves = joined(trial.status.curve, read)
    found = set[str]()
    for candidate in trial.candidates:
        curve = curves.get(candidate.id)
        if curve and epoch_of(max(curve), curve[max(curve)]) == candidate.epochs:
            found.add(candidate.id)
    return found
