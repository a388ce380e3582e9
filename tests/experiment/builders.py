"""Small experiments, trials and attempts for tests."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from kubenas.api.errors import SpecError
from kubenas.api.experiment import NASExperiment
from kubenas.api.status import ExperimentStatus
from kubenas.api.trial import Candidate, TrialStatus
from kubenas.experiment.actions import Plan
from kubenas.experiment.admission import QueueReason
from kubenas.experiment.ledger import Ledger
from kubenas.experiment.plan import Observed, plan
from kubenas.experiment.resolution import resolve, with_strategies
from kubenas.experiment.stages import ResolvedStage
from kubenas.experiment.state import Attempt, AttemptPhase, Readings, Trial, Waiting
from kubenas.space.load import build_space

NOW = 1_000_000.0
GPU = {"nvidia.com/gpu": 1.0}
CELL = {"0-1": "none", "0-2": "none", "0-3": "nor_conv_3x3", "1-2": "none", "1-3": "none", "2-3": "none"}


def experiment(
    status: ExperimentStatus | None = None, generation: int = 1, deleted: bool = False, **spec: Any
) -> NASExperiment:
    """An experiment `nas`, its specification in YAML's spelling over a small default one."""
    metadata: dict[str, Any] = {"name": "nas", "generation": generation}
    if deleted:
        metadata["deletionTimestamp"] = "2026-01-01T00:00:00Z"
    document = {
        "apiVersion": "kubenas.io/v1alpha1",
        "kind": "NASExperiment",
        "metadata": metadata,
        "spec": {
            "objectives": [{"metric": "accuracy"}],
            "task": {"name": "image-classification"},
            "searchSpace": {"preset": "nasbench201"},
            "evaluation": {"epochs": 3},
            **spec,
        },
    }
    read = NASExperiment.model_validate(document)
    return read.model_copy(update={"status": status or ExperimentStatus()})


def candidate(index: int = 0, epochs: int = 3) -> Candidate:
    return Candidate(id=str(index), name="cell", architecture=CELL, epochs=epochs)


def trial(number: int = 0, candidates: int = 1, stage: str | None = None, **status: Any) -> Trial:
    return Trial(
        name=f"nas-{number}",
        number=number,
        uid=f"uid-{number}",
        resource_version="1",
        results_seen=0,
        stage=stage,
        seed=0,
        candidates=tuple(candidate(i) for i in range(candidates)),
        status=TrialStatus(**status),
    )


def running(of: Trial, started: float = NOW - 10, **changes: Any) -> Attempt:
    attempt = Attempt(
        name=of.attempt_name, trial=of.name, phase=AttemptPhase.RUNNING, created=started, started=started, devices=GPU
    )
    return replace(attempt, **changes)


def held(number: int = 0, *, seconds: float = 60, queue: str | None = "gpus", managed: bool = True) -> Attempt:
    """A pod that its queue has held for so long."""
    waiting = Waiting("Queued", "Scheduling is blocked due to non-empty scheduling gates", NOW - seconds)
    attempt = replace(running(trial(number)), phase=AttemptPhase.WAITING, started=None, scheduled=None)
    return replace(attempt, waiting=waiting, created=NOW - seconds, queue=queue, managed=managed)


def ended(of: Trial, message: str = "", exit_code: int = 0, at: float = NOW - 1, **changes: Any) -> Attempt:
    return running(of, phase=AttemptPhase.ENDED, ended=at, exit_code=exit_code, message=message, **changes)


def results(*values: Mapping[str, float], step: int = 3) -> str:
    """A termination message with the metrics of each candidate."""
    return json.dumps({"results": [{"candidate": str(i), "step": step, "metrics": m} for i, m in enumerate(values)]})


def error(reason: str, message: str = "broken") -> str:
    """A termination message that says what went wrong."""
    return json.dumps({"error": {"reason": reason, "message": message}})


def observed(
    of: NASExperiment,
    trials: Sequence[Trial] = (),
    attempts: Sequence[Attempt] = (),
    readings: Readings | None = None,
    problems: Sequence[SpecError] = (),
    queue_reason: QueueReason | None = None,
) -> Observed:
    space = build_space(of.spec.search_space)
    stages = stages_of(of)
    ledger = Ledger(space, stages)
    for known in trials:
        ledger.put(known)
    return Observed(
        experiment=of,
        stages=stages,
        ledger=ledger,
        attempts={a.name: a for a in attempts},
        readings=readings or Readings(read_at=NOW),
        problems=problems,
        queue_reason=queue_reason,
    )


def stages_of(of: NASExperiment) -> tuple[ResolvedStage, ...]:
    """The stages of an experiment, with their strategies."""
    stages, problems = with_strategies(resolve(of.spec), build_space(of.spec.search_space), guarded=False)
    assert not problems
    return stages


def planned(of: NASExperiment, *, now: float = NOW, **seen: Any) -> Plan:
    return plan(observed(of, **seen), now)


def status_of(made: Plan) -> ExperimentStatus:
    assert made.status is not None
    return made.status


def succeeded(number: int, order: int, accuracy: float, **metrics: float) -> Trial:
    """A trial that has ended with a value."""
    values = [{"name": n, "value": v} for n, v in sorted({"accuracy": accuracy, **metrics}.items())]
    result = {"candidate": "0", "step": 3, "source": "TerminationMessage", "metrics": values}
    return trial(number, phase="Succeeded", order=order, results=[result])
