"""What running trials have shown at rungs: worked out anew where something new was read or written of one."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from kubenas.experiment.curves import joined
from kubenas.experiment.rungs import rung_curves, trained

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from kubenas.experiment.stages import ResolvedStage
    from kubenas.experiment.state import Curves, Readings, Trial
    from kubenas.fidelity.base import RungCurve, Training


@dataclass(frozen=True, slots=True)
class Shown:
    """What one trial has shown.

    Attributes:
        trial: as it was then.
        read: of its attempt, by then.
        curves: its candidates' at rungs.
        trained: its candidates that have shown their last epoch.
    """

    trial: Trial
    read: Curves | None
    curves: Mapping[Training, RungCurve]
    trained: frozenset[str]


class ShownCurves:
    """Those of a stage's unfinished trials, by number."""

    def __init__(self) -> None:
        self._known: dict[int, Shown] = {}

    def of(self, stage: ResolvedStage, trials: Iterable[Trial], readings: Readings) -> list[Shown]:
        """What trials have shown; of others, everything is forgotten."""
        before, self._known = self._known, {}
        for trial in trials:
            known, read = before.get(trial.number), readings.curves.get(trial.attempt_name)
            if known is None or known.trial is not trial or known.read is not read:
                curves = joined(trial.status.curve, read)
                of_rungs = rung_curves(stage, trial.number, curves)
                known = Shown(trial, read, of_rungs, frozenset(trained(trial.candidates, curves)))
            self._known[trial.number] = known
        return list(self._known.values())
