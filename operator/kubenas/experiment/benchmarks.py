"""Pods that measure candidates on devices: their names, and what they leave."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from kubenas.api.objective import Objective
from kubenas.api.text import clean
from kubenas.api.trial import Measurement
from kubenas.experiment.state import Attempt, Fault, Trial

# Metrics beside the objective's that are kept of one measurement, such as quartiles.
_MOST_BESIDE: Final = 8
_TAIL: Final = 150
# As any metric's.
_NAME: Final = re.compile(r"[a-zA-Z_][a-zA-Z0-9_]{0,62}")


@dataclass(frozen=True, slots=True)
class Benchmark:
    """One attempt to measure a candidate.

    Attributes:
        number: of the objective, among all of the experiment's.
        attempt: from 1.
    """

    trial: Trial
    candidate: str
    objective: Objective
    number: int
    attempt: int

    @property
    def name(self) -> str:
        """The pod's: the same whoever computes it, so that it is made once."""
        return _name(self.trial, self.number, self.candidate, self.attempt)

    @classmethod
    def of(cls, trial: Trial, measurement: Measurement, objective: Objective, number: int) -> Benchmark:
        """The current attempt of a measurement."""
        return cls(trial, measurement.candidate, objective, number, measurement.attempt)


def _name(trial: Trial, number: int, candidate: str, attempt: int) -> str:
    return f"{trial.name}-device-{number}-{candidate}-{attempt}"


def awaited(trial: Trial, benchmark: Attempt, metric: str | None = None) -> bool:
    """Whether a trial waits for what a benchmark comes to: it is the current attempt at a measurement that is open.

    Args:
        metric: of the benchmark's objective; None where that is not known, and any may be it.
    """
    return trial.measuring and any(
        one.completion_time is None
        and metric in (None, one.metric)
        and benchmark.name == _name(trial, benchmark.benchmark or 0, one.candidate, one.attempt)
        for one in trial.status.measurements
    )


@dataclass(frozen=True, slots=True)
class Reading:
    """What an ended benchmark has left: values by metric, or what was wrong."""

    values: Mapping[str, float] = field(default_factory=dict)
    fault: Fault | None = None


def read_benchmark(attempt: Attempt, metric: str) -> Reading:
    """The objective's value, with those whose names begin with it and an underscore; or why there is none.

    What the backend knows of a failure comes before what the benchmark says.
    """
    text = attempt.message.strip()
    document = _json_object(text)
    if attempt.exit_code == 0 and document is not None and _number(document.get(metric)) is not None:
        names = [metric, *sorted(name for name in document if name.startswith(f"{metric}_") and _NAME.fullmatch(name))]
        known = {name: number for name in names if (number := _number(document[name])) is not None}
        return Reading(dict([*known.items()][: 1 + _MOST_BESIDE]))
    return Reading(fault=attempt.fault or _fault(attempt, document, text, metric))


def _fault(attempt: Attempt, document: Mapping[str, Any] | None, text: str, metric: str) -> Fault:
    if attempt.exit_code != 0:
        said = document.get("error") if document else None
        message = said.get("message") if isinstance(said, Mapping) else None
        if isinstance(message, str) and (shown := clean(message).strip()):
            return Fault("BenchmarkFailed", shown)
        tail = f": {text[-_TAIL:]}" if text else ""
        return Fault("NonZeroExit", f"the benchmark exited with {attempt.exit_code}{tail}")
    if document is not None and metric in document:
        return Fault("NonFiniteMetric", f"{metric} is {document[metric]!r:.40}, and must be a finite number")
    left = f"left {text[:100]!r}" if text else "left nothing"
    return Fault("MetricMissing", f"the benchmark {left}, and must leave a JSON object with {metric}")


def _json_object(text: str) -> Mapping[str, Any] | None:
    try:
        document = json.loads(text)
    except (ValueError, RecursionError):
        return None
    return document if isinstance(document, Mapping) else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        return float(value) if math.isfinite(value) else None
    except OverflowError:
        return None
