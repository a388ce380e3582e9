"""The contract between the control plane and a trial's container."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from typing import Any

from kubenas.api.experiment import ExperimentSpec
from kubenas.api.trial import Candidate
from kubenas.experiment.state import Trial

TRIAL_VARIABLE = "KUBENAS_TRIAL"
CHECKPOINT_VARIABLE = "KUBENAS_CHECKPOINT_DIR"
DATA_VARIABLE = "KUBENAS_DATA_DIR"
METRICS_PORT = 8080

_PLACEHOLDER = re.compile(r"\$\(kubenas\.([a-zA-Z][a-zA-Z0-9_.-]*)\)")


def trial_document(experiment: str, spec: ExperimentSpec, trial: Trial, checkpoints: str | None = None) -> str:
    """The JSON object that a trial reads from its environment.

    Args:
        checkpoints: the folder that holds each trial's folder of checkpoints, as the trial sees it.
    """
    return json.dumps(
        {
            "experiment": experiment,
            "trial": trial.name,
            "attempt": trial.status.attempt,
            "seed": trial_seed(spec.search.seed, trial.number),
            "task": spec.task.dump(),
            "evaluation": spec.evaluation.dump(),
            "searchSpace": spec.search_space.dump(),
            "candidates": [
                {
                    "id": c.id,
                    "architecture": c.architecture,
                    "epochs": c.epochs,
                    "resumeFrom": f"{checkpoints}/{c.resume_from}" if checkpoints and c.resume_from else None,
                }
                for c in trial.candidates
            ],
        },
        separators=(",", ":"),
    )


def trial_seed(seed: int, number: int) -> int:
    """Seed of a trial's own draws (weights, data order): 31 bits that differ between trials."""
    return (seed * 1_000_003 + number * 7_919 + 1) % (2**31 - 1)


def escaped(text: str) -> str:
    """`text` so that what expands `$(NAME)` and `$$` in a container's env and arguments makes `text` of it."""
    return text.replace("$", "$$")


def substitute(document: Any, candidates: Sequence[Candidate]) -> Any:
    """`document` with `$(kubenas.NAME)` in every string replaced by the first candidate's decision NAME.

    Other `$(…)` are left to the kubelet, which leaves what a decision's value holds as it is.
    """
    if isinstance(document, str):
        architecture = candidates[0].architecture

        def value(match: re.Match[str]) -> str:
            return escaped(str(architecture[match[1]])) if match[1] in architecture else match[0]

        return _PLACEHOLDER.sub(value, document)
    if isinstance(document, dict):
        return {key: substitute(value, candidates) for key, value in document.items()}
    if isinstance(document, list):
        return [substitute(value, candidates) for value in document]
    return document
