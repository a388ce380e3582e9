"""Searches by all methods on a world of accidents: scores among all, supernets first, what was found goes on."""

from __future__ import annotations

import math
import time
from random import Random
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubenas.api.base import MetricValue
from kubenas.api.experiment import NASExperiment
from kubenas.api.trial import Candidate, Result, TrialSpec, TrialStatus
from kubenas.experiment.ledger import Ledger
from kubenas.experiment.stages import ResolvedStage
from kubenas.experiment.state import Trial
from kubenas.scores.combine import combined
from kubenas.search.base import History, Observation
from kubenas.search.load import build_strategy
from kubenas.space.base import Architecture, Space
from kubenas.space.load import build_space
from tests.experiment.builders import experiment, stages_of
from tests.experiment.simulation import PROXIES, Chances, Controller, World, run
from tests.properties import examples

SLOW = settings(examples(15), suppress_health_check=[HealthCheck.too_slow])
SPACE = {"parameters": [{"name": n, "type": "int", "min": 1, "max": 9} for n in ("w", "d")]}
CHANCES = st.builds(
    Chances,
    crash=st.sampled_from([0.0, 0.02, 0.2]),
    delivery=st.sampled_from([0.1, 1.0]),
    failure=st.sampled_from([0.0, 0.3]),
    silence=st.sampled_from([0.0, 0.3]),
    disruption=st.sampled_from([0.0, 0.3]),
    pod_deletion=st.sampled_from([0.0, 0.2]),
    trial_deletion=st.sampled_from([0.0, 0.0, 0.1]),
    reading=st.sampled_from([0.5, 1.0]),
)
EVOLUTION = {"algorithm": "regularized-evolution", "settings": {"populationSize": 4, "sampleSize": 4}}
WAYS = ("log-rank-sum", "mean-rank", "vote")


@st.composite
def experiments(draw: st.DrawFn) -> NASExperiment:
    """Stages that end with a training, begun by any method, with a supernet in the middle or not."""
    scoring = {"method": "zero-cost", "proxies": [*PROXIES], "combine": draw(st.sampled_from(WAYS))}
    first: dict[str, Any] = {
        "name": "first",
        "evaluation": draw(st.sampled_from([scoring, scoring, {"method": "differentiable"}, {"method": "supernet"}])),
        "trials": {"max": draw(st.integers(2, 8)), "candidatesPerTrial": draw(st.integers(1, 4))},
        "keep": {"top": 2},
    }
    stages = [first]
    if draw(st.booleans()):
        stages.append({"name": "shared", "evaluation": {"method": "supernet"}, "keep": {"top": 1}})
    supernet = any(stage["evaluation"]["method"] == "supernet" for stage in stages)
    last = {"name": "last", "evaluation": {"epochs": 3, "inherit": supernet and draw(st.booleans())}}
    if draw(st.booleans()):
        last["search"] = {
            "algorithm": "predictor",
            "settings": {"initial": 2, **({"proxies": [*PROXIES], "pool": 5} if draw(st.booleans()) else {})},
        }
        last["trials"] = {"max": 4}
    return experiment(
        searchSpace=SPACE,
        search=draw(st.sampled_from([EVOLUTION, {"algorithm": "random"}])),
        stages=[*stages, last],
        storage={"volumeClaim": "artifacts"},
        trials={"parallelism": draw(st.integers(1, 4)), "retries": 20, "maxFailures": 1000},
    )


@SLOW
@given(experiments(), CHANCES, st.integers(0, 2**32))
def test_what_must_hold_whatever_happens(of: NASExperiment, chances: Chances, seed: int) -> None:
    world = run(of, chances, seed)
    trials = [world.trials[number] for number in sorted(world.trials)]
    assert all(trial.finished for trial in trials)
    assert Controller(world).reconcile()[1] is False, "a restart after the end finds something to do"
    if world.deleted_trials:
        return
    assert [trial.number for trial in trials] == [*range(len(trials))]
    space, stages = build_space(of.spec.search_space), stages_of(of)
    for stage in stages:
        assert_supernets_come_first(stage, stages, trials)
        if stage.evaluation.method == "zero-cost":
            assert_proposals_follow_from_scores_among_what_was_known(space, stage, trials)
        if stage.source == "kept":
            assert_the_best_go_on(space, stages, stage, trials)
    assert [trial for trial in trials if trial.stage == "last"]
    best = world.experiment.status.best
    assert best is not None
    values = [trial.status.value for trial in trials if trial.stage == "last" and trial.status.value is not None]
    assert best.value == max(values)


def assert_supernets_come_first(stage: ResolvedStage, stages: tuple[ResolvedStage, ...], trials: list[Trial]) -> None:
    own = of_stage(stage, trials)
    if stage.trains_supernet:
        [trial] = own
        assert [candidate.architecture for candidate in trial.candidates] == [None]
    if stage.supernet is None:
        assert all(trial.supernet is None for trial in own)
        return
    [training] = of_stage(stages[stage.supernet], trials)
    assert {trial.supernet for trial in own} == {f"{training.name}/0.safetensors"}
    assert all((training.status.order or 0) <= trial.results_seen for trial in own)


def assert_proposals_follow_from_scores_among_what_was_known(
    space: Space, stage: ResolvedStage, trials: list[Trial]
) -> None:
    """Each proposal is what the strategy answers to the scores that the results which it could know have together."""
    assert stage.search is not None
    own = of_stage(stage, trials)
    for trial in own:
        ended = sorted(
            (t for t in own if (t.status.order or 0) <= trial.results_seen), key=lambda t: t.status.order or 0
        )
        history = History(space)
        for one in ended:
            history.propose(architecture for architecture, _ in candidates(space, one))
        known = [pair for one in ended for pair in candidates(space, one)]
        for architecture, score in scored(stage, known):
            history.observe(Observation(architecture, None if score is None else (0.0, score)))
        for other in own:
            if other.number < trial.number and other not in ended:
                history.propose(architecture for architecture, _ in candidates(space, other))
        proposals = build_strategy(stage.search, space).propose(history, len(trial.candidates))
        assert proposals == [architecture for architecture, _ in candidates(space, trial)]
        assert trial.status.value is None, "a rank among the candidates of one trial says nothing"


def assert_the_best_go_on(
    space: Space, stages: tuple[ResolvedStage, ...], stage: ResolvedStage, trials: list[Trial]
) -> None:
    assert stage.before is not None
    before = stages[stage.before]
    pairs = [pair for trial in of_stage(before, trials) for pair in candidates(space, trial)]
    found = scored(before, pairs) if before.combination else [(a, m.get("accuracy")) for a, m in pairs]
    # Of equal ones the earliest.
    ranked = sorted((-score, n, architecture) for n, (architecture, score) in enumerate(found) if score is not None)
    assert before.keep is not None
    best = [*dict.fromkeys(architecture for *_, architecture in ranked)][: before.keep.top]
    went_on = [space.parse(c.architecture) for t in of_stage(stage, trials) for c in t.candidates if c.architecture]
    assert went_on == best
    assert all(c.resume_from is None for t in of_stage(stage, trials) for c in t.candidates)


def of_stage(stage: ResolvedStage, trials: list[Trial]) -> list[Trial]:
    return [trial for trial in trials if trial.stage == stage.name]


def candidates(space: Space, trial: Trial) -> list[tuple[Architecture, dict[str, float]]]:
    """Architectures with their metrics; none of one that has no result."""
    results = {r.candidate: r for r in trial.status.results} if trial.status.phase == "Succeeded" else {}
    found = []
    for candidate in trial.candidates:
        result = results.get(candidate.id)
        architecture = candidate.architecture or (result.architecture if result else None)
        if architecture is not None:
            metrics = {m.name: m.value for m in result.metrics} if result else {}
            found.append((space.parse(architecture), metrics))
    return found


def scored(
    stage: ResolvedStage, known: list[tuple[Architecture, dict[str, float]]]
) -> list[tuple[Architecture, float | None]]:
    """The scores of candidates among each other; None of those without any."""
    told = [metrics for _, metrics in known if metrics]
    columns = {proxy: [metrics.get(proxy, math.nan) for metrics in told] for proxy in PROXIES}
    assert stage.evaluation.combine is not None
    scores = iter(combined(columns, stage.evaluation.combine))
    return [(architecture, next(scores) if metrics else None) for architecture, metrics in known]


def told(world: World) -> list[tuple[Any, ...]]:
    return [
        (t.number, t.results_seen, t.candidates, t.supernet, t.status.phase, t.status.order)
        for _, t in sorted(world.trials.items())
    ]


@SLOW
@given(experiments(), st.integers(0, 2**32), st.sampled_from([0.02, 0.2]))
def test_one_at_a_time_accidents_change_nothing(of: NASExperiment, seed: int, crash: float) -> None:
    """Where one trial runs at a time, the order of ends is fixed: the search is that of an undisturbed run."""
    trials = of.spec.trials.model_copy(update={"parallelism": 1, "retries": 100})
    alone = of.model_copy(update={"spec": of.spec.model_copy(update={"trials": trials})})
    rough = Chances(crash=crash, delivery=0.5, failure=0.2, disruption=0.2, pod_deletion=0.2)
    assert told(run(alone, rough, seed)) == told(run(alone, Chances(), 0))


def test_speed() -> None:
    """Printed, not asserted: what an ending costs among 20,000 candidates, where the strategy looks at scores."""
    stages = [{"name": "score", "evaluation": {"method": "zero-cost"}, "keep": {"top": 9}}, {"name": "train"}]
    of = experiment(search=EVOLUTION, stages=stages, trials={"max": 400})
    space, scoring, rng = build_space(of.spec.search_space), stages_of(of)[0], Random(0)
    assert scoring.combination is not None
    assert scoring.strategy is not None
    ledger = Ledger(space, stages_of(of))
    for number in range(20_000 // 64):
        candidates = [Candidate(id=str(n), architecture=space.sample(rng).to_json()) for n in range(64)]
        spec = TrialSpec(number=number, results_seen=number, stage="score", candidates=candidates)
        metrics = [[MetricValue(name=c, value=rng.random()) for c in scoring.combination.columns] for _ in range(64)]
        results = [Result(candidate=str(n), step=0, metrics=m, source="Pod") for n, m in enumerate(metrics)]
        status = TrialStatus(phase="Succeeded", order=number + 1, results=results)
        ledger.put(Trial.of(f"nas-{number}", spec, status, uid="", resource_version="1"))
    begun = time.perf_counter()
    ledger.history(scoring)
    read = time.perf_counter()
    proposals = ledger.stage("score").propose(scoring.strategy, 20_000 // 64, 64)
    proposed = time.perf_counter()
    kept = ledger.kept(scoring)
    chosen = time.perf_counter()
    print(
        f"\n20,000 scored candidates: a history made anew {(read - begun) * 1e3:.0f} ms, 64 proposals after an ending "
        f"{(proposed - read) * 1e3:.0f} ms, what goes on {(chosen - proposed) * 1e3:.0f} ms"
    )
    assert (len(proposals), len(kept)) == (64, 9)
