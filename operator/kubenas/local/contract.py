"""The trial's contract, as processes on this machine are given it."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from kubenas.api.experiment import NASExperiment
from kubenas.experiment.contract import (
    CHECKPOINT_VARIABLE,
    SCRAPE_LIMIT_VARIABLE,
    STOP_TOKEN_VARIABLE,
    TRIAL_VARIABLE,
    trial_document,
)
from kubenas.experiment.stages import ResolvedStage
from kubenas.experiment.state import Trial

TERMINATION_LOG: Final = "termination"
_PORT: Final = "KUBENAS_METRICS_PORT"
_LOG: Final = "KUBENAS_TERMINATION_LOG"
# Seconds in which results of a batch are read, also on a busy machine.
_BATCH_LIMIT: Final = "300"
# As long as values at rungs may still be unread.
_RUNGS_LIMIT: Final = "10"
# All that `contract` gives.
VARIABLES: Final = (TRIAL_VARIABLE, CHECKPOINT_VARIABLE, _PORT, STOP_TOKEN_VARIABLE, _LOG, SCRAPE_LIMIT_VARIABLE)


def contract(
    experiment: NASExperiment,
    stage: ResolvedStage,
    trial: Trial,
    folder: Path,
    checkpoints: Path,
    port: int,
    token: str,
) -> dict[str, str]:
    """The variables that a trial reads.

    Args:
        experiment: whose trial it is.
        stage: the trial's.
        trial: what is to be evaluated.
        folder: the attempt's.
        checkpoints: the trial's, beside those of all others.
        port: where metrics are to be served.
        token: what whoever stops one of its candidates must know.
    """
    beside = str(checkpoints.parent.resolve())
    return {
        TRIAL_VARIABLE: trial_document(experiment.metadata.name, experiment.spec, stage, trial, beside),
        CHECKPOINT_VARIABLE: str(checkpoints.resolve()),
        _PORT: str(port),
        STOP_TOKEN_VARIABLE: token,
        _LOG: str((folder / TERMINATION_LOG).resolve()),
        # The final values come from the termination message, which is never missed here; but those of a batch, and
        # those that others are compared with, do not.
        SCRAPE_LIMIT_VARIABLE: _BATCH_LIMIT if trial.is_batch else _RUNGS_LIMIT if stage.rungs else "0",
    }
