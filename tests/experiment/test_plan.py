"""What is done for a whole experiment."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from kubenas.api.base import Condition
from kubenas.api.errors import SpecError
from kubenas.api.status import ExperimentStatus
from kubenas.api.trial import ClassSeconds, FailedCandidate, TrialStatus
from kubenas.experiment.actions import Plan
from kubenas.experiment.lifecycle import LOST_SECONDS
from kubenas.experiment.plan import plan
from kubenas.experiment.state import AttemptPhase, Fault, Readings, Trial, Waiting, moment
from tests.experiment.builders import (
    CELL,
    NOW,
    candidate,
    ended,
    error,
    experiment,
    observed,
    planned,
    results,
    running,
    status_of,
    succeeded,
    trial,
)


def condition(made: Plan, kind: str) -> Condition:
    return next(c for c in status_of(made).conditions if c.type == kind)


def numbers(made: Plan) -> list[int]:
    return [new.spec.number for new in made.create]


# Filling the slots


def test_a_pod_that_is_gone_is_not_made_again_under_its_name() -> None:
    """What follows is another attempt, once that is written; the slot is kept for it."""
    gone = trial(0, phase="Running", pod="nas-0-1")
    made = planned(experiment(trials={"max": 8, "parallelism": 2}), trials=[gone])
    assert [write.status.attempt for write in made.write] == [2]
    assert made.start == ()
    assert numbers(made) == [1]
    then = planned(experiment(trials={"max": 1}), trials=[replace(gone, status=made.write[0].status)])
    assert [one.attempt_name for one in then.start] == ["nas-0-2"]


def test_the_first_trials() -> None:
    made = planned(experiment(trials={"max": 8, "parallelism": 3}))
    assert [new.name for new in made.create] == ["nas-0", "nas-1", "nas-2"]
    assert [new.spec.results_seen for new in made.create] == [0, 0, 0]
    assert len({new.spec.candidates[0].name for new in made.create}) == 3
    assert made.create[0].spec.candidates[0].epochs == 3
    assert status_of(made).phase == "Running"
    assert status_of(made).start_time == moment(NOW)
    assert [a.reason for a in made.announce] == ["Started"]


def test_no_more_trials_than_allowed() -> None:
    assert numbers(planned(experiment(trials={"max": 2, "parallelism": 3}))) == [0, 1]
    done = [succeeded(0, 1, 0.5), trial(1)]
    assert numbers(planned(experiment(trials={"max": 3, "parallelism": 3}), trials=done)) == [2]


def test_candidates_per_trial() -> None:
    made = planned(experiment(trials={"max": 2, "parallelism": 1, "candidatesPerTrial": 3}))
    assert [c.id for c in made.create[0].spec.candidates] == ["0", "1", "2"]


def test_a_written_trial_without_a_pod_is_started() -> None:
    made = planned(experiment(trials={"max": 2, "parallelism": 2}), trials=[trial(0)])
    assert [t.name for t in made.start] == ["nas-0"]
    assert numbers(made) == [1]


def test_an_ending_counts_once_it_is_written() -> None:
    of = experiment(trials={"max": 8, "parallelism": 2})
    gone = [ended(trial(0), results({"accuracy": 0.5})), running(trial(1))]
    made = planned(of, trials=[trial(0), trial(1)], attempts=gone)
    assert [(w.trial.name, w.status.phase, w.status.order) for w in made.write[:1]] == [("nas-0", "Succeeded", 1)]
    assert (made.start, made.create, made.stop) == ((), (), ())
    after = planned(of, trials=[succeeded(0, 1, 0.5), trial(1)], attempts=gone)
    assert [(new.spec.number, new.spec.results_seen) for new in after.create] == [(2, 1)]
    assert [a.name for a in after.stop] == ["nas-0-1"]


@pytest.mark.parametrize("missing", range(1, 5))
def test_a_missing_number_is_proposed_again_as_it_was(missing: int) -> None:
    """Five trials were proposed together, one was not written before a crash, and more has become known since."""
    of = experiment(trials={"max": 8, "parallelism": 8}, search={"algorithm": "regularized-evolution", "seed": 3})
    first = succeeded(0, 1, 0.5)
    made = planned(of, trials=[first])
    proposed = {new.spec.number: new.spec for new in made.create[:5]}
    known = [first]
    for order, (number, spec) in enumerate(sorted(proposed.items()), start=2):
        if number != missing:
            known.append(replace(succeeded(number, order, 0.6), results_seen=1, candidates=tuple(spec.candidates)))
    again = planned(of, trials=known).create[0].spec
    if missing < max(proposed):
        assert again == proposed[missing]
    else:
        assert (again.number, again.results_seen) == (missing, 5)


def test_a_trial_s_value_is_its_best_candidate_s_primary_objective() -> None:
    of = experiment(objectives=[{"metric": "loss", "goal": "minimize"}, {"metric": "size", "limit": 5}])
    running_trial = trial(0, candidates=3)
    message = results({"accuracy": 0.9, "loss": 3.0, "size": 9}, {"loss": 2.0, "size": 6}, {"loss": 1.0, "size": 0})
    made = planned(of, trials=[running_trial], attempts=[ended(running_trial, message)])
    assert made.write[0].status.value == 2.0


def test_endings_are_numbered_on() -> None:
    both = [trial(3), trial(2)]
    made = planned(
        experiment(trials={"parallelism": 9}),
        trials=[succeeded(0, 4, 0.5), *both],
        attempts=[ended(t, results({"accuracy": 0.5})) for t in both],
    )
    assert sorted(w.status.order or 0 for w in made.write) == [5, 6]


def test_the_pod_of_a_result_goes_and_that_of_a_failure_stays_for_its_log() -> None:
    failed = trial(1, phase="Failed", order=2)
    attempts = [ended(trial(0), results({"accuracy": 0.5})), ended(trial(1), exit_code=1)]
    made = planned(experiment(), trials=[succeeded(0, 1, 0.5), failed], attempts=attempts)
    assert [a.trial for a in made.stop] == ["nas-0"]
    alive = planned(experiment(), trials=[failed], attempts=[running(trial(1))])
    assert [a.trial for a in alive.stop] == ["nas-1"], "a failed trial's pod that runs holds a GPU"


def test_a_pod_whose_trainer_has_ended_but_that_goes_on_is_stopped_and_waited_for() -> None:
    """A sidecar may go on for ever, and holds the pod's devices."""
    of = experiment(trials={"parallelism": 1})
    lingering = ended(trial(0), exit_code=1, lingers=True)
    made = planned(of, trials=[trial(0, phase="Failed", order=1)], attempts=[lingering])
    assert ([a.name for a in made.stop], numbers(made)) == (["nas-0-1"], [])
    again = planned(of, trials=[trial(0, attempt=2)], attempts=[lingering])
    assert ([a.name for a in again.stop], again.start) == (["nas-0-1"], ())


def test_what_is_gone_is_not_stopped() -> None:
    gone = running(trial(0)).departed(NOW)
    made = planned(experiment(), trials=[trial(0, attempt=2)], attempts=[gone])
    assert (made.stop, [t.attempt_name for t in made.start]) == ((), ["nas-0-2"])


def test_pods_of_no_trial_are_stopped_once() -> None:
    stray = running(trial(7))
    assert planned(experiment(), attempts=[stray]).stop == (stray,)
    assert planned(experiment(), attempts=[replace(stray, gone_by=NOW + 30)]).stop == ()


@pytest.mark.parametrize(("parallelism", "created"), [(4, [2, 3]), (2, []), (1, []), (0, [])])
def test_parallelism_up_and_down(parallelism: int, created: list[int]) -> None:
    two = [trial(0), trial(1)]
    made = planned(
        experiment(trials={"parallelism": parallelism}), trials=two, attempts=[running(t, started=NOW) for t in two]
    )
    assert numbers(made) == created
    assert (made.write, made.stop) == ((), ()), "what runs goes on"


def test_retries_go_before_new_trials_and_keep_their_place_while_they_pause() -> None:
    of = experiment(trials={"parallelism": 2, "retries": 3})
    failing = trial(0)
    made = planned(of, trials=[failing], attempts=[ended(failing, error("TrainerError"), exit_code=1)])
    pausing = replace(failing, status=made.write[0].status)
    during = planned(of, trials=[pausing, trial(1)])
    assert ([t.number for t in during.start], numbers(during), during.wake_at) == ([1], [], NOW + 2)
    after = planned(of, trials=[pausing, trial(1)], now=NOW + 2)
    assert [t.attempt_name for t in after.start] == ["nas-0-2", "nas-1-1"]
    one = planned(experiment(trials={"parallelism": 1}), trials=[pausing, trial(1)], now=NOW + 2)
    assert [t.number for t in one.start] == [0]


def test_a_pod_that_still_ends_keeps_its_place() -> None:
    """Two attempts of a trial would share its checkpoints, and one more trial than allowed would hold a GPU."""
    of = experiment(trials={"parallelism": 1, "timeout": "60s"})
    first = trial(0, attempt=1)
    leaving = running(first, gone_by=NOW + 30)
    second = trial(0, attempt=2)
    assert planned(of, trials=[second], attempts=[leaving]).start == ()
    assert planned(experiment(trials={"parallelism": 2}), trials=[second], attempts=[leaving]).start == ()
    pruned = trial(0, phase="Pruned", order=1)
    assert planned(of, trials=[pruned], attempts=[leaving]).create == ()
    lost = running(first, gone_by=NOW - LOST_SECONDS - 1)
    assert [t.attempt_name for t in planned(of, trials=[second], attempts=[lost]).start] == ["nas-0-2"]
    gone = ended(first, exit_code=143, gone_by=NOW + 30)
    assert [t.attempt_name for t in planned(of, trials=[second], attempts=[gone]).start] == ["nas-0-2"]


@pytest.mark.parametrize("there", [{0, 2}, {1, 2}, {0, 2, 3}, {0, 2, 3, 5}, {1}])
def test_the_smallest_free_number_is_taken(there: set[int]) -> None:
    made = planned(experiment(trials={"parallelism": 1}), trials=[succeeded(n, n + 1, 0.5) for n in there])
    assert numbers(made) == [min(set(range(9)) - there)]


def test_the_number_of_a_deleted_trial_is_taken_again_by_itself() -> None:
    of = experiment(trials={"max": 8, "parallelism": 8})
    there = [succeeded(0, 1, 0.5), succeeded(2, 2, 0.6)]
    assert numbers(planned(of, trials=there)) == [1]
    assert numbers(planned(of, trials=[*there, trial(1)])) == [3, 4, 5, 6, 7]


# Suspend, deletion, refusal


def test_suspend_releases_what_runs_and_starts_nothing() -> None:
    of = experiment(suspend=True, trials={"parallelism": 2})
    both = [trial(0, phase="Running", pod="nas-0-1"), trial(1)]
    made = planned(of, trials=both, attempts=[running(t) for t in both])
    assert [(w.status.phase, w.status.attempt, w.status.failures) for w in made.write] == [("Pending", 2, 0)] * 2
    released = [replace(w.trial, status=w.status) for w in made.write]
    then = planned(of, trials=released, attempts=[running(t) for t in both])
    assert [a.name for a in then.stop] == ["nas-0-1", "nas-1-1"]
    assert (then.write, then.start, then.create) == ((), (), ())
    assert status_of(then).phase == "Suspended"
    resumed = planned(experiment(trials={"parallelism": 2}), trials=released)
    assert [t.attempt_name for t in resumed.start] == ["nas-0-2", "nas-1-2"]


def test_a_result_that_comes_while_suspending_counts() -> None:
    made = planned(experiment(suspend=True), trials=[trial(0)], attempts=[ended(trial(0), results({"accuracy": 0.5}))])
    assert made.write[0].status.phase == "Succeeded"


def test_nothing_is_done_for_a_deleted_experiment() -> None:
    assert planned(experiment(deleted=True), trials=[trial(0)], attempts=[running(trial(3))]) == Plan()


def test_a_refused_experiment_starts_nothing() -> None:
    problem = SpecError("spec.search.settings.size", "is no setting")
    made = planned(experiment(), trials=[trial(0)], problems=[problem])
    assert (made.start, made.create) == ((), ())
    assert status_of(made).phase == "Rejected"
    accepted = condition(made, "Accepted")
    assert (accepted.status, accepted.reason) == ("False", "InvalidSpec")
    assert accepted.message == "spec.search.settings.size: is no setting"
    assert [a.reason for a in made.announce if a.kind == "Warning"] == ["InvalidSpec"]


# Ends


def test_the_end_of_all_trials() -> None:
    of = experiment(trials={"max": 2})
    made = planned(of, trials=[succeeded(0, 1, 0.5), succeeded(1, 2, 0.75)])
    status = status_of(made)
    assert (status.phase, status.progress, status.completion_time) == ("Succeeded", "2/2", moment(NOW))
    assert condition(made, "Succeeded").reason == "TrialsCompleted"
    assert condition(made, "Failed").status == "False"
    assert status.best is not None
    assert (status.best.trial, status.best.value) == ("nas-1", 0.75)


def test_a_larger_budget_lifts_the_end() -> None:
    trials = [succeeded(0, 1, 0.5), succeeded(1, 2, 0.75)]
    over = status_of(planned(experiment(trials={"max": 2}), trials=trials))
    made = planned(experiment(over, generation=2, trials={"max": 3}), trials=trials)
    status = status_of(made)
    assert numbers(made) == [2]
    assert (status.phase, status.completion_time, status.start_time) == ("Running", None, over.start_time)


@pytest.mark.parametrize(
    ("objectives", "metrics", "over"),
    [
        ([{"metric": "accuracy", "target": 0.9}], {"accuracy": 0.9}, True),
        ([{"metric": "accuracy", "target": 0.9}], {"accuracy": 0.89}, False),
        ([{"metric": "accuracy"}], {"accuracy": 1.0}, False),
        ([{"metric": "loss", "goal": "minimize", "target": 0.1}], {"accuracy": 0, "loss": 0.05}, True),
        ([{"metric": "loss", "goal": "minimize", "target": 0.1}], {"accuracy": 0, "loss": 0.15}, False),
        (
            [{"metric": "accuracy", "target": 0.9}, {"metric": "ms", "goal": "minimize", "limit": 10}],
            {"accuracy": 0.95, "ms": 11},
            False,
        ),
        (
            [{"metric": "accuracy", "target": 0.9}, {"metric": "ms", "goal": "minimize", "target": 10}],
            {"accuracy": 0.95, "ms": 11},
            False,
        ),
        (
            [{"metric": "accuracy", "target": 0.9}, {"metric": "ms", "goal": "minimize", "target": 10}],
            {"accuracy": 0.95, "ms": 9},
            True,
        ),
    ],
)
def test_targets_and_limits(objectives: list[dict[str, object]], metrics: dict[str, float], over: bool) -> None:
    of = experiment(objectives=objectives, trials={"parallelism": 2})
    made = planned(of, trials=[succeeded(0, 1, **metrics), trial(1)], attempts=[running(trial(1))])
    if over:
        assert [(w.trial.number, w.status.phase, w.status.order) for w in made.write] == [(1, "Pruned", 2)]
        assert made.write[0].status.conditions[0].reason == "GoalReached"
        assert status_of(made).phase == "Running", "over once nothing is left unfinished"
    else:
        assert all(w.status.phase != "Pruned" for w in made.write)


def test_the_end_comes_once_nothing_is_unfinished() -> None:
    of = experiment(objectives=[{"metric": "accuracy", "target": 0.9}])
    pruned = trial(1, phase="Pruned", order=2)
    made = planned(of, trials=[succeeded(0, 1, 0.95), pruned])
    assert condition(made, "Succeeded").reason == "GoalReached"
    assert (made.create, status_of(made).counts) == ((), status_of(made).counts)


def test_no_architecture_within_the_limits() -> None:
    of = experiment(objectives=[{"metric": "accuracy", "limit": 0.9}], trials={"max": 1})
    made = planned(of, trials=[succeeded(0, 1, 0.5)])
    assert status_of(made).best is None
    assert condition(made, "Succeeded").message == "1 of 1 trials have a result. No architecture is within every limit."


def failed(number: int, order: int) -> Trial:
    made = planned(
        experiment(trials={"retries": 0}), trials=[trial(number)], attempts=[ended(trial(number), error("Boom"))]
    )
    status = made.write[0].status
    assert made.write[0].announce is not None
    assert made.write[0].announce.message == f"nas-{number} failed after 1 attempt: Boom: broken"
    return replace(trial(number), status=status.model_copy(update={"order": order}))


def test_too_many_failures() -> None:
    two = [failed(0, 1), failed(1, 2)]
    allowed = planned(experiment(trials={"maxFailures": 2}), trials=two)
    assert numbers(allowed) == [2]
    made = planned(experiment(trials={"maxFailures": 1}), trials=two)
    ending = condition(made, "Failed")
    assert (ending.status, ending.reason, status_of(made).phase) == ("True", "MaxFailuresExceeded", "Failed")
    assert "nas-1: broken" in ending.message
    lifted = planned(experiment(status_of(made), trials={"maxFailures": 2}), trials=two)
    assert numbers(lifted) == [2]


def failed_of(number: int, reason: str, message: str) -> Trial:
    gone = ended(trial(number), error(reason, message), exit_code=1)
    made = planned(experiment(trials={"retries": 0}), trials=[trial(number)], attempts=[gone])
    return replace(trial(number), status=made.write[0].status.model_copy(update={"order": number + 1}))


def test_a_mistake_that_trials_repeat_ends_the_experiment() -> None:
    alike = [failed_of(n, "InvalidDataset", f"train.csv: row {n} has 3 columns") for n in range(3)]
    of = experiment(trials={"parallelism": 2})
    assert numbers(planned(of, trials=alike[:2])) == [2, 3]
    runs = trial(3)
    made = planned(of, trials=[*alike, runs], attempts=[running(runs)])
    assert [(w.trial.number, w.status.phase) for w in made.write] == [(3, "Pruned")]
    ending = condition(planned(of, trials=alike), "Failed")
    assert (ending.status, ending.reason) == ("True", "InvalidDataset")
    assert "3 trials have failed alike" in ending.message
    assert "nas-2: train.csv: row 2 has 3 columns" in ending.message


@pytest.mark.parametrize(
    "others",
    [
        pytest.param([succeeded(3, 4, 0.5)], id="one has succeeded"),
        pytest.param([], id="too few"),
        pytest.param([failed_of(3, "InvalidDataset", "no file")], id="another message"),
        pytest.param([failed_of(3, "MetricMissing", "row 1")], id="another reason"),
    ],
)
def test_other_failures_end_it_no_sooner_than_allowed(others: list[Trial]) -> None:
    alike = [
        failed_of(n, "InvalidDataset", "row 1") for n in range(3 if others and not others[0].status.failures else 2)
    ]
    assert planned(experiment(), trials=[*alike, *others]).create
    transient = [failed_of(n, "TrainerError", "boom") for n in range(5)]
    assert planned(experiment(), trials=transient).create
    diverged = [failed_of(n, "NonFiniteMetric", "loss is nan") for n in range(5)]
    assert planned(experiment(), trials=diverged).create


def test_no_trial_with_a_result() -> None:
    made = planned(experiment(trials={"max": 2}), trials=[failed(0, 1), failed(1, 2)])
    assert condition(made, "Failed").reason == "NoTrialSucceeded"


def test_a_space_that_is_used_up() -> None:
    of = experiment(searchSpace={"parameters": [{"name": "a", "type": "choice", "values": ["x", "y"]}]})
    first = planned(experiment(**of.spec.dump() | {"trials": {"parallelism": 5}}))
    assert numbers(first) == [0, 1]
    done = []
    for new in first.create:
        ending = succeeded(new.spec.number, new.spec.number + 1, 0.5)
        done.append(replace(ending, candidates=tuple(new.spec.candidates)))
    made = planned(of, trials=done)
    assert condition(made, "Succeeded").reason == "SearchSpaceExhausted"
    assert planned(of, trials=done).status == made.status


@pytest.mark.parametrize(("best", "kind"), [(True, "Succeeded"), (False, "Failed")])
def test_gpu_hours(best: bool, kind: str) -> None:
    spent = succeeded(0, 1, 0.5) if best else trial(0, phase="Failed", order=1)
    spent = replace(spent, status=spent.status.model_copy(update={"gpu_seconds": 3590.0}))
    of = experiment(budget={"gpuHours": 1})
    runs = running(trial(1), started=NOW - 9, devices={"nvidia.com/gpu": 2.0})
    going_on = planned(of, trials=[spent, trial(1)], attempts=[replace(runs, started=NOW - 4)])
    assert going_on.wake_at == pytest.approx(NOW + 1)
    over = planned(of, trials=[spent, trial(1)], attempts=[runs])
    assert [w.status.phase for w in over.write] == ["Pruned"]
    then = planned(of, trials=[spent, replace(trial(1), status=over.write[0].status)])
    assert condition(then, kind).reason == "BudgetExhausted"
    assert status_of(then).cost is not None
    lifted = planned(experiment(status_of(then), budget={"gpuHours": 2}), trials=[spent])
    assert numbers(lifted) == [1]


@pytest.mark.parametrize(("best", "kind"), [(True, "Succeeded"), (False, "Failed")])
def test_a_budget_that_cuts_the_last_trials_short_is_the_end(best: bool, kind: str) -> None:
    """Though no trial is left to make, the experiment has not completed."""
    done = [succeeded(0, 1, 0.5)] if best else []
    last = trial(len(done))
    of = experiment(budget={"gpuHours": 1}, trials={"max": len(done) + 1})
    (write,) = planned(of, trials=[*done, last], attempts=[running(last, started=NOW - 3600)]).write
    then = planned(of, trials=[*done, replace(last, status=write.status)])
    assert condition(then, kind).reason == "BudgetExhausted"
    larger = experiment(status_of(then), budget={"gpuHours": 2}, trials={"max": len(done) + 1})
    over = planned(larger, trials=[*done, replace(last, status=write.status)])
    assert condition(over, kind).reason == ("TrialsCompleted" if best else "NoTrialSucceeded")
    # What has ended by itself as the budget ran out has completed.
    whole = replace(
        done[0] if best else last, status=succeeded(0, 1, 0.5).status.model_copy(update={"gpu_seconds": 3600})
    )
    completed = planned(experiment(budget={"gpuHours": 1}, trials={"max": 1}), trials=[whole])
    assert condition(completed, "Succeeded").reason == "TrialsCompleted"


def test_gpu_hours_count_devices_by_their_shares() -> None:
    budget = {"gpuHours": 1, "deviceShares": {"nvidia.com/gpu.shared": 0.25, "rdma/hca": 0}}
    pod = running(trial(0), started=NOW - 3600, devices={"nvidia.com/gpu.shared": 2.0, "rdma/hca": 1.0})
    made = planned(experiment(budget=budget), trials=[trial(0)], attempts=[pod])
    assert made.wake_at == pytest.approx(NOW + 3600)
    over = planned(experiment(budget=budget), trials=[trial(0)], attempts=[pod], now=NOW + 3600)
    assert [(w.status.phase, w.status.gpu_seconds) for w in over.write] == [("Pruned", 3600.0)]
    whole = planned(experiment(budget={"gpuHours": 1}), trials=[trial(0)], attempts=[pod])
    assert [(w.status.phase, w.status.gpu_seconds) for w in whole.write] == [("Pruned", 3 * 3600.0)]


SPOT = {"priceClass": "spot", "alternatives": [{"afterDisruptions": 2, "priceClass": "on-demand"}]}


def test_cost_counts_each_attempt_by_its_class() -> None:
    """An hour of spot and half an hour on demand are spent by ended attempts, another one runs on demand."""
    budget = {"cost": 10, "prices": {"spot": 1.0, "on-demand": 4.0}}
    spent = [
        {"price_class": "on-demand", "seconds": 1800.0},
        {"price_class": "spot", "seconds": 3600.0},
    ]
    runs = trial(0, attempt=4, disruptions=2, class_seconds=spent)
    pod = running(runs, started=NOW - 3600, price_class="on-demand")
    made = planned(experiment(budget=budget, trialTemplate=SPOT), trials=[runs], attempts=[pod])
    cost = status_of(made).cost
    assert cost is not None
    assert cost.total == 7.0
    assert [(one.price_class, one.hours, one.cost) for one in cost.classes] == [
        ("on-demand", 1.5, 6.0),
        ("spot", 1.0, 1.0),
    ]
    assert made.wake_at == pytest.approx(NOW + 3 / 4 * 3600)
    read = Readings(read_at=NOW, curves={runs.attempt_name: {"0": {2: {"accuracy": 0.7}}}})
    over = planned(
        experiment(budget=budget, trialTemplate=SPOT), trials=[runs], attempts=[pod], now=NOW + 2700, readings=read
    )
    (write,) = over.write
    assert (write.status.phase, write.status.conditions[0].reason) == ("Pruned", "BudgetExhausted")
    assert [(one.step, one.metrics[0].value) for one in write.status.results] == [(2, 0.7)], "its value is kept"
    assert {one.price_class: one.seconds for one in write.status.class_seconds} == {"on-demand": 8100.0, "spot": 3600.0}
    then = planned(experiment(budget=budget, trialTemplate=SPOT), trials=[replace(runs, status=write.status)])
    assert condition(then, "Failed").reason == "BudgetExhausted"
    assert "10.00 are spent by budget.prices, of budget.cost 10." in condition(then, "Failed").message


def test_a_price_that_is_corrected_corrects_what_was_spent() -> None:
    done = succeeded(0, 1, 0.5)
    spent = [ClassSeconds(price_class="default", seconds=7200.0)]
    done = replace(done, status=done.status.model_copy(update={"class_seconds": spent}))
    for price in (0.5, 2.0, 1.0):
        cost = status_of(planned(experiment(budget={"prices": {"default": price}}), trials=[done])).cost
        assert cost is not None
        assert cost.total == 2 * price


def test_what_runs_is_told_in_the_status_every_few_minutes() -> None:
    of = experiment(budget={"prices": {"default": 3.6}})
    runs = trial(0, pod="nas-0-1", phase="Running", price_class="default", gpus=1.0)

    def told(started: float) -> float | None:
        pod = running(runs, started=NOW - started, price_class="default")
        status = planned(of, trials=[runs], attempts=[pod]).status
        cost = (status or of.status).cost
        return cost.total if cost else None

    assert [told(seconds) for seconds in (10, 299, 300, 1000)] == pytest.approx([0.0, 0.0, 0.3, 1.0], abs=1e-3)


def test_wall_clock() -> None:
    begun = ExperimentStatus(start_time=moment(NOW) - timedelta(seconds=59))
    of = experiment(begun, budget={"wallClock": "60s"})
    assert planned(of, trials=[trial(0)], attempts=[running(trial(0), started=NOW)]).wake_at == NOW + 1
    over = planned(of, trials=[trial(0)], attempts=[running(trial(0))], now=NOW + 1)
    assert [(w.status.phase, w.status.conditions[0].reason) for w in over.write] == [("Pruned", "BudgetExhausted")]


def test_the_experiment_goes_its_time_after_its_end() -> None:
    done = [succeeded(0, 1, 0.5)]
    over = status_of(planned(experiment(trials={"max": 1}), trials=done))
    of = experiment(over, trials={"max": 1}, ttlSecondsAfterFinished=60)
    waiting = planned(of, trials=done, now=NOW + 59)
    assert (waiting.delete, waiting.wake_at) == (False, NOW + 60)
    assert planned(of, trials=done, now=NOW + 60).delete
    assert not planned(experiment(over, trials={"max": 1}), trials=done, now=NOW + 1e9).delete


# Conditions


def test_an_unschedulable_pod_gets_a_condition_after_a_minute() -> None:
    of = experiment()
    why = Waiting("Unschedulable", "0/3 nodes: insufficient nvidia.com/gpu", since=NOW)
    stuck = replace(running(trial(0), started=NOW), phase=AttemptPhase.WAITING, started=None, waiting=why)
    fresh = planned(of, trials=[trial(0)], attempts=[stuck], now=NOW + 30)
    assert condition(fresh, "TrialsScheduled").status == "True"
    assert fresh.wake_at == NOW + 60
    late = planned(of, trials=[trial(0)], attempts=[stuck], now=NOW + 60)
    found = condition(late, "TrialsScheduled")
    assert (found.status, found.reason) == ("False", "Unschedulable")
    assert "nas-0-1" in found.message
    assert "insufficient nvidia.com/gpu" in found.message
    gated = replace(stuck, waiting=replace(why, reason="Queued"))
    queued = planned(of, trials=[trial(0)], attempts=[gated], now=NOW + 600)
    assert condition(queued, "TrialsScheduled").status == "True"


def test_unread_metrics_are_said_and_stop_nothing() -> None:
    down = Readings(fault=Fault("PrometheusUnreachable", "connection refused"))
    made = planned(experiment(), readings=down)
    found = condition(made, "MetricsAvailable")
    assert (found.status, found.reason, found.message) == ("False", "PrometheusUnreachable", "connection refused")
    assert made.create
    assert condition(planned(experiment(), readings=Readings()), "MetricsAvailable").status == "Unknown"
    assert condition(planned(experiment(), readings=Readings(read_at=NOW)), "MetricsAvailable").status == "True"


def test_all_conditions_are_there_from_the_first_look() -> None:
    status = status_of(planned(experiment(generation=4)))
    kinds = [c.type for c in status.conditions]
    assert kinds == sorted(kinds)
    assert set(kinds) == {
        "Accepted",
        "Failed",
        "Generalizes",
        "MetricsAvailable",
        "ProposalsAvailable",
        "Reconciled",
        "Running",
        "Succeeded",
        "Suspended",
        "TrialsAdmitted",
        "TrialsScheduled",
    }
    assert {c.observed_generation for c in status.conditions} == {4}


def test_a_condition_keeps_the_time_of_its_last_change() -> None:
    first = status_of(planned(experiment(trials={"max": 2})))
    again = planned(experiment(first, generation=2, suspend=True), now=NOW + 100)
    assert condition(again, "Suspended").last_transition_time == moment(NOW + 100)
    assert condition(again, "Accepted").last_transition_time == moment(NOW)


def test_an_unchanged_state_writes_nothing() -> None:
    runs = trial(0, phase="Running", pod="nas-0-1", start_time=moment(NOW - 10))
    first = planned(experiment(), trials=[runs], attempts=[running(trial(0))])
    second = planned(experiment(status_of(first)), trials=[runs], attempts=[running(trial(0))], now=NOW + 250)
    assert second.status is None
    assert second.announce == ()


def test_a_failed_candidate_teaches_the_strategy_that_it_has_failed() -> None:
    architectures = [{**CELL, "0-1": operation} for operation in ("none", "skip_connect")]
    both = tuple(candidate(i).model_copy(update={"architecture": each}) for i, each in enumerate(architectures))
    second = succeeded(0, 1, 0.5).status.results[0].model_copy(update={"candidate": "1"})
    failed = FailedCandidate(candidate="0", reason="OutOfMemory", message="2 GiB")
    status = TrialStatus(phase="Succeeded", order=1, results=[second], failed_candidates=[failed])
    seen = observed(experiment(), [replace(trial(0), candidates=both, status=status)])
    told = [(one.architecture.to_json(), one.score) for one in seen.ledger.history(seen.stages[0]).observations]
    assert told[0] == (architectures[0], None)
    assert (told[1][0], told[1][1] is not None) == (architectures[1], True)
    assert [judged.candidate for judged in seen.ledger.stage(None).ranked()] == ["1"]


def test_asked_twice_the_answer_is_the_same() -> None:
    seen = observed(experiment(trials={"parallelism": 4}), [succeeded(0, 1, 0.5), trial(1)], [running(trial(1))])
    assert plan(seen, NOW) == plan(seen, NOW)


# The funnel

STAGES = [
    {"name": "wide", "evaluation": {"epochs": 1}, "keep": {"top": 2}},
    {"name": "narrow", "evaluation": {"epochs": 9}},
]


def of_stage(number: int, order: int, accuracy: float, stage: str, of: int | None = None) -> Trial:
    """A trial of the architecture of its own number, or of another trial's."""
    architecture = {
        **CELL,
        "0-1": ["none", "skip_connect", "nor_conv_1x1"][(number if of is None else of) % 3],
    }
    made = replace(succeeded(number, order, accuracy), stage=stage)
    return replace(made, candidates=(candidate().model_copy(update={"architecture": architecture}),))


def test_the_best_of_a_stage_go_on() -> None:
    of = experiment(stages=STAGES, trials={"max": 3, "parallelism": 2}, storage={"volumeClaim": "c"})
    wide = [of_stage(i, i + 1, accuracy, "wide") for i, accuracy in enumerate((0.5, 0.7, 0.6))]
    before = planned(of, trials=wide[:2])
    assert [(n.spec.stage, n.spec.candidates[0].epochs) for n in before.create] == [("wide", 1)]
    made = planned(of, trials=wide)
    assert [(n.name, n.spec.stage, n.spec.candidates[0].epochs) for n in made.create] == [
        ("nas-3", "narrow", 9),
        ("nas-4", "narrow", 9),
    ]
    chosen = [n.spec.candidates[0] for n in made.create]
    assert [c.architecture for c in chosen] == [wide[1].candidates[0].architecture, wide[2].candidates[0].architecture]
    assert [c.resume_from for c in chosen] == ["nas-1/0.safetensors", "nas-2/0.safetensors"]
    status = status_of(made)
    assert (status.stage, status.progress) == ("narrow", "3/5")


def test_a_stage_waits_for_all_trials_of_the_one_before() -> None:
    of = experiment(stages=STAGES, trials={"max": 3, "parallelism": 9})
    wide = [of_stage(0, 1, 0.5, "wide"), of_stage(1, 2, 0.6, "wide"), trial(2, stage="wide")]
    assert planned(of, trials=wide, attempts=[running(trial(2))]).create == ()


def test_the_best_is_of_the_last_stage() -> None:
    of = experiment(stages=STAGES, trials={"max": 2})
    wide = [of_stage(0, 1, 0.9, "wide"), of_stage(1, 2, 0.6, "wide")]
    narrow = [of_stage(2, 3, 0.8, "narrow", of=0), of_stage(3, 4, 0.7, "narrow", of=1)]
    made = planned(of, trials=[*wide, *narrow])
    best = status_of(made).best
    assert best is not None
    assert (best.trial, status_of(made).phase) == ("nas-2", "Succeeded")


def test_a_stage_with_fewer_results_than_it_keeps() -> None:
    of = experiment(stages=STAGES, trials={"max": 2, "parallelism": 9, "maxFailures": 9})
    one = [of_stage(0, 1, 0.9, "wide"), replace(failed(1, 2), stage="wide")]
    made = planned(of, trials=one)
    assert numbers(made) == [2]
    done = planned(of, trials=[*one, of_stage(2, 3, 0.8, "narrow", of=0)])
    assert (status_of(done).phase, numbers(done)) == ("Succeeded", [])
    none = planned(of, trials=[replace(failed(i, i + 1), stage="wide") for i in range(2)])
    assert condition(none, "Failed").reason == "NoTrialSucceeded"
