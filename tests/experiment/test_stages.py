"""Stages of any sizes: what is kept is run once in the next stage, with all its seeds, and the search ends."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from itertools import pairwise
from random import Random
from statistics import fmean
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenas.api.status import ExperimentStatus
from kubenas.api.trial import Candidate, TrialSpec, TrialStatus
from kubenas.experiment.state import Trial
from tests.experiment.builders import experiment, planned
from tests.properties import examples

MOST_RECONCILES = 400
ALGORITHMS = ("random", "grid", "regularized-evolution")
NAMES = ("wide", "middle", "narrow")


def value(candidate: Candidate, seed: int = 0) -> float:
    """What a training comes to, in every stage alike; several come to the same."""
    digest = hashlib.sha256(json.dumps(candidate.architecture, sort_keys=True).encode()).digest()
    return digest[0] % 8 / 8 + seed * (digest[1] % 4) / 64


class Funnel:
    """An experiment whose trials end at a reconcile, by what is drawn."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.status = ExperimentStatus()
        self.trials: dict[int, Trial] = {}

    def reconcile(self, each: int) -> list[TrialSpec]:
        """What is to be created now, with `each` candidates a trial."""
        trials = {**self.spec["trials"], "candidatesPerTrial": each}
        of = experiment(self.status, **{**self.spec, "trials": trials})
        made = planned(of, trials=list(self.trials.values()))
        self.status = made.status or self.status
        return [new.spec for new in made.create]

    def create(self, spec: TrialSpec) -> None:
        assert spec.number not in self.trials, "a number is given twice"
        self.trials[spec.number] = Trial.new(f"nas-{spec.number}", spec, resource_version="1")

    def end(self, number: int, *, well: bool) -> None:
        of = self.trials[number]
        status: dict[str, Any] = {
            "phase": "Failed",
            "order": 1 + max((t.status.order or 0) for t in self.trials.values()),
        }
        if well:
            metrics = [[{"name": "accuracy", "value": value(c, of.seed)}] for c in of.candidates]
            status["phase"] = "Succeeded"
            status["results"] = [
                {"candidate": c.id, "step": c.epochs, "source": "TerminationMessage", "metrics": m}
                for c, m in zip(of.candidates, metrics, strict=True)
            ]
        self.trials[number] = replace(of, status=TrialStatus(**status), resource_version="2")

    def unfinished(self) -> list[int]:
        return [n for n, t in sorted(self.trials.items()) if not t.finished]

    def of_stage(self, stage: str) -> list[Trial]:
        return [trial for _, trial in sorted(self.trials.items()) if trial.stage == stage]

    def groups(self, stage: str) -> list[list[Trial]]:
        """Trials of the same candidates, by the number of the first."""
        found: dict[int, list[Trial]] = {}
        for one in self.of_stage(stage):
            found.setdefault(one.number - one.seed, []).append(one)
        return list(found.values())

    def ran(self, stage: str) -> list[str]:
        """Architectures of a stage, each once for all its seeds."""
        return [written(c) for group in self.groups(stage) for c in group[0].candidates]

    def best(self, stage: str) -> list[str]:
        """Architectures of a stage with a result, by their mean: the best first, of equal ones the earliest."""
        found = []
        for group in self.groups(stage):
            well = [t for t in group if t.status.phase == "Succeeded"]
            for index, c in enumerate(group[0].candidates if well else ()):
                mean = fmean(value(t.candidates[index], t.seed) for t in well)
                found.append((-mean, well[0].number, index, written(c)))
        return [architecture for *_, architecture in sorted(found)]


def written(candidate: Candidate) -> str:
    return json.dumps(candidate.architecture, sort_keys=True)


def check(funnel: Funnel) -> None:
    """Each stage has run with all its seeds what it should, each candidate once."""
    stages = funnel.spec["stages"]
    for stage in stages:
        seeds = stage.get("evaluation", {}).get("seeds", 1)
        for group in funnel.groups(stage["name"]):
            assert [one.seed for one in group] == [*range(seeds)]
            assert len({tuple(map(written, one.candidates)) for one in group}) == 1
    for before, stage in pairwise(stages):
        if "search" not in stage:
            keep = before["keep"]
            # With one objective the front is the best alone.
            kept = list(dict.fromkeys(funnel.best(before["name"])))[: keep.get("top", 1)]
            assert sorted(funnel.ran(stage["name"])) == sorted(kept)


def drawn_stages(rng: Random) -> list[dict[str, Any]]:
    """Stages of any kind that can follow one another."""
    stages: list[dict[str, Any]] = []
    for index, name in enumerate(NAMES[: rng.randint(2, 3)]):
        stage: dict[str, Any] = {"name": name, "evaluation": {"epochs": 1 + index, "seeds": rng.choice([1, 1, 2, 3])}}
        if rng.random() < 0.3:
            stage["search"] = {"algorithm": rng.choice(ALGORITHMS), "seed": rng.randint(0, 9)}
            stage["trials"] = {"max": rng.randint(3, 12)}
        stage["keep"] = rng.choice([{"top": rng.randint(1, 2)}, {"front": True, "max": rng.randint(1, 9)}])
        stages.append(stage)
    del stages[-1]["keep"]
    return stages


def drawn(rng: Random) -> dict[str, Any]:
    """An experiment of stages."""
    values = [str(n) for n in range(rng.randint(1, 4))]
    parameters = [{"name": n, "type": "choice", "values": values} for n in ("a", "b")[: rng.randint(1, 2)]]
    return {
        "searchSpace": {"parameters": parameters},
        "search": {"algorithm": rng.choice(ALGORITHMS)},
        "stages": drawn_stages(rng),
        "trials": {"max": rng.randint(3, 20), "parallelism": rng.randint(1, 5), "maxFailures": 1000},
    }


def over(spec: dict[str, Any], rng: Random, deletion: float = 0.0) -> Funnel:
    """An experiment that has ended, whatever has failed, and been deleted, on the way."""
    funnel, failing, each = Funnel(spec), rng.choice([0, 0.2, 0.7]), rng.randint(1, 4)
    for number in range(MOST_RECONCILES):
        each = rng.choice([each, each, rng.randint(1, 4)])
        created = funnel.reconcile(each)
        if funnel.status.completion_time is not None:
            break
        # A crash between writes leaves any of them out.
        for new in created:
            if rng.random() < 0.9:
                funnel.create(new)
        for one in funnel.unfinished():
            if rng.random() < 0.5:
                funnel.end(one, well=rng.random() >= failing)
        if funnel.trials and number < MOST_RECONCILES / 4 and rng.random() < deletion:
            del funnel.trials[rng.choice([*funnel.trials])]
    assert funnel.status.completion_time is not None, "the experiment does not end"
    assert not funnel.unfinished()
    return funnel


@examples(150)
@given(st.integers(0, 2**32))
def test_every_stage_runs_what_it_should_once_and_it_ends(seed: int) -> None:
    rng = Random(seed)
    spec = drawn(rng)
    funnel = over(spec, rng)
    check(funnel)
    for stage in spec["stages"]:
        if "search" in stage or stage is spec["stages"][0]:
            most = stage.get("trials", {}).get("max", spec["trials"]["max"])
            assert len(funnel.of_stage(stage["name"])) <= most


@examples(150)
@given(st.integers(0, 2**32))
def test_it_ends_with_all_seeds_of_the_last_stage_whatever_trials_are_deleted(seed: int) -> None:
    rng = Random(seed)
    spec = drawn(rng)
    funnel = over(spec, rng, deletion=0.3)
    last = spec["stages"][-1]
    for group in funnel.groups(last["name"]):
        assert [one.seed for one in group] == [*range(last["evaluation"]["seeds"])]
        assert len({tuple(map(written, one.candidates)) for one in group}) == 1


def run(spec: dict[str, Any], *each: int) -> Funnel:
    """An experiment without failures, one trial at a time; `each` candidates a trial, the last number for the rest."""
    funnel = Funnel(spec)
    for number in range(MOST_RECONCILES):
        for new in funnel.reconcile(each[min(number, len(each) - 1)]):
            funnel.create(new)
            funnel.end(new.number, well=True)
        if funnel.status.completion_time is not None:
            return funnel
    raise AssertionError("the experiment does not end")


def spec_of(architectures: int, most: int, keep: int) -> dict[str, Any]:
    return {
        "searchSpace": {
            "parameters": [{"name": "a", "type": "choice", "values": [str(n) for n in range(architectures)]}]
        },
        "stages": [
            {"name": "wide", "evaluation": {"epochs": 1}, "keep": {"top": keep}},
            {"name": "narrow", "evaluation": {"epochs": 9}},
        ],
        "trials": {"max": most, "parallelism": 1},
    }


@pytest.mark.parametrize("algorithm", ["grid", "random", "predictor"])
def test_a_space_smaller_than_the_search_goes_on_to_the_next_stage(algorithm: str) -> None:
    funnel = run({**spec_of(9, 100, 3), "search": {"algorithm": algorithm}}, 1)
    assert [t.stage for _, t in sorted(funnel.trials.items())] == ["wide"] * 9 + ["narrow"] * 3
    end = next(c for c in funnel.status.conditions if c.type == "Succeeded")
    assert (end.status, end.reason, funnel.status.stage) == ("True", "TrialsCompleted", "narrow")
    check(funnel)


def test_fewer_results_than_are_kept() -> None:
    funnel = run(spec_of(4, 5, 5), 2)
    assert [len(t.candidates) for t in funnel.trials.values() if t.stage == "narrow"] == [2, 2]
    check(funnel)


def test_another_number_of_candidates_a_trial_within_a_stage() -> None:
    funnel = run(spec_of(9, 9, 7), *[1] * 9, 3, 2, 1)
    assert [len(t.candidates) for t in funnel.trials.values() if t.stage == "narrow"] == [3, 2, 1, 1]
    check(funnel)
