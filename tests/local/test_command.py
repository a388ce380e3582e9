"""What a trial's process is started with."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Any

import pytest

from kubenas.api.experiment import ExperimentSpec
from kubenas.api.trial import Candidate
from kubenas.experiment.resolution import resolve
from kubenas.local.command import Command, import_command, not_used, threads, trial_command, uses_own_trainer
from kubenas.local.contract import VARIABLES
from kubenas_trial.document import read_evaluation
from tests.experiment.builders import experiment


def spec(container: dict[str, Any] | None = None, **others: Any) -> ExperimentSpec:
    pod = {"containers": [{"name": "trainer", **container}]} if container is not None else {}
    return experiment(trialTemplate={"spec": pod | others}).spec


def command(of: ExperimentSpec, **inherited: str) -> Command:
    wide = Candidate(id="0", name="", architecture={"width": 64}, epochs=1)
    return trial_command(of, [wide], {"KUBENAS_METRICS_PORT": "1234"}, inherited)


def test_kubenas_own_trainer() -> None:
    of = spec()
    assert uses_own_trainer(of)
    assert command(of).arguments == (sys.executable, "-m", "kubenas_trial")
    given = spec({"env": [{"name": "A", "value": "1"}, {"name": "KUBENAS_METRICS_PORT", "value": "8080"}]})
    shared = command(given, HOME="/root").imported_with or {}
    assert (shared["A"], shared["HOME"], "KUBENAS_METRICS_PORT" in shared) == ("1", "/root", False)
    assert command(spec({"args": ["--verbose"]})).arguments[-2:] == ("kubenas_trial", "--verbose")


def test_a_trainer_of_ones_own() -> None:
    of = spec(
        {
            "command": ["python", "train.py"],
            "args": ["--width=$(kubenas.width)", "--port=$(KUBENAS_METRICS_PORT)", "$(MODE)", "$$(MODE) $(HOME)"],
            "env": [
                {"name": "MODE", "value": "w$(kubenas.width)"},
                {"name": "TOKEN", "valueFrom": {"secretKeyRef": {}}},
            ],
        }
    )
    assert not uses_own_trainer(of)
    assert command(of).imported_with is None
    made = command(of, HOME="/root", MODE="inherited")
    assert made.arguments == ("python", "train.py", "--width=64", "--port=1234", "w64", "$(MODE) $(HOME)")
    assert (made.environment["MODE"], made.environment["HOME"]) == ("w64", "/root")
    assert "TOKEN" not in made.environment


def test_directives_and_what_is_switched_off_are_as_in_a_pod() -> None:
    variables = [{"name": "A", "value": "$(kubenas.depth)"}, {"name": "KUBENAS_METRICS_PORT", "$patch": "delete"}]
    made = command(spec({"command": ["x", "--d=$(kubenas.depth)", "--d=$(kubenas.depth:3)"], "env": variables}))
    assert made.arguments == ("x", "--d=3")
    assert not {"A", "KUBENAS_METRICS_PORT"} & made.environment.keys()
    trainer = {"name": "trainer", "command": ["y"], "env": [{"$patch": "replace"}, {"name": "B", "value": "1"}]}
    replaced = experiment(trialTemplate={"spec": {"containers": [{"$patch": "replace"}, trainer]}}).spec
    made = command(replaced)
    assert made.arguments == ("y",)
    assert ("KUBENAS_METRICS_PORT" in made.environment, made.environment["B"]) == (False, "1")
    assert "trialTemplate.spec.containers[0]" in not_used(replaced)


def test_the_contract_is_handed_over_as_it_is() -> None:
    made = trial_command(
        spec({"command": ["x"]}), [Candidate(id="0", name="", architecture={}, epochs=1)], {"A": "$(B) $$"}, {}
    )
    assert made.environment["A"] == "$(B) $$"


def test_a_decisions_value_is_not_expanded() -> None:
    of = spec({"command": ["train"], "args": ["$(kubenas.act)"], "env": [{"name": "ACT", "value": "$(kubenas.act)"}]})
    value = "$(KUBENAS_METRICS_PORT) $$ $(ACT)"
    candidate = Candidate(id="0", name="", architecture={"act": value}, epochs=1)
    made = trial_command(of, [candidate], {"KUBENAS_METRICS_PORT": "1234"}, {})
    assert (made.arguments, made.environment["ACT"]) == (("train", value), value)


def test_python_is_the_one_that_kubenas_is_installed_for() -> None:
    first = command(spec(), PATH="/usr/bin").environment["PATH"].split(os.pathsep)
    assert first == [str(Path(sys.executable).parent), "/usr/bin"]


def test_what_is_imported_ahead_is_imported_with_what_all_trials_have() -> None:
    shared = {"env": [{"name": "A", "value": "1"}, {"name": "B", "value": "$$(kubenas.width) $(A)"}], "args": ["-v"]}
    for of in (spec(), spec(shared)):
        (stage,) = resolve(of)
        inherited = {"HOME": "/root", "KUBENAS_METRICS_PORT": "8080"}
        ahead = import_command(of, stage, inherited)
        assert ahead is not None
        one = Candidate(id="0", name="", architecture={"width": 64}, epochs=1)
        made = trial_command(of, [one], dict.fromkeys(VARIABLES, "x"), inherited)
        assert ahead.imported_with == made.imported_with
        asked = read_evaluation(ahead.environment)
        assert (asked.task, asked.evaluation.method) == (of.task, "train")


@pytest.mark.parametrize("value", ["$(kubenas.width)", "$(kubenas.width:3)", "$(KUBENAS_CHECKPOINT_DIR)/logs"])
def test_nothing_is_imported_ahead_where_each_trial_has_an_environment_of_its_own(value: str) -> None:
    of = spec({"env": [{"name": "WIDTH", "value": value}]})
    (stage,) = resolve(of)
    assert import_command(of, stage, {}) is None
    assert import_command(spec({"command": ["train"]}), stage, {}) is None


def test_trials_share_the_cpus() -> None:
    cpus = len(os.sched_getaffinity(0))
    assert [threads(n) for n in (0, 1, cpus, 1000)] == [cpus, cpus, 1, 1]
    assert command(spec()).environment["OMP_NUM_THREADS"] == str(cpus)
    following = experiment(trials={"autoscale": {"max": cpus}}).spec
    assert command(following).environment["OMP_NUM_THREADS"] == "1"
    assert command(spec(), OMP_NUM_THREADS="5").environment["OMP_NUM_THREADS"] == "5"


def test_what_has_no_meaning_here_is_named() -> None:
    of = experiment(
        budget={"gpuHours": 1, "cost": 2, "prices": {"default": 1}},
        queueName="gpus",
        storage={"url": "s3://artifacts", "secret": "bucket"},
        ttlSecondsAfterFinished=5,
        trialTemplate={
            "metadata": {"labels": {"team": "a"}},
            "alternatives": [{"afterDisruptions": 1}],
            "spec": {
                "nodeSelector": {"gpu": "a100"},
                "containers": [
                    {"name": "sidecar"},
                    {"name": "trainer", "image": "x", "args": ["a"], "env": [{"name": "A", "valueFrom": {}}]},
                ],
            },
        },
    ).spec
    assert not_used(of) == [
        "trialTemplate.metadata.labels",
        "trialTemplate.spec.nodeSelector",
        "trialTemplate.spec.containers[0]",
        "trialTemplate.spec.containers[1].image",
        "trialTemplate.spec.containers[1].env[A].valueFrom",
        "trialTemplate.alternatives",
        "budget.gpuHours",
        "budget.cost",
        "budget.prices",
        "storage.url",
        "storage.secret",
        "queueName",
        "ttlSecondsAfterFinished",
    ]
    assert not_used(experiment().spec) == []
