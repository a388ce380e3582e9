"""What metrics tell of an experiment: equal however its trials came, never falling where it is a counter."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenas.api.base import Condition
from kubenas.api.trial import Failure
from kubenas.experiment.failures import Failures
from kubenas.experiment.phases import ATTEMPT_PHASES, phases_ended
from kubenas.experiment.progress import Progress, progress
from kubenas.experiment.reasons import CONDITIONS, FAILURES, OTHER
from kubenas.experiment.records import MOST_TOP
from kubenas.experiment.state import Attempt, AttemptPhase, Trial, moment
from kubenas.experiment.summary import Summary, summary
from tests.experiment.builders import NOW, experiment, observed, planned, running, succeeded, trial
from tests.properties import examples

OBJECTIVES = [{"metric": "accuracy"}, {"metric": "latency", "goal": "minimize", "limit": 5, "target": 1}]
TRADED = [{"metric": "accuracy", "reference": 0}, {"metric": "size", "goal": "minimize", "reference": 10}]
VALUES = st.sampled_from([0.0, 0.25, 0.5, 0.75, 1.0])


def found(
    *trials: Trial, attempts: tuple[Attempt, ...] = (), before: Progress | None = None, now: float = NOW, **spec: Any
) -> Progress:
    seen = observed(experiment(**spec), trials=trials, attempts=attempts)
    status = planned(experiment(**spec), trials=trials, attempts=attempts, now=now).status
    assert status is not None
    return progress(seen, status, before, now)


def told(*trials: Trial, failures: dict[str, int] | None = None, **spec: Any) -> Summary:
    of = experiment(**spec)
    made = found(*trials, **spec)
    return summary(of.model_copy(update={"status": made.status}), made, failures or {})


@given(st.lists(st.tuples(VALUES, st.sampled_from([3.0, 6.0, 9.0])), max_size=15), st.randoms(use_true_random=False))
@examples(20)
def test_the_best_trials_are_the_same_in_whatever_order_they_came(values: list[tuple[float, float]], rng: Any) -> None:
    trials = [succeeded(n, n + 1, accuracy, latency=latency) for n, (accuracy, latency) in enumerate(values)]
    # Within the limit first, then by the primary objective, then the earliest.
    order = sorted(range(len(values)), key=lambda n: (max(0.0, values[n][1] - 5), -values[n][0], n))
    expected = [(f"nas-{n}", {"accuracy": values[n][0], "latency": values[n][1]}) for n in order[:MOST_TOP]]
    rng.shuffle(trials)
    made = found(*trials, objectives=OBJECTIVES)
    assert [(one.trial, one.values) for one in made.top] == expected
    best = made.status.best
    assert (best.trial if best else None) == next((name for name, one in expected if one["latency"] <= 5), None)


def test_of_a_trial_with_several_candidates_the_best_counts() -> None:
    results = [
        {"candidate": str(n), "step": 3, "source": "Pod", "metrics": [{"name": "accuracy", "value": value}]}
        for n, value in enumerate((0.2, 0.9))
    ]
    several = trial(0, candidates=2, phase="Succeeded", order=1, results=results)
    made = found(several, succeeded(1, 2, 0.5), trials={"candidatesPerTrial": 2})
    assert [(one.trial, one.values["accuracy"]) for one in made.top] == [("nas-0", 0.9), ("nas-1", 0.5)]


def test_at_the_end_candidates_without_all_their_seeds_are_among_the_best() -> None:
    spec: dict[str, Any] = {"evaluation": {"epochs": 3, "seeds": 2}, "trials": {"max": 2}}
    first, second = succeeded(0, 1, 0.75), replace(trial(1, phase="Failed", order=2), seed=1)
    alone = found(first, replace(trial(1), seed=1), **spec)
    assert alone.top == ()
    over = found(first, second, **spec)
    assert over.status.completion_time is not None
    assert [(one.trial, one.values) for one in over.top] == [("nas-0", {"accuracy": 0.75})]


@given(st.lists(st.sampled_from(["Succeeded", "Pruned", "Failed", "Pending", "Running"]), max_size=12))
@examples(20)
def test_every_trial_is_in_one_phase(phases: list[str]) -> None:
    trials, attempts = [], []
    for number, phase in enumerate(phases):
        if phase in ("Pending", "Running"):
            trials.append(trial(number, phase=phase))
            attempts += [running(trials[-1])] if phase == "Running" else []
        else:
            at = moment(NOW - 100 + number)
            trials.append(trial(number, phase=phase, order=number + 1, completion_time=at))
    made = found(*trials, attempts=tuple(attempts), trials={"parallelism": 20, "maxFailures": 20})
    assert made.trials == {
        ("", phase): phases.count(phase) for phase in ("Pending", "Running", "Succeeded", "Pruned", "Failed")
    }
    assert made.slots_busy == phases.count("Running")
    last = max((n for n, phase in enumerate(phases) if phase in ("Succeeded", "Pruned", "Failed")), default=None)
    assert made.last_result == (None if last is None else NOW - 100 + last)


def test_trials_are_told_by_stage() -> None:
    stages = [{"name": "screen", "trials": {"max": 2}, "keep": {"top": 1}}, {"name": "final"}]
    first = [replace(succeeded(n, n + 1, 0.5 + n / 10), stage="screen") for n in range(2)]
    made = found(*first, trial(2, stage="final"), attempts=(running(trial(2)),), stages=stages)
    assert {key: count for key, count in made.trials.items() if count} == {
        ("screen", "Succeeded"): 2,
        ("final", "Running"): 1,
    }
    assert len(made.trials) == 10
    assert made.trials_max == 3
    # Until the last stage has a result, the best are those of the one before.
    assert [one.trial for one in made.top] == ["nas-1", "nas-0"]
    after = found(*first, replace(succeeded(2, 3, 0.1), stage="final"), stages=stages)
    assert [one.trial for one in after.top] == ["nas-2"]


def test_the_algorithm_is_the_first_stages() -> None:
    screened = [{"name": "screen", "search": {"algorithm": "random"}, "keep": {"top": 1}}, {"name": "final"}]
    assert found(stages=screened, search={"algorithm": "tpe"}).algorithm == "random"
    assert found(search={"algorithm": "tpe"}).algorithm == "tpe"


def test_time_spent_counts_what_runs_and_never_falls() -> None:
    runs = trial(0)
    first = found(runs, attempts=(running(runs, started=NOW - 10),))
    assert first.device_seconds == 10
    # It turns out to have ended sooner, is deleted, and another one has spent more.
    sooner = found(trial(0, phase="Failed", order=1, gpu_seconds=8), before=first)
    assert sooner.device_seconds == 10
    assert found(before=sooner).device_seconds == 10
    assert found(trial(0, phase="Failed", order=1, gpu_seconds=12), before=sooner).device_seconds == 12


TIMES = st.lists(st.integers(-5, 100).map(float), min_size=4, max_size=4)


@given(TIMES, st.lists(st.integers(0, 3), max_size=8))
def test_each_phase_of_an_attempt_is_told_once(times: list[float], steps: list[int]) -> None:
    """Whatever is seen of an attempt between its creation and its end."""
    created, *later = times
    names = ("scheduled", "started", "ended")
    known: list[dict[str, Any]] = [dict(zip(names[:step], later[:step], strict=True)) for step in sorted(steps)]
    waits = Attempt("nas-0-1", "nas-0", AttemptPhase.WAITING, created)
    states = [replace(waits, **shown) for shown in known]
    said = [one for before, after in zip([None, *states], states, strict=False) for one in phases_ended(before, after)]
    begun, over = (min(steps, default=0), max(steps, default=0))
    lengths = [max(0.0, end - begin) for begin, end in zip(times, later, strict=False)]
    assert said == list(zip(ATTEMPT_PHASES, lengths, strict=True))[begun:over]


def test_a_phase_without_a_beginning_has_no_length() -> None:
    """A pod that ends before it runs, or whose node says nothing of when it was given to it."""
    waits = Attempt("nas-0-1", "nas-0", AttemptPhase.WAITING, 1.0)
    assert phases_ended(waits, replace(waits, scheduled=3.0, ended=9.0)) == [("queued", 2.0)]
    assert phases_ended(waits, replace(waits, started=3.0, ended=9.0)) == [("running", 6.0)]
    assert phases_ended(waits, replace(waits, uid="another", scheduled=3.0)) == []


def failed(number: int, failures: int, reason: str, uid: str = "uid") -> Trial:
    last = Failure(attempt=1, reason=reason, message="broken", time=moment(NOW)) if failures else None
    return replace(trial(number, failures=failures, last_failure=last), uid=uid)


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 3), st.sampled_from([*sorted(FAILURES)[:3], "Mine", "x" * 999])),
        max_size=20,
    )
)
def test_failures_count_once_and_for_a_reason_that_is_known(shown: list[tuple[int, int, str]]) -> None:
    failures = Failures()
    highest: dict[int, int] = {}
    for number, count, reason in shown:
        before = failures.counts
        failures.put(failed(number, count, reason))
        highest[number] = max(highest.get(number, 0), count)
        assert all(failures.counts[known] >= times for known, times in before.items())
    assert sum(failures.counts.values()) == sum(highest.values())
    assert failures.counts.keys() <= {*FAILURES, OTHER}


def test_a_trial_made_again_fails_anew() -> None:
    failures = Failures()
    failures.put(failed(0, 2, "Timeout"))
    failures.put(failed(0, 1, "OutOfMemory", uid="another"))
    assert failures.counts == {"Timeout": 2, "OutOfMemory": 1}


@given(st.text(min_size=1, max_size=99), st.text(max_size=99), st.sampled_from(["True", "False", "Unknown"]))
def test_whatever_a_status_says_labels_are_of_known_words(kind: str, reason: str, status: Any) -> None:
    forged = Condition.model_construct(
        type=kind, status=status, reason=reason, message="", observed_generation=1, last_transition_time=moment(NOW)
    )
    of = experiment()
    made = found()
    known = [*made.status.conditions, forged, forged.model_copy(update={"type": "Accepted"})]
    written = summary(of.model_copy(update={"status": made.status.model_copy(update={"conditions": known})}), made, {})
    assert all(why in {*CONDITIONS[condition], OTHER} for condition, _, why in written.conditions)
    assert len(written.conditions) == len(made.status.conditions) + 1 + (kind in CONDITIONS)


def test_a_summary_says_what_the_experiment_and_its_status_say() -> None:
    spec: dict[str, Any] = {
        "objectives": OBJECTIVES,
        "search": {"algorithm": "random"},
        "trials": {"max": 7, "parallelism": 3, "maxFailures": 4},
        "budget": {"gpuHours": 2, "wallClock": "1h", "cost": 9, "prices": {"default": 3}},
    }
    said = told(succeeded(0, 1, 0.5, latency=3.0), succeeded(1, 2, 0.7, latency=9.0), failures={"Timeout": 1}, **spec)
    assert (said.algorithm, said.task, said.space) == ("random", "image-classification", "nasbench201")
    assert (said.phase, said.slots_allowed, said.trials_max, said.failures_max) == ("Running", 3, 7, 4)
    assert (said.device_seconds_budget, said.wall_clock_budget) == (7200, 3600)
    assert (said.class_seconds, said.costs, said.cost_budget) == ({}, {}, 9)
    assert said.best == {"accuracy": 0.5, "latency": 3.0}
    assert (said.front_size, said.hypervolume, said.front) == (None, None, ())
    assert said.failures == {"Timeout": 1}
    assert said.started == NOW
    of_other_methods = {"Converged", "DevicesAvailable", "ProxyUseful", "RankingReliable"}
    assert {kind for kind, _, _ in said.conditions} == set(CONDITIONS) - of_other_methods


def test_cost_is_told_by_class_and_of_classes_with_a_price() -> None:
    spent = [{"price_class": "old", "seconds": 60.0}, {"price_class": "spot", "seconds": 1800.0}]
    runs = trial(0, class_seconds=spent)
    of = experiment(budget={"prices": {"spot": 2}}, trialTemplate={"priceClass": "spot"})
    seen = observed(of, trials=[runs], attempts=[running(runs, started=NOW - 1800, price_class="spot")])
    made = progress(seen, of.status, None, NOW)
    said = summary(of, made, {})
    assert said.class_seconds == {"old": 60, "spot": 3600}
    assert said.costs == {"spot": 2}
    # The attempt turns out to have ended sooner.
    sooner = observed(of, trials=[trial(0, class_seconds=spent)])
    assert summary(of, progress(sooner, of.status, made, NOW), {}).costs == {"spot": 2}


def test_the_front_is_told_of_where_objectives_are_traded_off() -> None:
    members = [succeeded(n, n + 1, n / 100, size=n / 10) for n in range(1, 50)]
    said = told(succeeded(0, 50, 0.0, size=9.0), *members, objectives=TRADED)
    assert said.front_size == 49
    assert len(said.front) == 32
    assert (said.front[0].trial, said.front[0].candidate) == ("nas-49", "0")
    assert said.front[0].values == {"accuracy": 0.49, "size": 4.9}
    assert said.hypervolume == pytest.approx(sum(0.01 * (10 - n / 10) for n in range(1, 50)))


@pytest.mark.parametrize(
    ("space", "name"),
    [
        ({"parameters": [{"name": "x", "type": "int", "min": 1, "max": 9}]}, "parameters"),
        ({"cell": {"nodes": 4, "operations": ["none", "skip_connect"]}}, "cell"),
    ],
)
def test_a_space_of_ones_own_is_told_by_its_kind(space: Any, name: str) -> None:
    assert told(searchSpace=space, search={"algorithm": "random"}).space == name


def test_it_is_told_where_values_are_read() -> None:
    assert told().metrics_source == "Prometheus"
    assert told(metrics={"source": "Pod"}).metrics_source == "Pod"
    assert told(trial(candidates=16)).metrics_source == "Prometheus"
    assert told(trial(candidates=17)).metrics_source == "Pod", "a batch shows too much for a Prometheus"


def test_one_that_is_suspended_or_over_has_no_slots() -> None:
    assert told(suspend=True).slots_allowed == 0
    over = told(succeeded(0, 1, 0.5), trials={"max": 1})
    assert (over.phase, over.slots_allowed, over.ended) == ("Succeeded", 0, NOW)


def test_times_are_seconds() -> None:
    of = experiment()
    born = of.model_copy(
        update={"metadata": of.metadata.model_copy(update={"creation_timestamp": moment(NOW) - timedelta(seconds=5)})}
    )
    assert summary(born, found(), {}).created == NOW - 5
    over = told(trial(phase="Failed", order=1, completion_time=moment(NOW - 1)))
    assert over.last_result == NOW - 1
