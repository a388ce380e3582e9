"""The contract between the control plane and a trial's container."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from kubenas.api.experiment import ExperimentSpec
    from kubenas.experiment.stages import ResolvedStage
    from kubenas.experiment.state import Trial

TRIAL_VARIABLE = "KUBENAS_TRIAL"
CHECKPOINT_VARIABLE = "KUBENAS_CHECKPOINT_DIR"
DATA_VARIABLE = "KUBENAS_DATA_DIR"
METRICS_PORT = 8080
# The container that is the trial's program; users' templates name it to change it.
TRAINER = "trainer"


def trial_document(
    experiment: str, spec: ExperimentSpec, stage: ResolvedStage, trial: Trial, checkpoints: str | None = None
) -> str:
    """The JSON object that a trial reads from its environment.

    Args:
        experiment: its name.
        spec: its specification.
        stage: the trial's.
        trial: what is to be evaluated.
        checkpoints: the folder that holds each trial's folder of checkpoints, as the trial sees it.
    """
    return json.dumps(
        {
            "experiment": experiment,
            "trial": trial.name,
            "attempt": trial.status.attempt,
            "seed": trial_seed(spec.search.seed, trial.number),
            **evaluation_document(spec, stage),
            "searchSpace": spec.search_space.dump(),
            **({"supernet": f"{checkpoints}/{trial.supernet}"} if trial.supernet else {}),
            "candidates": [
                {
                    "id": c.id,
                    "architecture": c.architecture,
                    "epochs": c.epochs,
                    "horizon": max(stage.horizon, c.epochs or 0),
                    "resumeFrom": f"{checkpoints}/{c.resume_from}" if checkpoints and c.resume_from else None,
                }
                for c in trial.candidates
            ],
        },
        separators=(",", ":"),
    )


def evaluation_document(spec: ExperimentSpec, stage: ResolvedStage) -> dict[str, Any]:
    """What all trials of a stage have in common: the part of their documents that says what a trainer imports."""
    return {
        "task": spec.task.dump(),
        # Each seed is a trial of its own.
        "evaluation": {name: value for name, value in stage.evaluation.dump().items() if name != "seeds"},
    }


def trial_seed(seed: int, number: int) -> int:
    """Seed of a trial's own draws (weights, data order): 31 bits that differ between trials."""
    return (seed * 1_000_003 + number * 7_919 + 1) % (2**31 - 1)


def escaped(text: str) -> str:
    """`text` so that what expands `$(NAME)` and `$$` in a container's env and arguments makes `text` of it."""
    return text.replace("$", "$$")
