"""Objectives that are measured on devices: what is worth it, what is decided when, what is told."""

from __future__ import annotations

import json
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenas.api.experiment import NASExperiment
from kubenas.api.trial import MAX_MEASUREMENTS, ClassSeconds, StoppedCandidate, TrialStatus
from kubenas.experiment.actions import Plan
from kubenas.experiment.device_queues import Refusal
from kubenas.experiment.plan import Observed, plan, spending_of
from kubenas.experiment.state import Attempt, AttemptPhase, Fault, Trial, Waiting
from kubenas.experiment.validation import validate_spec
from kubenas.fidelity.base import Training, Value
from tests.experiment.builders import (
    GPU,
    NOW,
    candidate,
    ended,
    experiment,
    observed,
    results,
    status_of,
    succeeded,
    trial,
)
from tests.properties import examples

BOARD = {"nodeSelector": {"board": "phone"}}
LATENCY = {"metric": "latency_ms", "goal": "minimize", "measuredOn": BOARD}
LIMITED = {**LATENCY, "limit": 20}
NAME = "nas-0-device-1-0-1"


def measured(*objectives: dict[str, Any], **spec: Any) -> NASExperiment:
    given = {"objectives": [{"metric": "accuracy"}, *objectives], "storage": {"volumeClaim": "kept"}}
    return experiment(**{**given, "trials": {"max": 4, "parallelism": 1}, **spec})


def condition(made: Plan, kind: str) -> tuple[str, str, str]:
    found = next(one for one in status_of(made).conditions if one.type == kind)
    return found.status, found.reason, found.message


def benchmark(of: Trial, name: str = NAME, **changes: Any) -> Attempt:
    made = Attempt(name, of.name, AttemptPhase.WAITING, created=NOW, benchmark=1)
    return replace(made, **changes)


def measuring(number: int = 0, **metrics: float) -> Trial:
    """A trial that is measured since now, as the plan itself makes it."""
    of = replace(trial(number, phase="Running"), name=f"nas-{number}", uid=f"uid-{number}")
    made = plan(observed(measured(LATENCY), [of], [ended(of, results({"accuracy": 0.9, **metrics}))]), NOW)
    (write,) = made.write
    return replace(of, status=write.status)


def seen(of: NASExperiment, trials: list[Trial], *benchmarks: Attempt) -> Observed:
    return replace(observed(of, trials), benchmarks={one.name: one for one in benchmarks})


def written(made: Plan) -> TrialStatus:
    (write,) = made.write
    return write.status


def test_a_trained_candidate_waits_for_its_device_and_holds_no_slot() -> None:
    of, known = measured(LATENCY), measuring(latency_ms=3.0)
    assert known.status.phase == "Measuring"
    assert [m.name for m in known.status.results[0].metrics] == ["accuracy"], "the trainer knows nothing of the device"
    assert known.status.order is None
    made = plan(seen(of, [known]), NOW)
    assert [one.name for one in made.measure] == [NAME]
    assert [one.spec.number for one in made.create] == [1], "the slot is another trial's"
    counts = status_of(made).counts
    assert counts is not None
    assert (counts.measuring, counts.running, counts.pending, counts.succeeded) == (1, 0, 0, 0)
    assert condition(made, "DevicesAvailable")[0] == "True"


def test_the_pod_that_has_trained_goes() -> None:
    known = measuring()
    made = plan(observed(measured(LATENCY), [known], [ended(known)]), NOW)
    assert [one.name for one in made.stop] == ["nas-0-1"]


def test_what_a_device_says_joins_the_result_and_ends_the_trial() -> None:
    known = measuring()
    said = json.dumps({"latency_ms": 12.5, "latency_ms_upper": 14, "accuracy": 1.0, "other": 1})
    made = benchmark(known, phase=AttemptPhase.ENDED, exit_code=0, message=said, node="board-1")
    status = written(plan(seen(measured(LATENCY), [known], made), NOW + 5))
    assert (status.phase, status.order) == ("Succeeded", 1)
    values = {m.name: m.value for m in status.results[0].metrics}
    assert values == {"accuracy": 0.9, "latency_ms": 12.5, "latency_ms_upper": 14.0}
    assert status.measurements[0].node == "board-1"
    after = plan(seen(measured(LATENCY), [replace(known, status=status)], made), NOW + 6)
    assert after.stop == (made,)
    best = status_of(after).best
    assert best is not None
    assert {m.name: m.value for m in best.metrics}["latency_ms"] == 12.5


@pytest.mark.parametrize(
    ("objectives", "accuracy", "known", "worth"),
    [
        ([LATENCY], 0.1, [succeeded(0, 1, 0.9, latency_ms=1.0)], True),
        ([LIMITED], 0.1, [succeeded(0, 1, 0.9, latency_ms=1.0)], False),
        ([LIMITED], 0.95, [succeeded(0, 1, 0.9, latency_ms=1.0)], True),
        ([LIMITED], 0.1, [succeeded(0, 1, 0.9, latency_ms=99.0)], True),
        ([LIMITED], 0.1, [succeeded(0, 1, 0.9)], True),
        ([LATENCY, {"metric": "params", "goal": "minimize", "limit": 5}], 0.95, [], False),
        ([LATENCY, {"metric": "params", "goal": "minimize", "limit": 50}], 0.95, [], True),
        (
            [LIMITED, {"metric": "params", "goal": "minimize"}],
            0.1,
            [succeeded(0, 1, 0.9, latency_ms=1, params=11)],
            True,
        ),
        (
            [LIMITED, {"metric": "params", "goal": "minimize"}],
            0.1,
            [succeeded(0, 1, 0.9, latency_ms=1, params=9)],
            False,
        ),
    ],
)
def test_only_what_could_be_best_or_on_the_front_is_measured(
    objectives: list[dict[str, Any]], accuracy: float, known: list[Trial], worth: bool
) -> None:
    """An unlimited latency can make up for any accuracy; a limit cannot, nor can anything make up for another one."""
    of, last = measured(*objectives), trial(1, phase="Running")
    report = ended(last, results({"accuracy": accuracy, "params": 10.0}))
    status = written(plan(observed(of, [*known, last], [report]), NOW))
    assert status.phase == ("Measuring" if worth else "Succeeded")
    assert bool(status.measurements) is worth


def test_each_seed_is_measured_as_their_mean_decides() -> None:
    """If only the lucky ones were, the mean would be theirs alone."""
    of, last = measured(LIMITED, evaluation={"epochs": 3, "seeds": 2}), replace(trial(3, phase="Running"), seed=1)
    known = [succeeded(number, number + 1, 0.9, latency_ms=1.0) for number in (0, 1)]
    known[1] = replace(known[1], seed=1)
    status = written(plan(observed(of, [*known, last], [ended(last, results({"accuracy": 0.1}))]), NOW))
    assert [one.metric for one in status.measurements] == ["latency_ms"]


def test_of_several_candidates_those_are_measured_that_were_trained_to_the_end() -> None:
    of = measured(
        LATENCY,
        evaluation={"epochs": 9},
        fidelity={"scheduler": "asha"},
        trials={"max": 4, "candidatesPerTrial": 3},
    )
    stopped = [StoppedCandidate(candidate="1", epoch=1, message="lost")]
    last = trial(0, candidates=3, phase="Running", stopped_candidates=stopped)
    values = [{"candidate": name, "step": step, "metrics": {"accuracy": 0.5}} for name, step in (("0", 9), ("1", 1))]
    lost = {"candidate": "2", "error": {"reason": "OutOfMemory", "message": "too large"}}
    said = json.dumps({"results": [*values, lost]})
    known = replace(last, status=written(plan(observed(of, [last], [ended(last, said)]), NOW)))
    assert known.status.phase == "Measuring"
    assert [one.candidate for one in known.status.measurements] == ["0"]
    assert [made.name for made in plan(seen(of, [known]), NOW).measure] == [NAME]


def test_trainings_that_are_promoted_are_measured_at_their_end_alone() -> None:
    of = measured(LATENCY, evaluation={"epochs": 9}, fidelity={"scheduler": "asha", "mode": "promotion"})
    for epochs, phase in ((3, "Succeeded"), (9, "Measuring")):
        last = replace(trial(0, phase="Running"), candidates=(candidate(epochs=epochs),))
        made = plan(observed(of, [last], [ended(last, results({"accuracy": 0.5}, step=epochs))]), NOW)
        assert written(made).phase == phase


def test_only_the_stage_that_decides_is_measured() -> None:
    stages = [
        {"name": "screen", "trials": {"max": 2}, "keep": {"top": 1}},
        {"name": "final", "evaluation": {"epochs": 3}},
    ]
    of = measured(LATENCY, stages=stages)
    for stage, phase in (("screen", "Succeeded"), ("final", "Measuring")):
        last = trial(0, stage=stage, phase="Running")
        assert written(plan(observed(of, [last], [ended(last, results({"accuracy": 0.5}))]), NOW)).phase == phase


def test_no_network_is_removed_before_it_is_measured() -> None:
    of = measured(LATENCY, storage={"volumeClaim": "kept", "keep": "none"}, trials={"max": 12, "parallelism": 0})
    known = measuring(8)
    made = plan(seen(of, [*(succeeded(n, n + 1, 0.5, latency_ms=1.0) for n in range(8)), known]), NOW)
    assert made.remove is not None
    assert made.remove.trials == tuple(range(8))


def test_a_strategy_sees_what_is_known_of_a_candidate_whose_limit_was_not_measured() -> None:
    of = measured(LIMITED)
    ledger = observed(of, [succeeded(0, 1, 0.9, latency_ms=1.0), succeeded(1, 2, 0.5)]).ledger
    scores = [one.score for one in ledger.history(observed(of).stages[0]).observations]
    assert scores == [(0.0, 0.9), (0.0, 0.5)]
    assert [one.trial for one in ledger.ranked(observed(of).stages[0], ended=True)] == [0], "it is no result"
    several = measured(LATENCY)
    ledger = observed(several, [succeeded(0, 1, 0.9)]).ledger
    assert [one.score for one in ledger.history(observed(several).stages[0]).observations] == [None]


@pytest.mark.parametrize("algorithm", ["regularized-evolution", "nsga2", "tpe", "predictor"])
def test_a_strategy_sees_no_value_at_a_rung_of_what_devices_trade_off(algorithm: str) -> None:
    """Others have values that it lacks: what was stopped early does not compare with them."""
    of = measured(LATENCY, search={"algorithm": algorithm}, fidelity={"scheduler": "asha"}, evaluation={"epochs": 9})
    curve = [{"candidate": "0", "step": 3, "metrics": [{"name": "accuracy", "value": 0.6}]}]
    known = [
        replace(
            one,
            status=one.status.model_copy(
                update={"curve": TrialStatus.model_validate({"curve": curve}).curve, **stopped}
            ),
        )
        for number in range(9)
        for one in [succeeded(number, number + 1, number / 10, latency_ms=float(number))]
        for stopped in [{} if number % 2 else {"phase": "Pruned", "results": []}]
    ]
    seen = observed(of, known)
    stage = seen.stages[0]
    told = seen.ledger.history(stage).observations
    assert [one.score for one in told] == [(0.0, n / 10) if n % 2 else None for n in range(9)]
    assert not any(one.rungs for one in told)
    assert stage.strategy is not None
    assert stage.strategy.propose(seen.ledger.history(stage), 1)


def test_schedulers_compare_trainings_by_what_trials_report() -> None:
    """A device's value comes after the training, and would be on another scale than the rungs."""
    device = {"metric": "board_ms", "goal": "minimize", "measuredOn": BOARD}
    of = measured(
        objectives=[device, {"metric": "accuracy", "limit": 0.5}],
        fidelity={"scheduler": "asha"},
        evaluation={"epochs": 9},
    )
    ledger = observed(of, [succeeded(0, 1, 0.9, board_ms=40.0), succeeded(1, 2, 0.8)]).ledger
    curves = ledger.stage(None).trainings.curves
    assert curves[Training(0, "0")][9] == Value((0.0, 0.9), (0.9,))


def test_devices_measure_one_at_a_time_those_first_that_have_waited_longest() -> None:
    of = measured(LATENCY, trials={"max": 9, "parallelism": 0})
    first, second = measuring(0), measuring(1)
    assert [one.name for one in plan(seen(of, [second, first]), NOW).measure] == [NAME]
    busy = benchmark(first, phase=AttemptPhase.RUNNING, started=NOW, node="board-1")
    assert plan(seen(of, [second, first], busy), NOW + 1).measure == ()
    leaving = replace(busy, gone_by=NOW + 30)
    assert plan(seen(of, [second], leaving), NOW + 1).measure == (), "it may still disturb another one"
    several = measured({**LATENCY, "measuredOn": {**BOARD, "parallelism": 2}}, trials={"max": 9, "parallelism": 0})
    assert len(plan(seen(several, [second, first]), NOW).measure) == 2


def test_a_failed_measurement_is_repeated_after_a_pause_and_then_has_no_value() -> None:
    of = measured(LATENCY, trials={"max": 1, "retries": 1})
    known = measuring()
    broken = benchmark(known, phase=AttemptPhase.ENDED, exit_code=3, message="no such operator")
    status = written(plan(seen(of, [known], broken), NOW))
    (one,) = status.measurements
    assert (status.phase, one.attempt, one.failures, one.completion_time) == ("Measuring", 2, 1, None)
    known = replace(known, status=status)
    soon = plan(seen(of, [known]), NOW + 1)
    assert (soon.measure, soon.wake_at) == ((), NOW + 2)
    assert condition(soon, "DevicesAvailable")[:2] == ("False", "MeasurementFailed")
    (again,) = plan(seen(of, [known]), NOW + 2).measure
    assert again.name == "nas-0-device-1-0-2"
    broken = benchmark(known, again.name, phase=AttemptPhase.ENDED, exit_code=0, message='{"latency_ms": "fast"}')
    status = written(plan(seen(of, [known], broken), NOW + 5))
    assert (status.phase, status.conditions[0].reason) == ("Succeeded", "NotMeasured")
    assert "latency_ms of candidate 0 was not measured" in status.conditions[0].message
    assert [m.name for m in status.results[0].metrics] == ["accuracy"], "what is known of it stays"
    over = plan(seen(of, [replace(known, status=status)]), NOW + 6)
    assert condition(over, "Failed")[:2] == ("True", "NothingMeasured")
    assert condition(over, "DevicesAvailable")[:2] == ("False", "MeasurementFailed")


@pytest.mark.parametrize(
    ("faults", "value", "ends"),
    [
        (["no such image tagged 1", "no such image tagged 2", "no such image tagged 3"], False, True),
        (["no such image", "no such image"], False, False),
        (["no such image", "no such image", "too slow"], False, False),
        (["no such image"] * 3, True, False),
    ],
)
def test_a_mistake_that_each_measurement_repeats_ends_the_search(faults: list[str], value: bool, ends: bool) -> None:
    """Nothing more is trained for a device that has measured nothing."""
    of = measured(LATENCY, trials={"max": 9, "retries": 0})
    known = [succeeded(9, 9, 0.5, latency_ms=1.0)] if value else []
    for number, said in enumerate(faults):
        one = measuring(number)
        broken = benchmark(one, f"nas-{number}-device-1-0-1", phase=AttemptPhase.ENDED, exit_code=1, message=said)
        known.append(replace(one, status=written(plan(seen(of, [one], broken), NOW))))
    if value:
        (first, *others) = known
        done = known[1].status.measurements[0].model_copy(update={"last_failure": None, "node": "board-1"})
        known = [replace(first, status=first.status.model_copy(update={"measurements": [done]})), *others]
    over = plan(seen(of, known), NOW + 6)
    assert bool(over.create) is not ends
    found = condition(over, "Failed")
    assert found[:2] == (("True", "NothingMeasured") if ends else ("False", "NotEnded"))
    assert ("delete them" in found[2]) is ends


@pytest.mark.parametrize(
    ("message", "exit_code", "fault", "reason"),
    [
        ("", 0, None, "MetricMissing"),
        ("12.5", 0, None, "MetricMissing"),
        ('{"latency": 1}', 0, None, "MetricMissing"),
        ('{"latency_ms": true}', 0, None, "NonFiniteMetric"),
        ('{"latency_ms": 1e999}', 0, None, "NonFiniteMetric"),
        ('{"latency_ms": NaN}', 0, None, "NonFiniteMetric"),
        (f'{{"latency_ms": {"9" * 4000}}}', 0, None, "NonFiniteMetric"),
        (f'{{"latency_ms": {"9" * 5000}}}', 0, None, "MetricMissing"),
        ("x" * 2**21, 0, None, "MetricMissing"),
        ("x" * 2**21, 1, None, "NonZeroExit"),
        ('{"latency_ms": 1}', 1, None, "NonZeroExit"),
        ('{"error": {"reason": "InvalidTrial", "message": "no file"}}', 1, None, "BenchmarkFailed"),
        ("", 137, Fault("OutOfMemory", "too much"), "OutOfMemory"),
        ("[" * 5000, 0, None, "MetricMissing"),
    ],
)
def test_what_a_benchmark_leaves_is_told_where_it_is_no_value(
    message: str, exit_code: int, fault: Fault | None, reason: str
) -> None:
    known = measuring()
    left = benchmark(known, phase=AttemptPhase.ENDED, exit_code=exit_code, message=message, fault=fault)
    (one,) = written(plan(seen(measured(LATENCY), [known], left), NOW)).measurements
    assert one.last_failure is not None
    assert one.last_failure.reason == reason
    assert one.completion_time is None


def test_a_disrupted_benchmark_is_repeated_and_no_failure() -> None:
    known = measuring()
    taken = Fault("DeletionByTaintManager", "the node is gone")
    left = benchmark(known, phase=AttemptPhase.ENDED, exit_code=137, disruption=taken)
    (one,) = written(plan(seen(measured(LATENCY), [known], left), NOW)).measurements
    assert (one.attempt, one.failures, one.last_failure) == (2, 0, None)


def test_a_device_that_was_unplugged_holds_nothing_up_for_ever() -> None:
    """Its pod is deleted by the cluster, and stays until the node says that it has ended, which may be never."""
    known, of = measuring(), measured(LATENCY, trials={"max": 1})
    lost = benchmark(known, phase=AttemptPhase.RUNNING, started=NOW, node="board-1", gone_by=NOW + 300)
    made = plan(seen(of, [known], lost), NOW + 314)
    assert (made.write, made.measure, made.wake_at) == ((), (), NOW + 315)
    (one,) = written(plan(seen(of, [known], lost), NOW + 315)).measurements
    assert (one.attempt, one.failures) == (2, 0)
    known = replace(known, status=known.status.model_copy(update={"measurements": [one]}))
    (again,) = plan(seen(of, [known], lost), NOW + 316).measure
    waits = benchmark(known, again.name, created=NOW + 316)
    assert condition(plan(seen(of, [known], lost, waits), NOW + 376), "DevicesAvailable")[:2] == (
        "False",
        "DeviceUnavailable",
    )
    given_up = written(plan(seen(of, [known], lost, waits), NOW + 3600))
    assert given_up.conditions[0].reason == "NotMeasured"


def test_a_benchmark_that_never_ends_is_given_up_in_time() -> None:
    known = measuring()
    of = measured({**LATENCY, "measuredOn": {**BOARD, "timeout": "10s"}})
    runs = benchmark(known, phase=AttemptPhase.RUNNING, started=NOW, node="board-1")
    made = plan(seen(of, [known], runs), NOW + 39)
    assert (made.write, made.wake_at) == ((), NOW + 40)
    (one,) = written(plan(seen(of, [known], runs), NOW + 40)).measurements
    assert one.last_failure is not None
    assert one.last_failure.reason == "Timeout"


def test_a_device_that_is_away_delays_only_measurements_and_not_for_ever() -> None:
    away = {**LATENCY, "measuredOn": {**BOARD, "maxWait": "1h"}}
    of = measured(away, trials={"max": 9, "parallelism": 1})
    known = [measuring(0), measuring(1)]
    waits = benchmark(known[0], waiting=Waiting("Unschedulable", "0/3 nodes are available", NOW))
    soon = plan(seen(of, known, waits), NOW + 59)
    assert condition(soon, "DevicesAvailable")[0] == "True"
    late = plan(seen(of, known, waits), NOW + 60)
    said = condition(late, "DevicesAvailable")
    assert said[:2] == ("False", "DeviceUnavailable")
    assert said[2] == f"2 measurements wait: no node takes pod {NAME}: 0/3 nodes are available"
    assert [one.spec.number for one in late.create] == [2], "trials go on"
    assert plan(seen(of, known, waits), NOW + 3599).write == ()
    given_up = plan(seen(of, known, waits), NOW + 3600)
    assert [write.status.phase for write in given_up.write] == ["Succeeded", "Succeeded"]
    assert [write.status.measurements[0].last_failure.reason for write in given_up.write if write.status] == [  # type: ignore[union-attr]
        "DeviceUnavailable"
    ] * 2


def test_a_benchmark_that_is_refused_hangs_no_experiment() -> None:
    of = measured(LATENCY, trials={"max": 9, "parallelism": 1})
    why = Refusal.after(None, "pods is forbidden: exceeded quota", NOW - 2)
    refused = replace(seen(of, [measuring()]), refusals={1: why})
    made = plan(refused, NOW)
    assert [one.name for one in made.measure] == [NAME], "it is tried again"
    assert [one.spec.number for one in made.create] == [1], "trials go on"
    assert condition(made, "TrialsScheduled")[0] == "True", "they are not what is refused"
    assert condition(made, "DevicesAvailable") == (
        "False",
        "DeviceUnavailable",
        "1 measurements wait: a pod is refused: pods is forbidden: exceeded quota",
    )
    assert made.wake_at == NOW + 3600
    again = Refusal.after(why, "exceeded quota", NOW)
    paused = plan(replace(refused, refusals={1: again}), NOW + 1)
    assert (paused.measure, paused.wake_at) == ((), NOW + 4)
    status = written(plan(refused, NOW + 3600))
    assert (status.phase, status.conditions[0].reason) == ("Succeeded", "NotMeasured")


def test_measurements_are_bounded_whatever_benchmarks_say() -> None:
    devices = [{**LATENCY, "metric": f"{letter * 63}"} for letter in "bcdefgh"]
    of, known = measured(*devices), trial(0, candidates=16, phase="Running")
    made = plan(observed(of, [known], [ended(known, results(*[{"accuracy": 0.9}] * 16))]), NOW)
    known = replace(known, status=written(made))
    assert len(known.status.measurements) == MAX_MEASUREMENTS
    names = [f"nas-0-device-{number}-{candidate}-1" for number in range(1, 8) for candidate in range(16)]
    left = [
        Attempt(name, known.name, AttemptPhase.ENDED, created=NOW, exit_code=1, message='"' * 4096, benchmark=1)
        for name in names
    ]
    status = written(plan(seen(of, [known], *left), NOW))
    assert all(one.last_failure is not None for one in status.measurements)
    assert len(json.dumps(status.dump()["measurements"], separators=(",", ":"))) < 96 * 1024


@given(st.dictionaries(st.text() | st.text().map("latency_ms_".__add__), st.floats() | st.integers() | st.text()))
@examples(50)
def test_whatever_a_benchmark_leaves_can_be_written_down(said: dict[str, Any]) -> None:
    known = measuring()
    left = benchmark(
        known, phase=AttemptPhase.ENDED, exit_code=0, message=json.dumps({**said, "latency_ms": 1.5}), node="board-1"
    )
    status = written(plan(seen(measured(LATENCY), [known], left), NOW))
    values = {m.name: m.value for m in TrialStatus.model_validate(status.dump()).results[0].metrics}
    assert (values["accuracy"], values["latency_ms"]) == (0.9, 1.5)
    assert all(name == "accuracy" or name.startswith("latency_ms") for name in values)


@given(st.text(), st.text(), st.sampled_from([0, 1, 137, None]))
@examples(30)
def test_whatever_a_benchmark_says_of_itself_can_be_written_down(reason: str, message: str, code: int | None) -> None:
    known = measuring()
    for said in (message, json.dumps({"error": {"reason": reason, "message": message}})):
        left = benchmark(known, phase=AttemptPhase.ENDED, exit_code=code, message=said)
        status = written(plan(seen(measured(LATENCY), [known], left), NOW))
        assert TrialStatus.model_validate(json.loads(json.dumps(status.dump()))) == status
        (one,) = status.measurements
        assert one.last_failure is not None
        assert one.last_failure.message


def test_a_benchmark_speaks_for_its_own_candidate_alone() -> None:
    of, last = measured(LATENCY, trials={"max": 4, "candidatesPerTrial": 2}), trial(0, candidates=2, phase="Running")
    known = replace(
        last,
        status=written(plan(observed(of, [last], [ended(last, results({"accuracy": 0.5}, {"accuracy": 0.6}))]), NOW)),
    )
    others = {"latency_ms": 1.0, "candidate": "1", "trial": "nas-7", "results": [{"candidate": "1"}]}
    left = benchmark(known, phase=AttemptPhase.ENDED, exit_code=0, message=json.dumps(others), node="board-1")
    status = written(plan(seen(of, [known], left), NOW))
    assert status.phase == "Measuring"
    assert [[m.name for m in one.metrics] for one in status.results] == [["accuracy", "latency_ms"], ["accuracy"]]


def test_a_device_that_works_has_nobody_given_up_however_long_its_queue_is() -> None:
    of = measured(LATENCY, trials={"max": 9, "parallelism": 0})
    known = [measuring(0), measuring(1)]
    runs = benchmark(known[0], phase=AttemptPhase.RUNNING, started=NOW + 7200, node="board-1")
    assert plan(seen(of, known, runs), NOW + 7200).write == ()


def test_an_experiment_goes_on_until_devices_have_measured_what_is_trained() -> None:
    of = measured(LATENCY, trials={"max": 1}, budget={"gpuHours": 1e-6})
    known = replace(measuring(), status=measuring().status.model_copy(update={"gpu_seconds": 3600.0}))
    made = plan(seen(of, [known]), NOW)
    assert [one.name for one in made.measure] == [NAME]
    assert made.write == ()
    assert condition(made, "Succeeded")[0] == "False"
    assert status_of(made).completion_time is None


PRICED = {**LATENCY, "measuredOn": {**BOARD, "priceClass": "board", "resources": {"limits": {"nvidia.com/gpu": 1}}}}
PRICES = {"default": 1.0, "board": 6.0}


def test_what_devices_take_is_spent_by_their_class_and_what_they_ask_for() -> None:
    of, known = measured(PRICED, budget={"cost": 4, "gpuHours": 9, "prices": PRICES}), measuring()
    runs = benchmark(known, phase=AttemptPhase.RUNNING, started=NOW, node="b", devices=GPU, price_class="board")
    made = plan(seen(of, [known], runs), NOW + 900)
    cost = status_of(made).cost
    assert cost is not None
    assert [(one.price_class, one.hours, one.cost) for one in cost.classes] == [("board", 0.25, 1.5)]
    assert cost.gpu_hours == pytest.approx(0.25 + known.status.gpu_seconds / 3600, abs=1e-4)
    assert spending_of(seen(of, [known], runs), NOW + 900).running == {"board": 1}
    broken = replace(runs, phase=AttemptPhase.ENDED, ended=NOW + 600, exit_code=1)
    status = written(plan(seen(of, [known], broken), NOW + 900))
    assert [(one.price_class, one.seconds) for one in status.class_seconds] == [("board", 600.0)]
    after = seen(of, [replace(known, status=status)], broken)
    assert spending_of(after, NOW + 999).spent.classes == {"board": 600_000}, "not twice, as long as the pod is there"


@pytest.mark.parametrize(
    ("device", "budget", "measures"),
    [
        ({}, {"gpuHours": 1e-6}, True),
        ({"resources": {"limits": {"cpu": 4}}}, {"gpuHours": 1e-6}, True),
        ({"resources": {"limits": {"nvidia.com/gpu": 1}}}, {"gpuHours": 1e-6}, False),
        (
            {"resources": {"limits": {"nvidia.com/gpu": 1}}},
            {"gpuHours": 1e-6, "deviceShares": {"nvidia.com/gpu": 0}},
            True,
        ),
        ({"resources": {"limits": {"nvidia.com/gpu": 1}}}, {"cost": 1e-6, "prices": PRICES}, True),
        ({"priceClass": "board"}, {"cost": 1e-6, "prices": PRICES}, False),
        ({"priceClass": "board"}, {"gpuHours": 1e-6, "prices": PRICES}, True),
    ],
)
def test_a_spent_budget_pays_for_no_further_measurement(
    device: dict[str, Any], budget: dict[str, Any], measures: bool
) -> None:
    """One that takes nothing of it goes on, and so does one that runs: what has been trained is worth its value."""
    of = measured({**LATENCY, "measuredOn": {**BOARD, **device}}, budget=budget, trials={"max": 1})
    spent = {"gpu_seconds": 3600.0, "class_seconds": [ClassSeconds(price_class="default", seconds=3600.0)]}
    known = measuring()
    known = replace(known, status=known.status.model_copy(update=spent))
    made = plan(seen(of, [known]), NOW)
    assert bool(made.measure) is measures
    assert status_of(made).completion_time is None
    if not measures:
        (one,) = written(made).measurements
        assert one.last_failure is not None
        assert one.last_failure.reason == "BudgetExhausted"
        assert "are spent" in written(made).conditions[0].message
        over = plan(seen(of, [replace(known, status=written(made))]), NOW)
        assert condition(over, "Failed")[:2] == ("True", "BudgetExhausted")
    runs = benchmark(known, phase=AttemptPhase.RUNNING, started=NOW - 1, node="board-1")
    assert plan(seen(of, [known], runs), NOW).write == ()


def test_nothing_is_measured_for_an_experiment_that_has_reached_its_goal() -> None:
    of = measured(LATENCY, objectives=[{"metric": "accuracy", "target": 0.8}, LATENCY])
    known = measuring(1)
    status = written(plan(seen(of, [succeeded(0, 1, 0.9, latency_ms=1.0), known]), NOW))
    assert (status.phase, status.conditions[0].reason) == ("Succeeded", "NotMeasured")
    assert "The experiment has ended" in status.conditions[0].message


def test_suspended_experiments_measure_nothing() -> None:
    of, known = measured(LATENCY, suspend=True), measuring()
    runs = benchmark(known, phase=AttemptPhase.RUNNING, started=NOW, node="board-1")
    runs = replace(runs, devices=GPU)
    made = plan(seen(of, [known], runs), NOW + 5)
    assert made.measure == ()
    status = written(made)
    assert [(one.attempt, one.failures, one.seconds) for one in status.measurements] == [(2, 0, 5.0)]
    assert status.gpu_seconds - known.status.gpu_seconds == 5.0
    known = replace(known, status=status)
    after = plan(seen(of, [known], runs), NOW + 6)
    assert (after.stop, after.measure, after.write) == ((runs,), (), ())
    resumed = plan(seen(measured(LATENCY), [known]), NOW + 7)
    assert [one.name for one in resumed.measure] == ["nas-0-device-1-0-2"]


def test_a_crowd_that_is_given_up_is_worked_off_in_groups() -> None:
    """And nothing is measured meanwhile that may be given up in the next one."""
    one = measuring()
    crowd = [replace(one, name=f"nas-{number}", number=number, uid=f"uid-{number}") for number in range(30)]
    of = measured(PRICED, budget={"gpuHours": 1e-6}, trials={"max": 30})
    made = plan(seen(of, crowd), NOW)
    assert [write.trial.number for write in made.write] == list(range(12))
    assert (made.measure, made.wake_at) == ((), NOW)


@pytest.mark.parametrize(
    ("changes", "field", "words"),
    [
        ({"evaluation": {"method": "zero-cost", "proxies": ["nwot"]}}, "objectives[1].measuredOn", "set it to train"),
        ({"fidelity": {"scheduler": "patience"}, "evaluation": {"epochs": 9}}, "fidelity.scheduler", "exported"),
    ],
)
def test_devices_need_networks(changes: dict[str, Any], field: str, words: str) -> None:
    found = [one for one in validate_spec(measured(LATENCY, **changes).spec).problems if one.field == field]
    assert words in found[0].message
