"""How large a trial may become."""

from __future__ import annotations

import json
import string
from collections.abc import Mapping
from dataclasses import replace
from typing import Any, get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubenas.api.base import Metadata
from kubenas.api.space import Preset
from kubenas.api.trial import MAX_CURVE_POINTS, MAX_RUNGS, Candidate, NASTrial, TrialSpec, TrialStatus
from kubenas.experiment.bounds import DOCUMENT_BYTES, size_problem
from kubenas.experiment.contract import trial_document
from kubenas.experiment.curves import gathered
from kubenas.experiment.lifecycle import advance, prune
from kubenas.experiment.resolution import resolve
from kubenas.experiment.rules import Rules
from kubenas.experiment.state import Attempt, Curve, Curves, Fault, Readings, Trial
from kubenas.experiment.validation import validate_spec
from kubenas.space.load import build_space
from tests.experiment.builders import NOW, candidate, ended, error, experiment, results, running, trial

# As docs/security.md says; the apiserver adds metadata to it.
TRIAL_BYTES = 288 * 1024
OBJECTIVES = tuple(f"{letter}{'o' * 62}" for letter in "abcdefgh")
RULES = Rules(retries=0, timeout=None, required=OBJECTIVES)

names = st.text(string.ascii_letters + string.digits + "_", min_size=1, max_size=63)
values = st.floats(allow_nan=True, allow_infinity=True)
metrics = st.builds(
    lambda found, count, value: {f"m{i:062}": value for i in range(count)} | found,
    st.dictionaries(names, values, max_size=5),
    st.sampled_from([0, 64, 1000]),
    values,
)
texts = st.one_of(
    st.text(max_size=200),
    st.sampled_from(['"', "\\", "\n", "é", "漢", "😀", "\x07", "\ud800"]).map(lambda c: c * 100_000),
)


def as_stored(of: Trial, status: TrialStatus) -> bytes:
    document = NASTrial(
        metadata=Metadata(name=of.name),
        spec=TrialSpec(number=of.number, results_seen=0, candidates=list(of.candidates)),
        status=status,
    ).dump()
    read = json.loads(json.dumps(document))
    assert NASTrial.model_validate(read).status == status
    return json.dumps(read, ensure_ascii=False, separators=(",", ":")).encode()


def hostile_trial(candidates: int) -> Trial:
    """Names and paths as long as they can be, and architectures as large as a document holds."""
    one = Candidate(
        id="0",
        name="😀" * 5000,
        architecture={"x": "v" * (DOCUMENT_BYTES // candidates - 1300)},
        epochs=3,
        resume_from="x" * 1024,
    )
    those = tuple(one.model_copy(update={"id": str(i)}) for i in range(candidates))
    return replace(trial(candidates=candidates), candidates=those)


def outcomes(of: Trial, attempt: Attempt, readings: Readings, rungs: tuple[int, ...]) -> list[TrialStatus]:
    rules = replace(RULES, rungs=rungs)
    step = advance(of, attempt, readings, rules, NOW + 100)
    pruned = prune(of, attempt, readings, Fault("Pruned", attempt.message), rules, NOW)
    return [pruned, *([step.status] if step.status else [])]


@settings(max_examples=25)
@given(st.sampled_from([1, 2, 16]), metrics, st.sampled_from([1, 64, 500]), texts)
def test_a_trial_is_bounded_whatever_its_trainer_serves_and_says(
    count: int, served: Mapping[str, float], steps: int, said: str
) -> None:
    of = hostile_trial(count)
    told = {**served, **dict.fromkeys(OBJECTIVES, -1.7976931348623157e308), "epoch": 3.0}
    # As many as may be, each with a point of its own.
    rungs = tuple(range(100_001, 100_001 + min(MAX_RUNGS, 512 // (count * (len(OBJECTIVES) + 1)))))
    whole: Curve = {10**15 + step: told for step in range(steps)}
    whole |= {10**14 + rung: {**told, "epoch": float(rung)} for rung in rungs}
    read: Curves = {one.id: whole for one in of.candidates}
    readings = Readings(read_at=NOW, curves={of.attempt_name: gathered({}, read, of.candidates, OBJECTIVES, rungs)})
    finite = {name: value for name, value in told.items() if abs(value) < float("inf")}
    attempts = [
        running(of),
        ended(of, "", exit_code=0),
        ended(of, said, exit_code=1),
        ended(of, error("E", said), exit_code=1),
        ended(of, results(*[finite] * count)),
        ended(of, said, exit_code=1, fault=Fault("OOMKilled", said)),
    ]
    for attempt in attempts:
        for status in outcomes(of, attempt, readings, rungs):
            assert len(as_stored(of, status)) <= TRIAL_BYTES
            assert len(status.curve) <= MAX_CURVE_POINTS + len(rungs) * count
            assert all({m.name for m in point.metrics} <= {*OBJECTIVES, "epoch"} for point in status.curve)
            if status.phase in ("Succeeded", "Pruned"):
                kept = [{m.name for m in result.metrics} for result in status.results]
                assert kept
                assert all(set(OBJECTIVES) <= one for one in kept), "objectives are never what is left out"


def test_metrics_for_which_there_is_no_room_are_named() -> None:
    of = trial(candidates=16)
    many = {"accuracy": 0.5} | {f"m{i:02}{'x' * 60}": 1.0 for i in range(60)}
    rules = replace(RULES, required=("accuracy",))
    status = advance(of, ended(of, results(*[many] * 16)), Readings(read_at=NOW), rules, NOW).status
    assert status is not None
    assert status.phase == "Succeeded"
    assert "Not kept of them: candidate 0: " in status.conditions[0].message
    assert "(beyond the 2,048 bytes of a result)" in status.conditions[0].message


def test_all_metrics_of_a_short_message_are_kept() -> None:
    """As many as a termination message of 16 candidates has room for."""
    of = trial(candidates=16)
    many = {"accuracy": 0.123456789} | dict.fromkeys(string.ascii_letters[:28], 1000000000.0)
    message = results(*[many] * 16)
    assert len(message) > 4096
    status = advance(of, ended(of, message), Readings(read_at=NOW), replace(RULES, required=("accuracy",)), NOW).status
    assert status is not None
    assert [len(result.metrics) for result in status.results] == [29] * 16


def long_parameters(count: int, length: int, values: int = 1) -> list[dict[str, Any]]:
    listed = [str(value) + "x" * (length - 1) for value in range(values)]
    return [{"name": f"p{i}", "type": "choice", "values": [*listed, "y"]} for i in range(count)]


@pytest.mark.parametrize(
    ("spec", "field", "message"),
    [
        (
            {"searchSpace": {"parameters": long_parameters(50, 200)}, "trials": {"candidatesPerTrial": 16}},
            "trials.candidatesPerTrial",
            "lower it to 9",
        ),
        ({"searchSpace": {"parameters": long_parameters(80, 250, 10)}}, "searchSpace", "is too long"),
        ({"task": {"name": "mine", "settings": {"text": "x" * 130_000}}}, "task", "is too long"),
    ],
)
def test_what_no_program_can_be_handed_is_refused(spec: dict[str, Any], field: str, message: str) -> None:
    (problem,) = validate_spec(experiment(**spec).spec).problems
    assert problem.field == field
    assert message in problem.message


@pytest.mark.parametrize("preset", get_args(Preset))
def test_presets_fit_with_as_many_candidates_as_there_can_be(preset: str) -> None:
    spec = experiment(searchSpace={"preset": preset}, trials={"candidatesPerTrial": 16}).spec
    assert size_problem(spec, build_space(spec.search_space)) is None


def test_the_largest_accepted_document_fits_an_environment_variable() -> None:
    of = experiment(searchSpace={"parameters": long_parameters(50, 200)}, trials={"candidatesPerTrial": 9})
    assert validate_spec(of.spec).problems == ()
    space = build_space(of.spec.search_space)
    longest = {name: decision.domain.at(0) for name, decision in space.decisions.items()}
    those = tuple(
        candidate(i).model_copy(update={"architecture": longest, "resume_from": "r" * 1024}) for i in range(9)
    )
    document = trial_document(of.metadata.name, of.spec, resolve(of.spec)[0], replace(trial(), candidates=those), "/c")
    assert len(document) <= DOCUMENT_BYTES
