"""Trainings that go on in further trials."""

from __future__ import annotations

from typing import TYPE_CHECKING

from kubenas.api.trial import Candidate, TrialSpec
from kubenas.experiment.state import checkpoint_of
from kubenas.experiment.trainings import ONLY, Promoted, promoter_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubenas.api.experiment import NASExperiment
    from kubenas.experiment.ledger import Ledger
    from kubenas.experiment.stages import ResolvedStage


def promoted(stage: ResolvedStage, ledger: Ledger, new: int, results_seen: int | None = None) -> Sequence[Promoted]:
    """Trainings of a stage that go on in another trial now, the first one first.

    Where nothing else is left to do, the best that wait come to the end until there are enough.

    Args:
        new: trials of new candidates that are still to be made.
        results_seen: decided by so many endings; by all where it is None.
    """
    promoter = promoter_of(stage)
    if promoter is None:
        return ()
    record = ledger.stage(stage.name)
    found = record.trainings.due(promoter, results_seen)
    return found if found or new else record.trainings.finals(promoter)


def promoted_again(stage: ResolvedStage, ledger: Ledger, results_seen: int) -> Sequence[Promoted]:
    """Who is promoted by a trial whose number is missing below others: who was by then, else who is by now.

    The latter only where all new candidates are there, so that no more come than were asked for.
    """
    then = promoted(stage, ledger, 1, results_seen)
    full = stage.source == "strategy" and len(ledger.stage(stage.name).trainings) >= stage.most_trials
    return then or (promoted(stage, ledger, 0) if full else ())


def promotion(
    experiment: NASExperiment,
    stage: ResolvedStage,
    ledger: Ledger,
    promoted: Promoted,
    number: int,
    results_seen: int | None,
) -> TrialSpec:
    """The trial in which a training goes on."""
    (architecture,) = ledger.stage(stage.name).promote(number, promoted.trial)
    return TrialSpec(
        number=number,
        results_seen=ledger.last_order if results_seen is None else results_seen,
        stage=stage.name,
        continues=promoted.training.trial,
        candidates=[
            Candidate(
                id=ONLY,
                name=ledger.space.name(architecture),
                architecture=architecture.to_json(),
                epochs=promoted.epochs,
                resume_from=checkpoint_of(experiment.metadata.name, promoted.trial, ONLY),
            )
        ],
    )
