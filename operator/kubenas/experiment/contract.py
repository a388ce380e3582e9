"""The contract between the control plane and a trial's container."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from kubenas.api.base import duration_seconds
from kubenas.api.evaluation import MAX_TRAINED
from kubenas.space.packing import pack

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kubenas.api.experiment import ExperimentSpec
    from kubenas.api.trial import Candidate
    from kubenas.experiment.stages import ResolvedStage
    from kubenas.experiment.state import Trial

TRIAL_VARIABLE = "KUBENAS_TRIAL"
CHECKPOINT_VARIABLE = "KUBENAS_CHECKPOINT_DIR"
DATA_VARIABLE = "KUBENAS_DATA_DIR"
# Seconds that a trainer stays up at most until its last values were read.
SCRAPE_LIMIT_VARIABLE = "KUBENAS_SCRAPE_LIMIT"
# What only the operator and the attempt know: who says it may stop candidates.
STOP_TOKEN_VARIABLE = "KUBENAS_STOP_TOKEN"  # noqa: S105 - the variable's name
METRICS_PORT = 8080
# The container that is the trial's program; users' templates name it to change it.
TRAINER = "trainer"
# Of a pod that measures a candidate on a device: its container, the exported network, and the metric to leave.
BENCHMARK = "benchmark"
MODEL_VARIABLE = "KUBENAS_MODEL"
METRIC_VARIABLE = "KUBENAS_METRIC"
CANDIDATE_VARIABLE = "KUBENAS_CANDIDATE"


def trial_document(
    experiment: str, spec: ExperimentSpec, stage: ResolvedStage, trial: Trial, checkpoints: str | None = None
) -> str:
    """The JSON object that a trial reads from its environment.

    Args:
        experiment: its name.
        spec: its specification.
        stage: the trial's.
        trial: what is to be evaluated.
        checkpoints: the folder or URL that holds each trial's folder of checkpoints, as the trial sees it.
    """
    return json.dumps(
        {
            "experiment": experiment,
            "trial": trial.name,
            "attempt": trial.status.attempt,
            "seed": _seed(spec, stage, trial),
            **evaluation_document(spec, stage),
            "searchSpace": spec.search_space.dump(),
            **_checkpointing(spec),
            **({"export": "onnx"} if len(stage.reported) < len(stage.objectives) else {}),
            **({"supernet": f"{checkpoints}/{trial.supernet}"} if checkpoints and trial.supernet else {}),
            **({"rungs": {"epochs": stage.rungs, "metrics": stage.required}} if stage.rungs else {}),
            "candidates": _candidates(trial.remaining, stage, checkpoints),
        },
        separators=(",", ":"),
    )


def candidate_document(trial: Trial, candidate: str) -> str:
    """The JSON object by which a benchmark may tell what it measures."""
    architecture = next(one.architecture for one in trial.candidates if one.id == candidate)
    document = {"trial": trial.name, "candidate": candidate, "architecture": architecture}
    return json.dumps(document, separators=(",", ":"))


def _checkpointing(spec: ExperimentSpec) -> dict[str, Any]:
    every = spec.storage.checkpoint_every if spec.storage else None
    return {"checkpointEvery": duration_seconds(every)} if every else {}


def _candidates(candidates: Sequence[Candidate], stage: ResolvedStage, checkpoints: str | None) -> Any:
    """What is to be evaluated; many candidates, which are scored, as nothing but packed architectures."""
    if len(candidates) > MAX_TRAINED:
        return {"packed": pack({one.id: one.architecture for one in candidates})}
    return [
        {
            "id": one.id,
            "architecture": one.architecture,
            "epochs": one.epochs,
            "horizon": max(stage.horizon, one.epochs) if one.epochs else None,
            "resumeFrom": f"{checkpoints}/{one.resume_from}" if checkpoints and one.resume_from else None,
        }
        for one in candidates
    ]


def evaluation_document(spec: ExperimentSpec, stage: ResolvedStage) -> dict[str, Any]:
    """What all trials of a stage have in common: the part of their documents that says what a trainer imports."""
    return {
        "task": spec.task.dump(),
        # Each seed is a trial of its own.
        "evaluation": {name: value for name, value in stage.evaluation.dump().items() if name != "seeds"},
    }


def _seed(spec: ExperimentSpec, stage: ResolvedStage, trial: Trial) -> int:
    # Scores are compared between trials: what a candidate is shown must not depend on which one it is scored in.
    drawn = trial.begun_by if stage.epochs is not None else trial.seed
    return trial_seed(spec.search.seed, drawn)


def trial_seed(seed: int, number: int) -> int:
    """Seed of a trial's own draws (weights, data order): 31 bits that differ between trials."""
    return (seed * 1_000_003 + number * 7_919 + 1) % (2**31 - 1)


def escaped(text: str) -> str:
    """`text` so that what expands `$(NAME)` and `$$` in a container's env and arguments makes `text` of it."""
    return text.replace("$", "$$")
