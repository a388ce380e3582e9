"""The examples run: own trainers as they are, each task's in a search that is as small as can be."""

from __future__ import annotations

from collections import Counter
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from kubenas.api.metric_names import of_proxies
from kubenas.api.validate import read_experiment
from kubenas.space.load import build_space
from kubenas_trial.tasks.load import TASKS
from tests.local.trainers import kubenas, searched
from tests.trial.process import TrialProcess, message, trial_environment

# For a whole training of up to some minutes on a crowded machine.
TIMEOUT = 1200
EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize(
    ("path", "arguments"),
    [
        ("digits.yaml", ("-m", "kubenas_trial")),
        ("parameters.yaml", ("-m", "kubenas_trial")),
        ("own-trainer/experiment.yaml", (str(EXAMPLES / "own-trainer" / "train.py"),)),
    ],
)
def test_an_examples_trainer_reports_its_objective(tmp_path: Path, path: str, arguments: tuple[str, ...]) -> None:
    spec = read_experiment(yaml.safe_load((EXAMPLES / path).read_text())).spec
    architecture = build_space(spec.search_space).sample(Random(0))
    document: dict[str, Any] = {
        "experiment": "example",
        "trial": "example-0",
        "attempt": 1,
        "seed": 1,
        "task": spec.task.dump(),
        "evaluation": spec.evaluation.dump(),
        "searchSpace": spec.search_space.dump(),
        "candidates": [{"id": "0", "architecture": architecture.to_json(), "epochs": 2, "resumeFrom": None}],
    }
    with TrialProcess(trial_environment(tmp_path, document), arguments) as trial:
        assert trial.exit_code() == 0, trial.log
    [result] = message(tmp_path)["results"]
    assert result["step"] == 2
    assert spec.objectives[0].metric in result["metrics"]


# What makes a trial short; the rest is as in the example.
TINY: dict[str, dict[str, Any]] = {
    "image-classification": {"network": {"channels": 4, "cellsPerStack": 1}},
    "object-detection": {"network": {"width": 0.1, "resolution": 0.2}},
    "semantic-segmentation": {"network": {"width": 0.125}},
    "text-classification": {"network": {"width": 0.125}},
    "text-representation": {"network": {"width": 0.125}},
    "language-model": {"network": {"width": 0.0625}},
    "translation": {"network": {"width": 0.03125}},
    "keyword-spotting": {"network": {"width": 0.25}},
    "node-classification": {"network": {"hidden": 16}},
    "visual-question-answering": {"network": {"width": 0.125}, "batchSize": 512},
}


@pytest.mark.parametrize("task", TASKS)
def test_each_tasks_example_is_searched_by_the_local_backend(tmp_path: Path, task: str) -> None:
    document = yaml.safe_load((EXAMPLES / f"{task}.yaml").read_text())
    document["spec"]["task"]["settings"] = document["spec"]["task"].get("settings", {}) | TINY[task]
    document["spec"] |= {"evaluation": {"epochs": 1}, "trials": {"max": 1, "retries": 0}}
    (tmp_path / "nas.yaml").write_text(yaml.safe_dump(document))
    run = kubenas("run", "nas.yaml", cwd=tmp_path)
    output, errors = run.communicate(timeout=TIMEOUT)
    assert (run.returncode, errors) == (0, ""), output
    assert "Succeeded: 1 of 1 trials have a result." in output


def test_the_example_of_scores_before_trainings_is_searched_by_the_local_backend(tmp_path: Path) -> None:
    document = yaml.safe_load((EXAMPLES / "zero-cost.yaml").read_text())
    document["spec"]["task"]["settings"] |= {"batchSize": 32, **TINY["image-classification"]}
    screen, final = document["spec"]["stages"]
    screen |= {"trials": {"max": 2, "candidatesPerTrial": 3}, "keep": {"top": 2}}
    final["evaluation"]["epochs"] = 1
    _, trials = searched(document, tmp_path, TIMEOUT)
    results = {
        stage: [one for each in trials if each["spec"]["stage"] == stage for one in each["status"]["results"]]
        for stage in ("screen", "train")
    }
    assert {stage: len(those) for stage, those in results.items()} == {"screen": 6, "train": 2}
    for result in results["screen"]:
        assert {*of_proxies(["default"]), "params", "flops"} <= {metric["name"] for metric in result["metrics"]}


@pytest.mark.parametrize("rule", ["fairnas", "sandwich"])
def test_the_examples_of_supernets_are_searched_by_the_local_backend(tmp_path: Path, rule: str) -> None:
    document = yaml.safe_load((EXAMPLES / f"supernet-{rule}.yaml").read_text())
    document["spec"]["task"]["settings"]["network"]["channels"] = 4
    screen, final = document["spec"]["stages"]
    screen["evaluation"]["epochs"] = 2
    screen |= {"trials": {"max": 2, "candidatesPerTrial": 4}, "keep": {"top": 2}}
    final["evaluation"]["epochs"] = 1
    _, trials = searched(document, tmp_path, TIMEOUT)
    results = Counter(each["spec"]["stage"] for each in trials for _ in each["status"]["results"])
    trained = 2 * final["evaluation"].get("seeds", 1)
    assert results == {"screen-supernet": 1, "screen": 8, "final": trained}


def test_the_example_of_spot_nodes_is_searched_by_the_local_backend(tmp_path: Path) -> None:
    """Where nothing is taken back, and nothing costs."""
    document = yaml.safe_load((EXAMPLES / "spot.yaml").read_text())
    document["spec"]["task"]["settings"] |= TINY["image-classification"]
    document["spec"] |= {"evaluation": {"epochs": 1}, "trials": {"max": 1, "retries": 0}}
    _, [trial] = searched(document, tmp_path, TIMEOUT)
    assert trial["status"]["phase"] == "Succeeded"
    assert trial["status"].get("classSeconds", []) == []


def test_the_example_of_a_funnel_is_searched_by_the_local_backend(tmp_path: Path) -> None:
    document = yaml.safe_load((EXAMPLES / "funnel.yaml").read_text())
    document["spec"]["task"]["settings"] |= {"batchSize": 32, **TINY["image-classification"]}
    score, shared, short, full = document["spec"]["stages"]
    score |= {"trials": {"max": 2, "candidatesPerTrial": 4}, "keep": {"top": 5}}
    shared |= {"trials": {"candidatesPerTrial": 3}, "keep": {"top": 3}}
    shared["evaluation"]["epochs"] = short["evaluation"]["epochs"] = full["evaluation"]["epochs"] = 1
    short["keep"] = {"top": 1}
    full["evaluation"]["seeds"] = 2
    output, trials = searched(document, tmp_path, TIMEOUT)
    results = Counter(each["spec"]["stage"] for each in trials for _ in each["status"]["results"])
    assert results == {"score": 8, "shared-supernet": 1, "shared": 5, "short": 3, "full": 2}
    assert "ProxyUseful=Unknown: 3 candidates with proxies have been trained" in output
    assert "RankingReliable=Unknown: 3 candidates judged by the supernet have been trained" in output


def test_what_differentiable_searches_find_is_trained(tmp_path: Path) -> None:
    document = yaml.safe_load((EXAMPLES / "darts.yaml").read_text())
    spec = document["spec"]
    spec["task"]["settings"] = {"batchSize": 512, "network": {"channels": 4, "cells": 1}}
    spec["trials"] = {"max": 2, "retries": 0}
    search, final = spec["stages"]
    search["evaluation"]["epochs"] = final["evaluation"]["epochs"] = 1
    search["keep"]["top"] = 2
    final["evaluation"]["seeds"] = 1
    _, trials = searched(document, tmp_path, TIMEOUT)
    space = build_space(read_experiment(document).spec.search_space)
    found, trained = [], []
    for trial in trials:
        [candidate], [result] = trial["spec"]["candidates"], trial["status"]["results"]
        metrics = {each["name"] for each in result["metrics"]}
        if trial["spec"]["stage"] == "search":
            assert "discretization_gap" in metrics
            found.append(space.key(space.parse(result["architecture"])))
        else:
            assert "test_accuracy" in metrics
            trained.append(space.key(space.parse(candidate["architecture"])))
    # Two searches, each with a seed of its own.
    assert len(set(found)) == 2
    assert sorted(trained) == sorted(found)
