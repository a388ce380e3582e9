"""The reader of termination messages: results, errors, and logs in their place."""

from __future__ import annotations

import json
import math
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenas.experiment.message import MESSAGE_BYTES, read_message
from tests.experiment.builders import candidate, results

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
ENTRY = st.fixed_dictionaries({"candidate": JSON, "step": JSON, "metrics": JSON | st.dictionaries(st.text(), JSON)})


def test_results_come_in_the_order_of_the_candidates() -> None:
    message = json.dumps(
        {"results": [{"candidate": str(i), "step": i, "metrics": {"b": i, "a": 1}} for i in (2, 0, 1)]}
    )
    report = read_message(message, 0, [candidate(i) for i in range(3)], ["a"])
    assert [(r.candidate, r.step) for r in report.results] == [("0", 0), ("1", 1), ("2", 2)]
    assert [m.name for m in report.results[0].metrics] == ["a", "b"]


def deep(levels: int) -> dict[str, Any]:
    return {"a": deep(levels - 1)} if levels else {}


@pytest.mark.parametrize(
    ("brought", "problem"),
    [({"x": 1}, ""), (None, "has no architecture"), ("x", "has no architecture"), (deep(200), "levels deep")]
    + [({"x": [value]}, "what no status can hold") for value in (math.nan, math.inf, 2**63, "\ud800")]
    + [({"\ud800": 1}, "what no status can hold"), ({"x": [True, None, -(2**63), 0.5, "é"]}, "")],
)
def test_an_architecture_is_brought_where_its_candidate_leaves_it_open(brought: Any, problem: str) -> None:
    message = json.dumps(
        {"results": [{"candidate": "0", "step": 1, "metrics": {"a": 1}, "architecture": brought} for _ in "0"]}
    )
    report = read_message(message, 0, [candidate().model_copy(update={"architecture": None})], ["a"])
    if problem:
        assert report.fault is not None
        assert (report.fault.reason, problem in report.fault.message) == ("InvalidResult", True)
    else:
        assert report.results[0].architecture == brought
    (known,) = read_message(message, 0, [candidate()], ["a"]).results
    assert known.architecture is None


def test_a_candidate_without_a_result_fails_alone() -> None:
    report = read_message(results({"accuracy": 1.0}), 0, [candidate(0), candidate(1)], ["accuracy"])
    assert [one.candidate for one in report.results] == ["0"]
    assert report.fault is None
    [failed] = report.failed
    assert (failed.candidate, failed.reason) == ("1", "InvalidResult")
    assert failed.message == "the termination message has no result of candidate 1"


GOOD = {"candidate": "0", "step": 3, "metrics": {"accuracy": 0.5}}


@pytest.mark.parametrize(
    ("entry", "reason", "text"),
    [
        ({"error": {"reason": "OutOfMemory", "message": "2 GiB"}}, "OutOfMemory", "2 GiB"),
        ({"error": {"reason": "no word", "message": "x" * 2000}}, "TrainerError", "x" * 1024),
        ({"error": {}, "metrics": {"accuracy": 1}}, "TrainerError", "no message"),
        ({"step": 3, "metrics": {"loss": 1}}, "MetricMissing", "the trainer reported no accuracy, an objective"),
        ({"step": 3, "metrics": {"accuracy": float("nan")}}, "NonFiniteMetric", "accuracy, an objective, is nan"),
        ({"step": -1, "metrics": {"accuracy": 1}}, "InvalidResult", "the result's step is -1"),
        ({"step": 1}, "InvalidResult", "of candidate 1: results[1] is no object with candidate, step and metrics, or"),
    ],
)
def test_each_candidate_fails_alone(entry: dict[str, Any], reason: str, text: str) -> None:
    bad = {"candidate": "1", **entry}
    report = read_message(json.dumps({"results": [GOOD, bad]}), 0, [candidate(0), candidate(1)], ["accuracy"])
    assert [one.candidate for one in report.results] == ["0"]
    [failed] = report.failed
    assert (failed.candidate, failed.reason, report.fault) == ("1", reason, None)
    assert text in failed.message
    alone = read_message(json.dumps({"results": [bad]}), 0, [candidate(1), candidate(2)], ["accuracy"])
    assert alone.fault is not None
    assert alone.fault.reason == reason
    assert alone.fault.message.startswith("candidate 1: ")
    assert [one.candidate for one in alone.failed] == ["1", "2"]


def test_packed_results_are_what_their_objects_are() -> None:
    failure = {"candidate": "2", "error": {"reason": "OutOfMemory", "message": "2 GiB"}}
    packed = {"metrics": ["accuracy", "loss"], "results": [["0", 3, [0.5, 1]], ["1", 2, [0.25, None]], failure]}
    objects = {
        "results": [
            {"candidate": "0", "step": 3, "metrics": {"accuracy": 0.5, "loss": 1}},
            {"candidate": "1", "step": 2, "metrics": {"accuracy": 0.25}},
            failure,
        ]
    }
    candidates = [candidate(n) for n in range(3)]
    report = read_message(json.dumps(packed), 0, candidates, ["accuracy"])
    assert report == read_message(json.dumps(objects), 0, candidates, ["accuracy"])
    assert [(one.candidate, one.step) for one in report.results] == [("0", 3), ("1", 2)]
    assert report.left_out == ()


@pytest.mark.parametrize("names", [None, ["accuracy", "loss"], ["accuracy", 1], "ab", {"accuracy": 1, "loss": 2}])
@pytest.mark.parametrize("values", [[0.5], "ab", None, {"accuracy": 0.5}, [[1], [2]]])
def test_a_packed_result_that_is_none(names: Any, values: Any) -> None:
    message = json.dumps({"metrics": names, "results": [["0", 3, values]]})
    report = read_message(message, 0, [candidate()], ["accuracy"])
    assert report.results == ()
    assert report.fault is not None
    assert report.fault.reason == "InvalidResult"


def test_a_missing_metric_is_named_with_those_there_are() -> None:
    report = read_message(results({"loss": 1.0, "f1": 0.5}), 0, [candidate()], ["accuracy"])
    assert report.fault is not None
    assert report.fault.message == "the trainer reported no accuracy, an objective; it reported f1, loss"


@pytest.mark.parametrize("message", ["", "  ", "Traceback (most recent call last)", "[1]", "0.93"])
def test_other_text_is_no_report(message: str) -> None:
    report = read_message(message, 0, [candidate()], ["accuracy"])
    assert (report.results, report.fault) == ((), None)


@pytest.mark.parametrize("value", ["true", '"0.9"', "null", "NaN", "Infinity", "1e400", "1" + "0" * 400, "[]"])
def test_a_value_that_is_no_finite_number(value: str) -> None:
    message = f'{{"results": [{{"candidate": "0", "step": 1, "metrics": {{"accuracy": {value}}}}}]}}'
    report = read_message(message, 0, [candidate()], ["accuracy"])
    assert report.fault is not None
    number = value[0] in "NI1"
    assert report.fault.reason == ("NonFiniteMetric" if number else "InvalidResult")
    assert report.fault.message.startswith("accuracy, an objective, is ")


@given(st.one_of(st.text().map(lambda text: "{" + text), JSON.map(lambda value: json.dumps({"results": value}))))
def test_no_message_raises(message: str) -> None:
    for exit_code in (None, 0, 1):
        assert read_message(message, exit_code, [candidate()], ["accuracy"]).results == ()


@given(st.lists(ENTRY, max_size=2), JSON)
def test_no_malformed_entry_raises(entries: list[Any], fault: Any) -> None:
    rows = [list(entry.values()) if isinstance(entry, dict) else entry for entry in entries]
    for document in (
        {"results": entries},
        {"metrics": fault, "results": rows},
        {"metrics": ["accuracy"], "results": rows},
        {"results": [{"candidate": "0", "error": fault}]},
        {"error": fault},
        {"error": {"reason": fault, "message": fault}},
    ):
        for exit_code in (None, 0, 1):
            read_message(json.dumps(document), exit_code, [candidate()], ["accuracy"])


def test_deep_json_is_a_fault() -> None:
    report = read_message('{"results": ' + "[" * 3_000, 0, [candidate()], ["accuracy"])
    assert report.fault is not None
    assert report.fault.reason == "InvalidResult"


LOG = '{"level": "info", "message": "epoch 1"}\n{"level": "error", "message": "no such data set"}'


@pytest.mark.parametrize(
    "log",
    [
        pytest.param(LOG, id="lines of JSON"),
        pytest.param('{"error": "boom"}\n{"error": "again"}', id="lines with errors"),
        pytest.param('{"level": "error", "error": "boom"}', id="one line"),
        pytest.param('{"level": "error", "error": {"code": 5}}', id="one line with an object"),
        pytest.param("{'a': 1}", id="a printed dictionary"),
        pytest.param('{"results": {"accuracy": 0.5}}', id="results of another kind"),
        pytest.param('poch": 3}\n' + '{"epoch": 4}\n' * 500, id="cut"),
    ],
)
def test_a_failed_trainers_log_is_no_message(log: str) -> None:
    assert read_message(log, 1, [candidate()], ["accuracy"]) == read_message("", 1, [candidate()], ["accuracy"])


@pytest.mark.parametrize("message", [LOG, '{"accuracy": 0.5}', '{"results": {}}', '{"error": "boom"}'])
def test_after_exit_0_what_looks_like_a_message_is_told(message: str) -> None:
    fault = read_message(message, 0, [candidate()], ["accuracy"]).fault
    assert fault is not None
    assert (fault.reason, "as the contract says" in fault.message) == ("InvalidResult", True)


@pytest.mark.parametrize("exit_code", [None, 0, 1, 143])
def test_an_error_counts_whatever_the_exit_code(exit_code: int | None) -> None:
    message = '{"error": {"reason": "InvalidDataset", "message": "no file"}}'
    fault = read_message(message, exit_code, [candidate()], ["accuracy"]).fault
    assert fault is not None
    assert (fault.reason, fault.message) == ("InvalidDataset", "no file")


@pytest.mark.parametrize("exit_code", [0, 1])
@pytest.mark.parametrize("end", [slice(-MESSAGE_BYTES, None), slice(MESSAGE_BYTES)], ids=["its end", "its beginning"])
def test_a_message_that_was_cut_says_so(end: slice, exit_code: int) -> None:
    whole = results(*({f"metric_{n}": 0.123456789 for n in range(10)} | {"accuracy": 0.5} for _ in range(16)))
    fault = read_message(whole[end], exit_code, [candidate(n) for n in range(16)], ["accuracy"]).fault
    assert fault is not None
    assert fault.reason == "ResultsTooLarge"
    assert "4096 bytes" in fault.message
    assert "trials.candidatesPerTrial" in fault.message


def test_a_message_of_just_4096_bytes_is_read() -> None:
    short = results({"accuracy": 0.5})
    message = short[:-1] + " " * (MESSAGE_BYTES - len(short)) + "}"
    assert read_message(message, 0, [candidate()], ["accuracy"]).results[0].step == 3


def test_unusable_metrics_are_left_out_and_named() -> None:
    metrics: dict[str, Any] = {
        **{f"m{n:03}": 0.0 for n in range(70)},
        "val/loss": 0.1,
        "x": float("inf"),
        "y": None,
        "accuracy": 0.5,
    }
    report = read_message(results(metrics), 0, [candidate()], ["accuracy"])
    (result,) = report.results
    assert [m.name for m in result.metrics] == ["accuracy", *(f"m{n:03}" for n in range(63))]
    assert [text.split()[0] for text in report.left_out] == [*(f"m{n:03}" for n in range(63, 70)), "val/loss", "x", "y"]
    assert "x (inf is not a finite number)" in report.left_out
    both = read_message(results({"accuracy": 0.5, "a b": 1}, {"accuracy": 0.5}), 0, [candidate(0), candidate(1)], [])
    assert both.left_out[0].startswith("candidate 0: a b (a name has")


@pytest.mark.parametrize("step", ["null", '"3"', "true", "-1", "2.5", "NaN", "Infinity", "1" + "0" * 400, "[3]"])
def test_a_step_that_is_none(step: str) -> None:
    message = f'{{"results": [{{"candidate": "0", "step": {step}, "metrics": {{"accuracy": 1}}}}]}}'
    fault = read_message(message, 0, [candidate()], ["accuracy"]).fault
    assert fault is not None
    assert "step is" in fault.message


@pytest.mark.parametrize("exit_code", [0, 1])
def test_a_packed_message_that_lost_its_beginning_says_so(exit_code: int) -> None:
    rows = [[str(n), 3, [0.123456789] * 40] for n in range(16)]
    whole = json.dumps({"metrics": [f"m{n}" for n in range(40)], "results": rows})
    fault = read_message(whole[-MESSAGE_BYTES:], exit_code, [candidate(n) for n in range(16)], ["m1"]).fault
    assert fault is not None
    assert fault.reason == "ResultsTooLarge"


@pytest.mark.parametrize("depth", [10, 900, 990, 1000, 100_000])
@pytest.mark.parametrize("field", ["candidate", "step", "metrics", "reason", "message", "value"])
def test_what_is_nested_deeply_raises_nothing(field: str, depth: int) -> None:
    deep = "[" * depth + "]" * depth
    entry = {"candidate": '"0"', "step": "1", "metrics": "{}", "value": "1"} | {field: deep}
    if field == "value":
        entry["metrics"] = f'{{"accuracy": {deep}}}'
    fields = ", ".join(f'"{name}": {value}' for name, value in entry.items())
    for message in (f'{{"results": [{{{fields}}}]}}', f'{{"error": {{{fields}}}}}'):
        read_message(message, 0, [candidate()], ["accuracy"])
