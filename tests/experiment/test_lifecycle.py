"""What becomes of one trial."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from kubenas.api.trial import MAX_CLASSES, MAX_CURVE_POINTS, Failure, TrialStatus
from kubenas.experiment import ends, lifecycle
from kubenas.experiment.lifecycle import Step, advance, prune, release
from kubenas.experiment.rules import Rules
from kubenas.experiment.state import Attempt, AttemptPhase, Curves, Fault, Readings, Trial, moment
from kubenas.experiment.statuses import MAX_RETRY_SECONDS, retry_at
from tests.experiment.builders import NOW, ended, error, results, running, trial

RULES = Rules(retries=3, timeout=None, required=("accuracy",))
FAILED_READING = Readings(fault=Fault("PrometheusDown", "no answer"))


def looked_at(
    of: Trial, attempt: Attempt | None, readings: Readings | None = None, rules: Rules = RULES, now: float = NOW
) -> Step:
    return advance(of, attempt, readings or Readings(read_at=NOW), rules, now)


def written(step: Step) -> TrialStatus:
    assert step.status is not None
    return step.status


def read(curves: Mapping[int, float], at: float = NOW, attempt: int = 1, **shown: float) -> Readings:
    """Values at steps that are epochs, as the trainer says, unless it shows something else."""
    curve: Curves = {
        "0": {step: {"accuracy": value, **({"epoch": step} | shown)} for step, value in curves.items()},
    }
    return Readings(read_at=at, curves={f"nas-0-{attempt}": curve})


# What a trial's end is


def test_result_of_the_termination_message() -> None:
    status = written(looked_at(trial(), ended(trial(), results({"loss": 1.0, "accuracy": 0.9}))))
    assert status.phase == "Succeeded"
    assert [(m.name, m.value) for m in status.results[0].metrics] == [("accuracy", 0.9), ("loss", 1.0)]
    assert status.results[0].source == "TerminationMessage"
    assert (status.conditions[0].type, status.conditions[0].reason) == ("Finished", "Succeeded")
    assert status.gpu_seconds == 9.0


def test_the_curve_is_read_to_its_end_before_a_result_counts() -> None:
    gone = ended(trial(), results({"accuracy": 0.9}), at=NOW)
    step = looked_at(trial(), gone, read({1: 0.5}, at=NOW))
    assert (step.status, step.read_now) == (None, True)
    status = written(looked_at(trial(), gone, read({1: 0.5, 3: 0.9}, at=NOW + ends.CLOCK_SECONDS)))
    assert [point.step for point in status.curve] == [1, 3]


def test_a_pod_that_has_ended_cannot_be_read() -> None:
    gone = ended(trial(), results({"accuracy": 0.9}), at=NOW)
    assert written(looked_at(trial(), gone, Readings(source="Pod"))).phase == "Succeeded"


def test_the_message_goes_before_the_curve() -> None:
    status = written(looked_at(trial(), ended(trial(), results({"accuracy": 0.9})), read({3: 0.5})))
    assert status.results[0].metrics[0].value == 0.9
    assert [point.metrics[0].value for point in status.curve] == [0.5]


def test_a_result_counts_whatever_the_exit_code() -> None:
    assert written(looked_at(trial(), ended(trial(), results({"accuracy": 0.9}), exit_code=143))).phase == "Succeeded"


def test_a_result_counts_although_the_pod_is_disrupted() -> None:
    disrupted = ended(trial(), results({"accuracy": 0.9}), disruption=Fault("EvictionByEvictionAPI", "drained"))
    assert written(looked_at(trial(), disrupted)).phase == "Succeeded"


def test_a_whole_curve_stands_in_for_the_message() -> None:
    status = written(looked_at(trial(), ended(trial(), at=NOW - 1), read({1: 0.3, 2: 0.4, 3: 0.5})))
    assert (status.phase, status.results[0].source, status.results[0].step) == ("Succeeded", "Prometheus", 3)
    assert [(m.name, m.value) for m in status.results[0].metrics] == [("accuracy", 0.5)]
    assert "Prometheus" in status.conditions[0].message


@pytest.mark.parametrize(
    "curve",
    [
        pytest.param(read({1: 0.3, 2: 0.4}), id="stops early"),
        pytest.param(read({100: 0.1}, epoch=1.0), id="steps are iterations"),
        pytest.param(read({100: 0.1}), id="a step beyond the epochs"),
        pytest.param(
            Readings(read_at=NOW, curves={"nas-0-1": {"0": {3: {"accuracy": 0.5}}}}), id="steps of an unknown kind"
        ),
        pytest.param(read({3: 0.5}, attempt=2), id="of another attempt"),
    ],
)
def test_a_curve_that_is_not_whole_is_no_result(curve: Readings) -> None:
    status = written(looked_at(trial(), ended(trial(), at=NOW - 1), curve))
    assert status.last_failure is not None
    assert status.last_failure.reason == "NoResult"


DRAINED = Fault("PreemptionByScheduler", "a pod of higher priority")


@pytest.mark.parametrize("epoch", [1.0, 3.0], ids=["first epoch", "last epoch"])
@pytest.mark.parametrize(
    ("of", "attempt", "failures"),
    [
        pytest.param(trial(), ended(trial(), exit_code=137), 1, id="killed"),
        pytest.param(trial(), ended(trial(), "Traceback", exit_code=1), 1, id="crashed"),
        pytest.param(trial(), ended(trial(), fault=Fault("OutOfMemory", "")), 1, id="out of memory, exit 0"),
        pytest.param(trial(), ended(trial(), error("TrainerError")), 1, id="failed by its own word, exit 0"),
        pytest.param(trial(), ended(trial(), exit_code=143, disruption=DRAINED), 0, id="preempted"),
        pytest.param(trial(), ended(trial(), disruption=DRAINED), 0, id="preempted, exit 0"),
        pytest.param(trial(), ended(trial(), fault=Fault("PodRejected", "no device")), 1, id="not admitted"),
        pytest.param(
            trial(pod="nas-0-1", start_time=moment(NOW - 9)),
            ended(trial(), fault=Fault("PodRejected", "no device")),
            0,
            id="not admitted again by a node that was restarted",
        ),
        pytest.param(trial(disruption="NodeLost", pod="nas-0-1"), None, 0, id="node lost, pod gone"),
        pytest.param(trial(), running(trial(), gone_by=NOW - 60), 1, id="deleted, on a node that does not answer"),
        pytest.param(trial(), ended(trial(), gone_by=NOW + 9), 1, id="deleted, exit 0"),
    ],
)
def test_no_curve_is_a_result_of_an_attempt_that_did_not_end_well(
    of: Trial, attempt: Attempt | None, failures: int, epoch: float
) -> None:
    status = written(looked_at(of, attempt, read({3: 0.1, 100: 0.1}, epoch=epoch)))
    assert (status.phase, status.attempt, status.failures, status.results) == ("Pending", 2, failures, [])


def test_the_curve_of_a_failed_attempt_is_not_its_successors() -> None:
    """Attempt 1 came to its last step and failed; attempt 2 completes."""
    first = trial()
    again = written(looked_at(first, ended(first, exit_code=1), read({1: 0.1, 2: 0.1, 3: 0.1})))
    second = replace(first, status=again)
    both = read({1: 0.5}, attempt=2)
    both.curves |= read({1: 0.1, 2: 0.1, 3: 0.1}).curves
    status = written(looked_at(second, ended(second, results({"accuracy": 0.9})), both))
    assert [(p.step, p.metrics[0].value) for p in status.curve] == [(1, 0.5)]
    silent = written(looked_at(second, ended(second), both))
    assert silent.last_failure is not None
    assert (silent.last_failure.reason, silent.results) == ("NoResult", [])


def test_the_curve_of_a_disrupted_attempt_goes_on_in_the_next_one() -> None:
    first = trial()
    taken = ended(first, exit_code=143, disruption=DRAINED)
    second = replace(first, status=written(looked_at(first, taken, read({1: 0.1, 2: 0.2, 3: 0.3}))))
    done = ended(second, results({"accuracy": 0.9}))
    resumed = written(looked_at(second, done, read({3: 0.5, 4: 0.6}, attempt=2)))
    assert [p.metrics[0].value for p in resumed.curve] == [0.1, 0.2, 0.5, 0.6]
    anew = written(looked_at(second, done, read({1: 0.4}, attempt=2)))
    assert [p.metrics[0].value for p in anew.curve] == [0.4]


def test_the_last_values_are_waited_for() -> None:
    gone = ended(trial(), at=NOW)
    for stale in (Readings(), read({3: 0.5}, at=NOW - 1)):
        step = looked_at(trial(), gone, stale)
        assert (step.status, step.read_now, step.wake_at) == (None, True, NOW + ends.READING_SECONDS)
    late = NOW + ends.READING_SECONDS
    assert written(looked_at(trial(), gone, now=late)).last_failure is not None
    assert written(looked_at(trial(), gone, FAILED_READING)).last_failure is not None, (
        "readings fail: no use in waiting"
    )


def test_an_error_in_the_message_is_not_waited_for() -> None:
    step = looked_at(trial(), ended(trial(), error("OutOfMemory"), exit_code=1, at=NOW))
    assert written(step).last_failure is not None
    assert not step.read_now


# Why it failed

OOM = Fault("OutOfMemory", "the container was killed")


@pytest.mark.parametrize(
    ("attempt", "reason"),
    [
        (ended(trial(), error("TrainerError"), exit_code=1), "TrainerError"),
        (ended(trial(), error("not CamelCase"), exit_code=1), "TrainerError"),
        (ended(trial(), "{", exit_code=0), "InvalidResult"),
        (ended(trial(), '{"results": 1}', exit_code=0), "InvalidResult"),
        (ended(trial(), '{"results": []}', exit_code=0), "InvalidResult"),
        (ended(trial(), "Traceback: boom", exit_code=1), "NonZeroExit"),
        (ended(trial(), "", exit_code=137), "NonZeroExit"),
        (ended(trial(), "", exit_code=0), "NoResult"),
        (ended(trial(), error("TrainerError"), exit_code=137, fault=OOM), "OutOfMemory"),
        (ended(trial(), "", exit_code=143, gone_by=NOW), "PodDeleted"),
        (running(trial(), fault=Fault("ImagePullFailed", "no such image")), "ImagePullFailed"),
        (running(trial(), gone_by=NOW - lifecycle.LOST_SECONDS - 1), "PodDeleted"),
    ],
)
def test_reason_of_a_failure(attempt: Attempt, reason: str) -> None:
    status = written(looked_at(trial(), attempt, FAILED_READING))
    assert status.last_failure is not None
    assert status.last_failure.reason == reason
    assert status.last_failure.message
    assert (status.phase, status.attempt, status.failures, status.pod) == ("Pending", 2, 1, None)


def test_the_log_is_part_of_a_failure() -> None:
    status = written(looked_at(trial(), ended(trial(), "Traceback: boom", exit_code=3), FAILED_READING))
    assert status.last_failure is not None
    assert status.last_failure.message == "the trainer exited with 3: Traceback: boom"


def test_a_signal_is_named() -> None:
    status = written(looked_at(trial(), ended(trial(), exit_code=137), FAILED_READING))
    assert status.last_failure is not None
    assert status.last_failure.message == "the trainer exited with 137 (SIGKILL)"


def test_lines_of_json_in_the_log_are_the_cause() -> None:
    log = '{"level": "info"}\n{"level": "error", "message": "\\u001b[31mno such file\x1b[0m"}'
    status = written(looked_at(trial(), ended(trial(), log, exit_code=1), FAILED_READING))
    assert status.last_failure is not None
    assert status.last_failure.reason == "NonZeroExit"
    assert "no such file" in status.last_failure.message
    assert "\x1b" not in status.last_failure.message


def test_metrics_that_a_result_cannot_hold_are_named_in_the_status() -> None:
    reported = {"accuracy": 0.9, "val/loss": 0.1} | {f"m{n}": float("inf") for n in range(9)}
    status = written(looked_at(trial(), ended(trial(), results(reported))))
    assert [(m.name, m.value) for m in status.results[0].metrics] == [("accuracy", 0.9)]
    message = status.conditions[0].message
    assert message.startswith("The trainer reported its results. Not kept of them: val/loss (a name has")
    assert message.endswith("; and 5 more.")


def test_a_pod_that_was_deleted_while_someone_looked_is_a_failure() -> None:
    status = written(looked_at(trial(phase="Running", pod="nas-0-1"), running(trial()).departed(NOW - 1)))
    assert status.last_failure is not None
    assert status.last_failure.reason == "PodDeleted"


def test_a_pod_that_went_while_nobody_looked_is_none() -> None:
    """As where a node is lost together with the operator on it."""
    status = written(looked_at(trial(phase="Running", pod="nas-0-1"), None))
    assert (status.phase, status.attempt, status.failures, status.last_failure) == ("Pending", 2, 0, None)


def test_a_result_counts_although_the_pod_is_gone() -> None:
    gone = ended(trial(), results({"accuracy": 0.9})).departed(NOW)
    assert written(looked_at(trial(), gone)).phase == "Succeeded"


def test_a_pod_that_was_never_seen_is_waited_for() -> None:
    assert looked_at(trial(), None) == Step()


def test_a_removed_pod_may_take_its_grace() -> None:
    leaving = running(trial(), gone_by=NOW - 1)
    step = looked_at(trial(phase="Running", pod="nas-0-1"), leaving)
    assert step.status is None or step.status.failures == 0
    assert step.wake_at == NOW - 1 + lifecycle.LOST_SECONDS


def test_timeout() -> None:
    limited = replace(RULES, timeout=60.0)
    late = written(looked_at(trial(), running(trial(), started=NOW - 60), rules=limited))
    assert late.last_failure is not None
    assert late.last_failure.reason == "Timeout"
    assert looked_at(trial(), running(trial(), started=NOW - 59), rules=limited).wake_at == NOW + 1
    waiting = running(trial(), started=NOW - 60, phase=AttemptPhase.WAITING)
    assert written(looked_at(trial(), replace(waiting, started=None), rules=limited)).failures == 0, "waiting is no run"


def test_a_trial_succeeds_with_the_results_of_some_candidates() -> None:
    of = trial(candidates=3)
    failure = {"candidate": "1", "error": {"reason": "OutOfMemory", "message": "2 GiB"}}
    message = json.loads(results({"accuracy": 0.5}, {}, {"accuracy": 0.25}))
    message["results"][1] = failure
    status = written(looked_at(of, ended(of, json.dumps(message))))
    assert (status.phase, status.failures) == ("Succeeded", 0)
    assert [one.candidate for one in status.results] == ["0", "2"]
    assert [one.model_dump() for one in status.failed_candidates] == [
        {"candidate": "1", "reason": "OutOfMemory", "message": "2 GiB"}
    ]
    said = "The trainer reported results of 2 candidates; failed have 1 (OutOfMemory)."
    assert status.conditions[0].message == said


def test_a_trial_without_any_result_fails_by_its_first_candidate() -> None:
    of = trial(candidates=2)
    failures = [{"candidate": str(n), "error": {"reason": f"Broken{n}", "message": "x"}} for n in range(2)]
    attempt = ended(of, json.dumps({"results": failures}))
    again = written(looked_at(of, attempt))
    assert (again.phase, again.failures, again.failed_candidates) == ("Pending", 1, [])
    status = written(looked_at(of, attempt, rules=replace(RULES, retries=0)))
    assert status.phase == "Failed"
    assert (status.conditions[0].reason, status.conditions[0].message) == ("Broken0", "candidate 0: x")
    assert [one.reason for one in status.failed_candidates] == ["Broken0", "Broken1"]


def shown(*values: Mapping[str, float]) -> Readings:
    """The last values of each candidate."""
    curves: Curves = {str(i): {step: dict(v)} for i, v in enumerate(values) if v for step in (int(v["epoch"]),)}
    return Readings(read_at=NOW, curves={"nas-0-1": curves})


def test_a_candidate_that_has_ended_without_an_objective_fails_its_trial_at_once() -> None:
    of = trial(candidates=3)
    done, begun = {"epoch": 3.0, "loss": 0.5}, {"epoch": 1.0, "loss": 0.9}
    status = written(looked_at(of, running(of), shown(done, begun, {})))
    assert status.phase == "Failed"
    assert status.conditions[0].reason == "MetricMissing"
    assert status.conditions[0].message == ("candidate 0 has ended without accuracy, an objective; it reported loss")


@pytest.mark.parametrize(
    "values",
    [
        pytest.param(shown({"epoch": 3.0, "loss": 0.5}), id="its last report may still come"),
        pytest.param(shown({"epoch": 2.0, "loss": 0.5}, {"epoch": 1.0, "loss": 0.5}), id="not trained to its end"),
        pytest.param(shown({"epoch": 3.0, "accuracy": 0.5}, {"epoch": 1.0, "loss": 0.5}), id="reported"),
        pytest.param(
            shown({"epoch": 3.0, "loss": 0.5}, {"epoch": 3.0, "accuracy": 0.5}, {"epoch": 1.0, "loss": 0.5}),
            id="another candidate has it",
        ),
        pytest.param(Readings(), id="nothing read"),
    ],
)
def test_an_objective_that_may_still_come_is_waited_for(values: Readings) -> None:
    of = trial(candidates=3)
    assert written(looked_at(of, running(of), values)).phase == "Running"


# Retries


def test_as_many_retries_as_allowed() -> None:
    of = trial()
    for attempt in range(1, 5):
        of = replace(of, status=written(looked_at(of, ended(of, exit_code=1), FAILED_READING)))
        assert of.status.failures == attempt
    assert of.status.phase == "Failed"
    assert of.status.attempt == 4
    assert of.status.conditions[0].reason == "NonZeroExit"
    assert of.status.gpu_seconds == 36.0, "all attempts are paid for"


@pytest.mark.parametrize(
    "message",
    [
        pytest.param(error("InvalidTrial"), id="invalid trial"),
        pytest.param(results({"loss": 0.5}), id="metric missing"),
        pytest.param(error("NonFiniteMetric"), id="diverged, and would again with its seed"),
        pytest.param(results({"accuracy": float("nan")}), id="diverged, told by the result"),
        pytest.param(error("ResultsTooLarge"), id="results too large"),
    ],
)
def test_what_no_retry_can_mend_is_not_retried(message: str) -> None:
    status = written(looked_at(trial(), ended(trial(), message, exit_code=1)))
    assert (status.phase, status.failures) == ("Failed", 1)


def test_no_retries() -> None:
    status = written(looked_at(trial(), ended(trial(), error("TrainerError")), rules=replace(RULES, retries=0)))
    assert status.phase == "Failed"


@pytest.mark.parametrize("failures", [0, 1, 3, 50])
def test_a_disruption_is_not_counted(failures: int) -> None:
    of = trial(failures=failures, attempt=failures + 1)
    drained = Fault("EvictionByEvictionAPI", "drained")
    for attempt in (ended(of, exit_code=143, disruption=drained), ended(of, error("TrainerError"), disruption=drained)):
        status = written(looked_at(of, attempt, FAILED_READING))
        assert (status.phase, status.failures, status.attempt) == ("Pending", failures, of.status.attempt + 1)
        assert retry_at(status) == 0.0
        assert status.disruption is None


def test_a_disruption_seen_before_the_pod_was_gone_is_remembered() -> None:
    of = trial()
    drained = running(of, disruption=Fault("DeletionByTaintManager", "node lost"))
    noted = written(looked_at(of, drained))
    assert noted.disruption == "DeletionByTaintManager"
    again = written(looked_at(replace(of, status=noted), None))
    assert (again.failures, again.attempt, again.disruption) == (0, 2, None)


def test_pauses_double_and_end() -> None:
    def pause(failures: int) -> float:
        failure = Failure(attempt=failures, reason="A", message="", time=datetime.fromtimestamp(NOW, UTC))
        status = TrialStatus(attempt=failures + 1, failures=failures, last_failure=failure)
        return retry_at(status) - NOW

    assert [pause(n) for n in (1, 2, 3, 20)] == [2, 4, 8, MAX_RETRY_SECONDS]


def test_no_pause_after_a_disruption_that_followed_a_failure() -> None:
    failure = Failure(attempt=1, reason="A", message="", time=datetime.fromtimestamp(NOW, UTC))
    assert retry_at(TrialStatus(attempt=3, failures=1, last_failure=failure)) == 0.0


# States in between


def test_short_states_are_not_written() -> None:
    young = running(trial(), started=NOW - 0.5)
    assert looked_at(trial(), young) == Step(wake_at=young.created + lifecycle.SETTLE_SECONDS)
    old = NOW - lifecycle.SETTLE_SECONDS
    status = written(looked_at(trial(), running(trial(), started=old, node="node-1")))
    assert (status.phase, status.pod, status.node) == ("Running", "nas-0-1", "node-1")
    assert looked_at(replace(trial(), status=status), running(trial(), started=old, node="node-1")).status is None


def test_a_waiting_pod_is_pending() -> None:
    waiting = replace(running(trial()), phase=AttemptPhase.WAITING, started=None)
    status = written(looked_at(trial(), waiting))
    assert (status.phase, status.pod, status.start_time) == ("Pending", "nas-0-1", None)


def test_the_curve_is_kept_each_minute() -> None:
    of = trial()
    attempt = running(of, started=NOW - 10)
    of = replace(of, status=written(looked_at(of, attempt)))
    assert looked_at(of, attempt, read({1: 0.1})).status is None, "too early"
    minute = NOW - 10 + lifecycle.CURVE_SECONDS
    of = replace(of, status=written(looked_at(of, attempt, read({1: 0.1}, at=minute), now=minute)))
    assert [(p.step, p.metrics[0].value) for p in of.status.curve] == [(1, 0.1)]
    assert looked_at(of, attempt, read({1: 0.1, 2: 0.2}, at=minute + 5), now=minute + 5).status is None
    later = minute + lifecycle.CURVE_SECONDS
    assert len(written(looked_at(of, attempt, read({1: 0.1, 2: 0.2}, at=later), now=later)).curve) == 2


# Ends that come from outside


@pytest.mark.parametrize("curve", [{}, {1: 0.25, 2: 0.5}])
def test_prune_keeps_the_last_values(curve: dict[int, float]) -> None:
    fault = Fault("GoalReached", "The experiment has ended")
    status = prune(trial(), running(trial()), read(curve), fault, RULES, NOW)
    assert (status.phase, status.conditions[0].reason) == ("Pruned", "GoalReached")
    assert [r.step for r in status.results] == ([2] if curve else [])
    assert status.gpu_seconds == 10.0


def test_prune_keeps_more_than_the_objectives_of_what_was_read_last() -> None:
    status = prune(trial(), running(trial()), read({1: 0.25, 2: 0.5}, loss=1.5), Fault("Stage", "over"), RULES, NOW)
    assert [(r.step, [m.name for m in r.metrics]) for r in status.results] == [(2, ["accuracy", "loss"])]
    assert {m.name for point in status.curve for m in point.metrics} == {"accuracy"}


def test_release_counts_no_failure_and_keeps_the_curve() -> None:
    status = release(trial(), running(trial()), read({1: 0.25}), RULES, NOW)
    assert status is not None
    assert (status.phase, status.attempt, status.failures, status.pod) == ("Pending", 2, 0, None)
    assert [p.step for p in status.curve] == [1]
    assert status.gpu_seconds == 10.0
    assert release(trial(), None, Readings(), RULES, NOW) is None, "nothing runs: nothing changes"


def test_statuses_fit_the_schema_whatever_trainers_say() -> None:
    long: dict[str, Any] = {"exit_code": 1}
    loud = looked_at(trial(), ended(trial(), "x" * 100_000, **long), FAILED_READING, replace(RULES, retries=0))
    noisy = looked_at(trial(), ended(trial(), error("E", "x" * 100_000)), rules=replace(RULES, retries=0))
    curve = looked_at(trial(), ended(trial(), results({"accuracy": 1})), read(dict.fromkeys(range(10_000), 0.5)))
    for step in (loud, noisy, curve):
        status = written(step)
        assert TrialStatus.model_validate_json(status.model_dump_json(exclude_none=True)) == status
    assert len(written(curve).curve) == MAX_CURVE_POINTS


def test_pods_that_were_taken_away_are_counted() -> None:
    disrupted = ended(trial(disruptions=1), exit_code=143, disruption=Fault("DisruptionTarget", "drained"))
    status = written(looked_at(trial(disruptions=1), disrupted))
    assert (status.attempt, status.disruptions, status.failures) == (2, 2, 0)
    failed = written(looked_at(trial(disruptions=1), ended(trial(), exit_code=1)))
    assert (failed.attempt, failed.disruptions, failed.failures) == (2, 1, 1)
    released = release(trial(disruptions=1), running(trial()), Readings(), RULES, NOW)
    assert released is not None
    assert (released.attempt, released.disruptions) == (2, 1)


def test_a_pod_that_vanished_is_paid_as_what_it_was() -> None:
    """As those of a lost node may while no operator runs."""
    known = trial(pod="nas-0-1", start_time=moment(NOW - 60), price_class="spot", gpus=2.0, gpu_seconds=5.0)
    status = written(looked_at(known, None))
    assert (status.disruptions, status.price_class, status.gpus) == (1, None, None)
    assert status.gpu_seconds == 125.0
    assert [(one.price_class, one.seconds) for one in status.class_seconds] == [("spot", 60.0)]


def test_a_trial_has_no_more_price_classes_than_its_status_has_room_for() -> None:
    """However often the template was changed: all time is kept."""
    many = [{"price_class": f"c{n:02}", "seconds": 1.0} for n in range(MAX_CLASSES)]
    status = written(
        looked_at(trial(class_seconds=many, pod="nas-0-1", start_time=moment(NOW - 7), price_class="z"), None)
    )
    assert len(status.class_seconds) == MAX_CLASSES
    assert sum(one.seconds for one in status.class_seconds) == MAX_CLASSES + 7
