"""The termination message fits, whatever it has to say."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenas.api.metric_names import MEASURES, TASKS, metric_names
from kubenas.experiment.message import read_message
from kubenas_trial.contract import TrialError
from kubenas_trial.termination import (
    LIMIT_BYTES,
    Failed,
    Result,
    check_room,
    error_message,
    exposed_message,
    results_message,
)
from tests.experiment.builders import candidate


@given(st.text(max_size=100), st.integers(0, 6000))
def test_an_error_fits_and_keeps_its_beginning(text: str, repetitions: int) -> None:
    whole = text * repetitions
    message = error_message(TrialError("Broken", whole))
    assert len(message) <= LIMIT_BYTES
    error = json.loads(message)["error"]
    assert error["reason"] == "Broken"
    if not whole:
        assert error["message"] == "TrialError"
    elif error["message"] != whole:
        assert error["message"].endswith("…")
        assert whole.startswith(error["message"][:-1])
        assert len(message) > LIMIT_BYTES - 40, "no more is cut than must be"


@given(st.dictionaries(st.from_regex(r"[a-z]{1,20}", fullmatch=True), st.floats(allow_nan=False, allow_infinity=False)))
def test_results_are_exact(metrics: dict[str, float]) -> None:
    assert json.loads(results_message([Result("0", 3, metrics)])) == {
        "metrics": list(metrics),
        "results": [["0", 3, list(metrics.values())]],
    }


@given(
    st.lists(st.tuples(st.from_regex(r"[A-Z][A-Za-z0-9]{0,62}", fullmatch=True), st.text(max_size=400)), max_size=80)
)
def test_the_message_of_a_batch_fits_whatever_has_failed(failures: list[tuple[str, str]]) -> None:
    failed = [Failed(str(number), TrialError(reason, text)) for number, (reason, text) in enumerate(failures)]
    message = exposed_message([*failed, Result("x", 1, {"accuracy": 0.5})], "a" * 64)
    assert len(message) <= LIMIT_BYTES
    told = read_message(message.decode(), 0, [candidate(0)], []).told
    assert told is not None
    assert (told.results, told.digest) == (1, "a" * 64)
    assert told.texts.keys() <= {reason for reason, _ in failures}
    if failures:
        first, text = failures[0]
        assert (text or "TrialError").startswith(told.texts[first].rstrip("…")) or len(failures) > 1


METRICS = st.dictionaries(
    st.sampled_from([f"metric_{n}" for n in range(12)]), st.floats(allow_nan=False, allow_infinity=False), min_size=1
)
OUTCOMES = st.lists(METRICS | st.text(max_size=600), min_size=1, max_size=16).map(
    lambda found: [
        Result(str(n), n, one) if isinstance(one, dict) else Failed(str(n), TrialError("Broken", one))
        for n, one in enumerate(found)
    ]
)


@given(OUTCOMES)
def test_the_operator_reads_what_the_trainer_writes(outcomes: list[Result | Failed]) -> None:
    message = results_message(outcomes)
    assert len(message) <= LIMIT_BYTES
    report = read_message(message.decode(), 0, [candidate(n) for n in range(len(outcomes))], [])
    results = {one.candidate: one for one in outcomes if isinstance(one, Result)}
    assert {one.candidate for one in report.failed} == {str(n) for n in range(len(outcomes))} - results.keys()
    for read in report.results:
        written = results[read.candidate].metrics
        assert {m.name: m.value for m in read.metrics} == pytest.approx(written, rel=1e-8, abs=0)


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_results_fit_where_there_was_found_to_be_room(value: float) -> None:
    names = [f"metric_{n:017}" for n in range(12)]
    check_room([(str(n), 1_000_000) for n in range(16)], names)
    results_message([Result(str(n), 1_000_000, dict.fromkeys(names, value)) for n in range(16)])


def test_sixteen_candidates_with_the_metrics_of_any_built_in_task_fit() -> None:
    for task in TASKS:
        check_room([(str(n), 1_000_000) for n in range(16)], metric_names(task, (), ("params", "flops", "cost")))
    with pytest.raises(TrialError, match=r"list fewer in task\.settings\.measure") as refused:
        check_room([(str(n), 100) for n in range(16)], metric_names("image-classification", MEASURES, ()))
    assert refused.value.reason == "ResultsTooLarge"


def test_results_that_do_not_fit_are_refused_whole() -> None:
    results = [Result(str(candidate), 1, {"accuracy": 1 / 3}) for candidate in range(200)]
    with pytest.raises(TrialError, match=r"200 candidates, 1 metrics each, take .* bytes .* lower trials") as refused:
        results_message(results)
    assert refused.value.reason == "ResultsTooLarge"
