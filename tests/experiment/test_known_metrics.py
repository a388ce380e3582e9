"""Objectives that the trainer does not report are told before anything is trained."""

from __future__ import annotations

from typing import Any

import pytest

from kubenas.experiment.validation import resolve_spec
from tests.experiment.builders import experiment


def problems(metric: str, **spec: Any) -> list[tuple[str, str]]:
    of = experiment(objectives=[{"metric": "loss"}, {"metric": metric}], **spec)
    return [(problem.field, problem.message) for problem in resolve_spec(of.spec).problems]


@pytest.mark.parametrize(
    ("metric", "says"),
    [
        ("val_accuracy", "no metric that trials of image-classification report: did you mean accuracy?"),
        ("Accuracy", "did you mean accuracy?"),
        (
            "perplexity",
            "There are accuracy, flops, loss, params, peak_memory_mb, seconds, and by task.settings.measure",
        ),
        ("latency_ms", "measured only where task.settings.measure lists latency_ms: add it there"),
        ("latency_ms_upper", "measured only where task.settings.measure lists latency_ms"),
        ("int8_accuracy", "measured only where task.settings.measure lists int8"),
    ],
)
def test_no_trial_would_report_it(metric: str, says: str) -> None:
    [(field, message)] = problems(metric)
    assert field == "spec.objectives[1].metric"
    assert says in message


@pytest.mark.parametrize("metric", ["accuracy", "params", "flops", "seconds", "peak_memory_mb"])
def test_every_trial_reports_it(metric: str) -> None:
    assert problems(metric) == []


@pytest.mark.parametrize("metric", ["int8_accuracy", "int8_size_mb", "size_mb", "onnx_latency_ms_lower"])
def test_what_is_asked_for_is_reported(metric: str) -> None:
    settings = {"measure": ["int8", "size_mb", "onnx_latency_ms"]}
    assert problems(metric, task={"name": "image-classification", "settings": settings}) == []


def test_costs_of_the_space_are_reported() -> None:
    space = {
        "parameters": [{"name": "a", "type": "choice", "values": ["x", "y"]}],
        "costs": [
            {
                "name": "energy",
                "terms": [{"parameter": "a", "values": [{"value": "x", "add": 1}, {"value": "y", "add": 2}]}],
            }
        ],
    }
    assert [says for _, says in problems("energies", searchSpace=space) if "did you mean energy?" in says]
    assert problems("energy", searchSpace=space) == []


@pytest.mark.parametrize("own", [{"image": "mine"}, {"command": ["python", "train.py"]}])
def test_a_trainer_of_one_s_own_may_report_anything(own: dict[str, Any]) -> None:
    template = {"spec": {"containers": [{"name": "trainer", **own}]}}
    assert problems("val_accuracy", trialTemplate=template) == []
    assert problems("val_accuracy", task={"name": "mine"}) == []
