"""The funnel, whatever the sizes: every candidate that is kept is run once in the next stage, and the search ends."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from itertools import pairwise
from random import Random
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kubenas.api.status import ExperimentStatus
from kubenas.api.trial import Candidate, TrialSpec, TrialStatus
from kubenas.experiment.state import Trial
from tests.experiment.builders import experiment, planned

MOST_LOOKS = 300
NAMES = ("wide", "middle", "narrow")


def value(candidate: Candidate) -> float:
    """What a candidate comes to, in every stage alike; several come to the same."""
    digest = hashlib.sha256(json.dumps(candidate.architecture, sort_keys=True).encode()).digest()
    return digest[0] % 8 / 8


class Funnel:
    """An experiment whose trials end at a look, by what is drawn."""

    def __init__(self, spec: dict[str, Any]) -> None:
        self.spec = spec
        self.status = ExperimentStatus()
        self.trials: dict[int, Trial] = {}

    def look(self, each: int) -> list[TrialSpec]:
        """What is to be created now, with `each` candidates a trial."""
        trials = {**self.spec["trials"], "candidatesPerTrial": each}
        of = experiment(self.status, **{**self.spec, "trials": trials})
        made = planned(of, trials=list(self.trials.values()))
        self.status = made.status or self.status
        return [new.spec for new in made.create]

    def create(self, spec: TrialSpec) -> None:
        assert spec.number not in self.trials, "a number is given twice"
        self.trials[spec.number] = Trial(
            f"nas-{spec.number}", spec.number, "", "1", spec.observed, spec.stage, tuple(spec.candidates), TrialStatus()
        )

    def end(self, number: int, *, well: bool) -> None:
        of = self.trials[number]
        status: dict[str, Any] = {
            "phase": "Failed",
            "order": 1 + max((t.status.order or 0) for t in self.trials.values()),
        }
        if well:
            metrics = [[{"name": "accuracy", "value": value(c)}] for c in of.candidates]
            status["phase"] = "Succeeded"
            status["results"] = [
                {"candidate": c.id, "step": c.epochs, "source": "TerminationMessage", "metrics": m}
                for c, m in zip(of.candidates, metrics, strict=True)
            ]
        self.trials[number] = replace(of, status=TrialStatus(**status), resource_version="2")

    def unfinished(self) -> list[int]:
        return [n for n, t in sorted(self.trials.items()) if not t.finished]

    def ran(self, stage: str, *, well: bool = False) -> list[str]:
        """Architectures of a stage, of those that succeeded the best first and of equal ones the earliest."""
        found = [
            (-value(c), t.number, int(c.id), json.dumps(c.architecture, sort_keys=True))
            for t in self.trials.values()
            if t.stage == stage and (t.status.phase == "Succeeded" or not well)
            for c in t.candidates
        ]
        return [architecture for *_, architecture in sorted(found)]


def check(funnel: Funnel) -> None:
    """Each stage has run what the one before has kept, each once."""
    stages = funnel.spec["stages"]
    for before, stage in pairwise(stages):
        kept = list(dict.fromkeys(funnel.ran(before["name"], well=True)))[: before["keep"]]
        assert sorted(funnel.ran(stage["name"])) == sorted(kept)


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 2**32))
def test_every_kept_candidate_is_run_once_and_it_ends(seed: int) -> None:
    rng = Random(seed)
    values = [str(n) for n in range(rng.randint(1, 4))]
    parameters = [{"name": n, "type": "choice", "values": values} for n in ("a", "b")[: rng.randint(1, 2)]]
    names = NAMES[: rng.randint(2, 3)]
    most, each = rng.randint(1, 20), rng.randint(1, 4)
    spec: dict[str, Any] = {
        "searchSpace": {"parameters": parameters},
        "search": {"algorithm": rng.choice(["random", "grid", "regularized-evolution"])},
        "stages": [{"name": name, "epochs": 1 + i, "keep": rng.randint(1, 9)} for i, name in enumerate(names)],
        "trials": {"max": most, "parallelism": rng.randint(1, 5), "maxFailures": 1000},
    }
    del spec["stages"][-1]["keep"]
    funnel, failing = Funnel(spec), rng.choice([0, 0.2, 0.7])
    for _ in range(MOST_LOOKS):
        each = rng.choice([each, each, rng.randint(1, 4)])
        created = funnel.look(each)
        if funnel.status.completion_time is not None:
            break
        # A crash between writes leaves any of them out.
        for new in created:
            if rng.random() < 0.9:
                funnel.create(new)
        for number in funnel.unfinished():
            if rng.random() < 0.5:
                funnel.end(number, well=rng.random() >= failing)
    assert funnel.status.completion_time is not None, "the experiment does not end"
    assert not funnel.unfinished()
    assert len([t for t in funnel.trials.values() if t.stage == "wide"]) <= most
    check(funnel)


def run(spec: dict[str, Any], *each: int) -> Funnel:
    """An experiment without failures, one trial at a time; `each` candidates a look, the last number for the rest."""
    funnel = Funnel(spec)
    for look in range(MOST_LOOKS):
        for new in funnel.look(each[min(look, len(each) - 1)]):
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
        "stages": [{"name": "wide", "epochs": 1, "keep": keep}, {"name": "narrow", "epochs": 9}],
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
