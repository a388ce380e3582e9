"""Trials as the core knows them, and as the resources that are written."""

from __future__ import annotations

from kubenas.api.base import Metadata
from kubenas.api.trial import NASTrial, TrialSpec
from kubenas.experiment.state import Trial


def trial_of(document: NASTrial) -> Trial:
    """What is known of a trial that was written."""
    return Trial.of(document.metadata.name, document.spec, document.status, uid="", resource_version="0")


def document_of(trial: Trial) -> NASTrial:
    """What is written of a trial."""
    return NASTrial(
        metadata=Metadata(name=trial.name),
        spec=TrialSpec(
            number=trial.number,
            results_seen=trial.results_seen,
            stage=trial.stage,
            seed=trial.seed,
            supernet=trial.supernet,
            continues=trial.continues,
            candidates=list(trial.candidates),
        ),
        status=trial.status,
    )
