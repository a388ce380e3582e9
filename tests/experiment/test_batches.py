"""Trials of more candidates than a message has room for: what their pods have shown, and what becomes of the rest."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenas.api.evaluation import MAX_CANDIDATES
from kubenas.api.trial import MAX_VALUES, TrialStatus, most_metrics
from kubenas.experiment.bounds import MOST_SCORED, OBJECT_BYTES
from kubenas.experiment.contract import trial_document
from kubenas.experiment.curves import gathered
from kubenas.experiment.ends import CLOCK_SECONDS, READING_SECONDS
from kubenas.experiment.lifecycle import advance, prune
from kubenas.experiment.resolution import resolve
from kubenas.experiment.rules import Rules
from kubenas.experiment.state import Exposed, Fault, Readings, Trial
from kubenas.experiment.validation import validate_spec
from kubenas.space.packing import unpack
from tests.experiment.builders import NOW, ended, error, experiment, running, trial
from tests.properties import examples

DIGEST = "0" * 64
COUNT = 40
RULES = Rules(retries=2, timeout=None, required=("accuracy",))
READ = NOW + CLOCK_SECONDS


def batch(count: int = COUNT, **status: Any) -> Trial:
    of = trial(candidates=count, **status)
    return replace(of, candidates=tuple(one.model_copy(update={"epochs": None}) for one in of.candidates))


def shown(
    of: Trial, ids: Collection[str], failures: Sequence[str] = (), digest: str = DIGEST, at: float | None = READ
) -> Readings:
    """What was read of the current attempt: `ids` with values, `failures` without."""
    name = of.attempt_name
    curves = {one: {1: {"accuracy": int(one) / 100}} for one in ids}
    exposed = Exposed(digest, dict.fromkeys(failures, "OutOfMemory"))
    return Readings(read_at=at, curves={name: curves}, exposed={name: exposed})


def told(count: int, digest: str = DIGEST) -> str:
    return json.dumps({"exposed": {"results": count, "sha256": digest}, "failures": {"OutOfMemory": "2 GiB"}})


def next_status(of: Trial, message: str, readings: Readings, exit_code: int = 0) -> TrialStatus:
    status = advance(of, ended(of, message, exit_code), readings, RULES, NOW + 1).status
    assert status is not None
    return status


def ids(*numbers: int) -> list[str]:
    return [str(number) for number in numbers]


ALL = ids(*range(COUNT))


def test_results_that_the_message_vouches_for_are_final() -> None:
    of = batch()
    status = next_status(of, told(COUNT - 2), shown(of, ALL[2:], ["0"]))
    assert status.phase == "Succeeded"
    assert [result.candidate for result in status.results] == ALL[2:]
    assert {result.source for result in status.results} == {"Pod"}
    assert [(one.candidate, one.reason, one.message) for one in status.failed_candidates] == [
        ("0", "OutOfMemory", "2 GiB"),
        ("1", "NoResult", "the trainer has shown no result of it"),
    ]
    assert not status.curve


def test_an_objective_that_one_candidate_lacks_is_its_own_failure() -> None:
    of = batch()
    readings = shown(of, ALL)
    readings.curves[of.attempt_name]["5"] = {1: {"loss": 1.0}}
    status = next_status(of, told(COUNT), readings)
    assert len(status.results) == COUNT - 1
    (failed,) = status.failed_candidates
    assert (failed.candidate, failed.reason) == ("5", "MetricMissing")
    assert "no accuracy" in failed.message


def test_results_that_were_not_all_read_are_waited_for_then_scored_again() -> None:
    of = batch()
    late = shown(of, ALL[:30], digest="1" * 64, at=NOW - 5)
    attempt = ended(of, told(COUNT))
    step = advance(of, attempt, late, RULES, NOW)
    assert (step.status, step.read_now, step.wake_at) == (None, True, NOW - 1 + READING_SECONDS)
    status = next_status(of, told(COUNT), replace(late, read_at=READ))
    assert status.last_failure is not None
    assert (status.phase, status.attempt, status.last_failure.reason) == ("Pending", 2, "ResultsNotRead")
    assert len(status.results) == 30
    again = replace(of, status=status)
    assert [one.id for one in again.remaining] == [*ALL[31:], "30"]
    done = next_status(again, told(10), shown(again, ALL[30:]))
    assert (done.phase, len(done.results), done.failed_candidates) == ("Succeeded", COUNT, [])


def test_a_reading_that_has_all_of_it_is_enough() -> None:
    of = batch()
    step = advance(of, ended(of, told(COUNT)), shown(of, ALL, at=None), RULES, NOW)
    assert step.status is not None
    assert step.status.phase == "Succeeded"


@pytest.mark.parametrize("message", ["", error("TrainerError"), "Killed", json.dumps({"exposed": {"results": 1}})])
def test_what_was_shown_outlives_every_failure(message: str) -> None:
    of = batch()
    for attempt, last in enumerate((10, 20, 30)):
        assert of.status.attempt == attempt + 1
        done = {one.candidate for one in of.status.results}
        readings = shown(of, [one for one in ALL[:last] if one not in done])
        of = replace(of, status=next_status(of, message, readings, exit_code=1))
    assert of.status.phase == "Succeeded"
    assert [result.candidate for result in of.status.results] == ALL[:30]
    assert [one.candidate for one in of.status.failed_candidates] == ALL[30:]
    assert of.status.last_failure is not None
    assert {one.reason for one in of.status.failed_candidates} == {of.status.last_failure.reason}


def test_without_any_result_a_batch_fails() -> None:
    of = batch(attempt=3, failures=2)
    status = next_status(of, "", shown(of, []), exit_code=1)
    assert (status.phase, status.results) == ("Failed", [])


def test_candidates_that_all_fail_alone_are_not_scored_again() -> None:
    of = batch()
    status = next_status(of, error("OutOfMemory"), shown(of, [], ALL), exit_code=1)
    assert (status.phase, len(status.failed_candidates)) == ("Failed", COUNT)


def test_a_disruption_and_an_end_keep_what_was_shown() -> None:
    of = batch()
    gone = running(of, disruption=Fault("Preempted", "a queue"), gone_by=NOW - 100)
    status = advance(of, gone, shown(of, ALL[:7], ["9"]), RULES, NOW + 60).status
    assert status is not None
    assert (status.phase, status.failures, len(status.results)) == ("Pending", 0, 7)
    again = replace(of, status=status)
    assert [one.id for one in again.remaining] == [*ALL[7:9], *ALL[10:]]
    pruned = prune(again, running(again), shown(again, ["8"]), Fault("Ended", "over"), RULES, NOW)
    assert [result.candidate for result in pruned.results] == [*ALL[:7], "8"]


def test_a_pod_that_goes_once_all_was_shown_has_done_its_work() -> None:
    of = batch()
    gone = running(of, disruption=Fault("Preempted", "a queue"), gone_by=NOW - 100)
    status = advance(of, gone, shown(of, ALL[1:], ["0"]), RULES, NOW + 60).status
    assert status is not None
    assert (status.phase, status.attempt, len(status.results)) == ("Succeeded", 1, COUNT - 1)
    assert status.completion_time is not None
    nothing = advance(of, gone, shown(of, [], ALL), RULES, NOW + 60).status
    assert nothing is not None
    assert (nothing.phase, nothing.attempt, nothing.conditions[0].reason) == ("Failed", 1, "OutOfMemory")


@examples(50)
@given(st.data())
def test_in_any_order_of_deaths_each_candidate_is_judged_once(data: st.DataObject) -> None:
    """Some candidates kill their process; all others have their result however often that happens."""
    deadly = data.draw(st.sets(st.sampled_from(ALL), max_size=2))
    of, attempts = batch(), 0
    while not of.finished:
        attempts += 1
        asked = [one.id for one in of.remaining]
        assert not {one.candidate for one in of.status.results} & set(asked)
        survived = asked[: next((i for i, one in enumerate(asked) if one in deadly), len(asked))]
        whole = survived == asked
        message = told(len(asked)) if whole else ""
        of = replace(of, status=next_status(of, message, shown(of, survived), 0 if whole else 137))
    assert attempts <= RULES.retries + 1
    assert {one.candidate for one in of.status.results} == set(ALL) - deadly
    assert {one.candidate for one in of.status.failed_candidates} == deadly


def test_the_document_has_what_is_missing_packed_or_plain() -> None:
    spec = experiment(evaluation={"method": "zero-cost"}, trials={"candidatesPerTrial": COUNT}).spec
    of = batch()
    document = json.loads(trial_document("nas", spec, resolve(spec)[0], of))
    assert unpack(document["candidates"]["packed"]) == {one.id: one.architecture for one in of.candidates}
    status = next_status(of, "", shown(of, ALL[:-2]), exit_code=1)
    document = json.loads(trial_document("nas", spec, resolve(spec)[0], replace(of, status=status)))
    assert [(one["id"], one["epochs"], one["horizon"]) for one in document["candidates"]] == [
        (ALL[-1], None, None),
        (ALL[-2], None, None),
    ]


@pytest.mark.parametrize("count", [17, 64, MAX_CANDIDATES])
@pytest.mark.parametrize("failing", [False, True])
def test_a_batch_is_bounded_whatever_its_pod_shows(count: int, failing: bool) -> None:
    of = batch(count)
    objectives = tuple(f"{letter}{'o' * 62}" for letter in "abcdefgh")
    rules = replace(RULES, required=objectives)
    values = {f"m{i:062}": -1.7976931348623157e308 for i in range(100)} | dict.fromkeys(objectives, -1e-300)
    read = {one.id: {2**50 + step: values for step in range(3)} for one in of.candidates} | {"other": {1: values}}
    curves = gathered({}, read, of.candidates, objectives)
    assert sum(len(found) for curve in curves.values() for found in curve.values()) <= MAX_VALUES * (
        1 + 14 * (count < 256)
    )
    reason = "A" * 63
    failures = {one.id: reason for one in of.candidates[1:]} if failing else {}
    readings = Readings(
        read_at=READ, curves={of.attempt_name: curves}, exposed={of.attempt_name: Exposed(DIGEST, failures)}
    )
    message = json.dumps({"exposed": {"results": 1, "sha256": DIGEST}, "failures": {reason: "\x07" * 5000}})
    for text, code in ((message, 0), ("", 1)):
        step = advance(of, ended(of, text, code), readings, rules, NOW + 1)
        assert step.status is not None
        assert len(json.dumps(step.status.dump(), ensure_ascii=False).encode()) < OBJECT_BYTES
        assert sum(len(result.metrics) for result in step.status.results) <= MAX_VALUES
        assert all(set(objectives) <= {m.name for m in result.metrics} for result in step.status.results)
        assert len(step.status.results) == (1 if failing else count)


def zero_cost(count: int, **spec: Any) -> dict[str, Any]:
    return {
        "objectives": [{"metric": "vkdnw"}],
        "evaluation": {"method": "zero-cost"},
        "trials": {"max": 10, "candidatesPerTrial": count},
        **spec,
    }


def test_a_thousand_candidates_of_the_default_proxies_are_accepted() -> None:
    assert validate_spec(experiment(**zero_cost(1000)).spec).problems == ()


@pytest.mark.parametrize(
    ("spec", "field", "words"),
    [
        (
            zero_cost(
                1024,
                evaluation={
                    "method": "zero-cost",
                    "proxies": ["default", "zen", "nwot", "snip", "grasp", "plain", "zico"],
                },
            ),
            "trials.candidatesPerTrial",
            f"more than the {MAX_VALUES:,} values",
        ),
        (
            zero_cost(1024, searchSpace={"preset": "mobilenet-ofa"}),
            "trials.candidatesPerTrial",
            "than a resource can hold",
        ),
        (
            zero_cost(1000, trials={"max": 1000, "candidatesPerTrial": 1000}),
            "trials.max",
            f"more than the {MOST_SCORED:,}",
        ),
    ],
)
def test_what_would_be_too_much_is_told_before(spec: dict[str, Any], field: str, words: str) -> None:
    (problem,) = validate_spec(experiment(**spec).spec).problems
    assert problem.field == field
    assert words in problem.message
    assert "lower it" in problem.message


def test_each_candidate_of_few_may_have_many_metrics() -> None:
    assert [most_metrics(count) for count in (1, 16, 224, 512, MAX_CANDIDATES)] == [64, 64, 64, 28, 14]
