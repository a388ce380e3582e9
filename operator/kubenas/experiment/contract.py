"""The contract between the control plane and a trial's container."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kubenas.api.base import MetricValue
from kubenas.api.experiment import ExperimentSpec
from kubenas.api.trial import Candidate, Result
from kubenas.experiment.state import Fault, Trial, metrics_of

TRIAL_VARIABLE = "KUBENAS_TRIAL"
CHECKPOINT_VARIABLE = "KUBENAS_CHECKPOINT_DIR"
DATA_VARIABLE = "KUBENAS_DATA_DIR"
METRICS_PORT = 8080

_REASON = re.compile(r"[A-Z][A-Za-z0-9]{0,62}")
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


@dataclass(frozen=True, slots=True)
class Report:
    """What a termination message says: results, or what went wrong; neither if there is none."""

    results: tuple[Result, ...] = ()
    fault: Fault | None = None


def read_message(message: str, candidates: Sequence[Candidate], required: Sequence[str]) -> Report:
    """Read a termination message.

    Args:
        message: what the container left, at most 4 KiB.
        candidates: those that must each have a result.
        required: metrics that each result must have.
    """
    text = message.strip()
    if not text.startswith("{"):
        return Report()
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:
        return Report(fault=Fault("InvalidResult", f"the termination message is not JSON: {error}"))
    if isinstance(document.get("error"), Mapping):
        return Report(fault=_trainer_fault(document["error"]))
    try:
        found = {str(entry["candidate"]): _result(entry) for entry in document["results"]}
    except (AttributeError, KeyError, OverflowError, TypeError, ValueError) as error:
        return Report(fault=Fault("InvalidResult", f"the termination message is not as the contract says: {error!r}"))
    for candidate in candidates:
        if candidate.id not in found:
            return Report(
                fault=Fault("InvalidResult", f"the termination message has no result of candidate {candidate.id}")
            )
        fault = missing_metric({m.name: m.value for m in found[candidate.id].metrics}, required)
        if fault:
            return Report(fault=fault)
    return Report(results=tuple(found[c.id] for c in candidates))


def missing_metric(metrics: Mapping[str, float], required: Sequence[str]) -> Fault | None:
    """The fault of a result that lacks an objective's metric."""
    for name in required:
        if name not in metrics:
            there = ", ".join(sorted(metrics)) or "nothing"
            return Fault("MetricMissing", f"the trainer reported no {name}, an objective; it reported {there}")
    return None


def _result(entry: Mapping[str, Any]) -> Result:
    metrics: dict[str, float] = {}
    for name, value in entry["metrics"].items():
        if isinstance(value, bool) or not isinstance(value, int | float) or not math.isfinite(value):
            raise ValueError(f"metric {name} is {value!r}, not a finite number")
        metrics[name] = float(value)
    return Result(
        candidate=str(entry["candidate"]),
        step=int(entry["step"]),
        metrics=[MetricValue(name=n, value=v) for n, v in metrics_of(metrics)],
        source="TerminationMessage",
    )


def _trainer_fault(error: Mapping[str, Any]) -> Fault:
    reason = str(error.get("reason", ""))
    return Fault(
        reason if _REASON.fullmatch(reason) else "TrainerError", str(error.get("message", "no message"))[:4000]
    )
