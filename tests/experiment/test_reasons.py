"""Every reason that the code gives is among those that metrics may tell and pages explain."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import kubenas
from kubenas.experiment.reasons import CONDITIONS, FAILURES
from kubenas.experiment.statuses import PERMANENT

# A call that gives a reason, and which of its arguments that is.
_GIVES = {"Fault": 0, "Verdict": 1, "Finding": 1, "_UnusableError": 1}
# What only `kubenas run` says of a trial, what a disrupted attempt ends with, ends of trials that are no failures, and
# what only benchmarks say.
_ELSEWHERE = {
    "ContainerLost",
    "RunInterrupted",
    "NodeLost",
    "NoImprovement",
    "NotMeasured",
    "StoppedEarly",
    "Succeeded",
} | {"BenchmarkFailed"}


def calls() -> Iterator[tuple[str, ast.Call]]:
    (root,) = kubenas.__path__
    for file in Path(root).rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name):
                yield node.func.id, node


def literal(call: ast.Call, index: int) -> str | None:
    argument = call.args[index] if index < len(call.args) else None
    return argument.value if isinstance(argument, ast.Constant) and isinstance(argument.value, str) else None


def test_reasons_of_faults_and_ends_are_known() -> None:
    given = {literal(call, _GIVES[name]) for name, call in calls() if name in _GIVES} - {None} - _ELSEWHERE
    assert {"Timeout", "MaxFailuresExceeded", "WithinNoise", "WorseThanFlops", "ResultsTooLarge"} <= given
    assert given <= FAILURES.union(*CONDITIONS.values())
    assert PERMANENT <= FAILURES


def test_reasons_of_conditions_are_known_by_their_type() -> None:
    given = {
        (kind, reason)
        for name, call in calls()
        if name == "condition" and (kind := literal(call, 0)) and (reason := literal(call, 2))
    }
    assert ("MetricsAvailable", "NotReadYet") in given
    assert len(given) > 10
    assert all(reason in CONDITIONS[kind] for kind, reason in given)
