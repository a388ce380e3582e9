"""The contract between the control plane and a trial."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenas.api.trial import Candidate, TrialStatus
from kubenas.experiment.contract import read_message, substitute, trial_document, trial_seed
from tests.experiment.builders import candidate, experiment, results, trial

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
ENTRY = st.fixed_dictionaries({"candidate": JSON, "step": JSON, "metrics": JSON | st.dictionaries(st.text(), JSON)})


def test_document_has_all_that_a_trainer_needs() -> None:
    of = replace(trial(7), status=TrialStatus(attempt=2))
    spec = experiment(search={"seed": 3}).spec
    document = json.loads(trial_document("nas", spec, of))
    assert document == {
        "experiment": "nas",
        "trial": "nas-7",
        "attempt": 2,
        "seed": trial_seed(3, 7),
        "task": {"name": "image-classification", "settings": {}},
        "evaluation": {"method": "train", "epochs": 3},
        "searchSpace": {"preset": "nasbench201"},
        "candidates": [{"id": "0", "architecture": candidate().architecture, "epochs": 3, "resumeFrom": None}],
    }


def test_a_checkpoint_is_named_as_the_trial_sees_it() -> None:
    resumed = candidate().model_copy(update={"resume_from": "nas-1/0.safetensors"})
    of = replace(trial(), candidates=(resumed,))
    spec = experiment().spec
    inside = json.loads(trial_document("nas", spec, of, "/checkpoints"))["candidates"][0]["resumeFrom"]
    assert inside == "/checkpoints/nas-1/0.safetensors"
    assert json.loads(trial_document("nas", spec, of))["candidates"][0]["resumeFrom"] is None


def test_seeds_differ_and_fit_in_31_bits() -> None:
    seeds = [trial_seed(seed, number) for seed in (0, 1, 2**53 - 1) for number in range(1000)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**31 for seed in seeds)


def test_placeholders() -> None:
    of = [Candidate(id="0", name="", architecture={"width": 32, "act": "relu", "l.r": 0.1}, epochs=1)]
    document: dict[str, Any] = {
        "args": ["--width=$(kubenas.width)", "$(kubenas.act)/$(kubenas.l.r)", "$(HOME) $(kubenas.none)"],
        "port": 1,
    }
    assert substitute(document, of) == {"args": ["--width=32", "relu/0.1", "$(HOME) $(kubenas.none)"], "port": 1}


def test_results_come_in_the_order_of_the_candidates() -> None:
    message = json.dumps(
        {"results": [{"candidate": str(i), "step": i, "metrics": {"b": i, "a": 1}} for i in (2, 0, 1)]}
    )
    report = read_message(message, [candidate(i) for i in range(3)], ["a"])
    assert [(r.candidate, r.step) for r in report.results] == [("0", 0), ("1", 1), ("2", 2)]
    assert [m.name for m in report.results[0].metrics] == ["a", "b"]


def test_every_candidate_needs_a_result() -> None:
    report = read_message(results({"accuracy": 1.0}), [candidate(0), candidate(1)], ["accuracy"])
    assert report.results == ()
    assert report.fault is not None
    assert "candidate 1" in report.fault.message


def test_a_missing_metric_is_named_with_those_there_are() -> None:
    report = read_message(results({"loss": 1.0, "f1": 0.5}), [candidate()], ["accuracy"])
    assert report.fault is not None
    assert report.fault.message == "the trainer reported no accuracy, an objective; it reported f1, loss"


@pytest.mark.parametrize("message", ["", "  ", "Traceback (most recent call last)", "[1]", "0.93"])
def test_other_text_is_no_report(message: str) -> None:
    report = read_message(message, [candidate()], ["accuracy"])
    assert (report.results, report.fault) == ((), None)


@pytest.mark.parametrize("value", ["true", '"0.9"', "null", "NaN", "Infinity", "1e400", "1" + "0" * 400, "[]"])
def test_a_value_that_is_no_finite_number(value: str) -> None:
    message = f'{{"results": [{{"candidate": "0", "step": 1, "metrics": {{"accuracy": {value}}}}}]}}'
    report = read_message(message, [candidate()], ["accuracy"])
    assert report.fault is not None
    assert report.fault.reason == "InvalidResult"


@given(st.one_of(st.text().map(lambda text: "{" + text), JSON.map(lambda value: json.dumps({"results": value}))))
def test_no_message_raises(message: str) -> None:
    report = read_message(message, [candidate()], ["accuracy"])
    assert report.results == ()


@given(st.lists(ENTRY, max_size=2), JSON)
def test_no_malformed_entry_raises(entries: list[Any], fault: Any) -> None:
    for document in ({"results": entries}, {"error": fault}, {"error": {"reason": fault, "message": fault}}):
        read_message(json.dumps(document), [candidate()], ["accuracy"])


def test_deep_json_is_a_fault() -> None:
    report = read_message('{"results": ' + "[" * 100_000, [candidate()], ["accuracy"])
    assert report.fault is not None
    assert report.fault.reason == "InvalidResult"
