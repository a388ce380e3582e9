"""The examples of transformers that are ranked without training, each as a search that is as small as can be."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import yaml

from tests.local.trainers import searched
from tests.trial.test_examples import EXAMPLES, TIMEOUT


def run(folder: Path, spec: dict[str, Any]) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """Run it to its end; the experiment's status, and the trials in their order."""
    document = {"apiVersion": "kubenas.io/v1alpha1", "kind": "NASExperiment", "metadata": {"name": "nas"}, "spec": spec}
    _, trials = searched(document, folder, TIMEOUT)
    return json.loads((folder / "state" / "experiment.json").read_text())["status"], trials


def example(name: str) -> dict[str, Any]:
    spec: dict[str, Any] = yaml.safe_load((EXAMPLES / f"{name}.yaml").read_text())["spec"]
    return spec


def metrics(trial: dict[str, Any]) -> dict[str, dict[str, float]]:
    """Of each result by its candidate."""
    return {
        result["candidate"]: {metric["name"]: metric["value"] for metric in result["metrics"]}
        for result in trial["status"]["results"]
    }


def test_decoders_are_traded_off_without_training(tmp_path: Path) -> None:
    spec = example("lite-transformer-search")
    spec["task"]["settings"] |= {"network": {"width": 0.0625}}
    spec["searchSpace"]["constraints"] = ["n_layer <= 4"]
    spec["trials"] = {"max": 2, "candidatesPerTrial": 4}
    status, trials = run(tmp_path, spec)
    found = [values for trial in trials for values in metrics(trial).values()]
    assert len(found) == 8
    points = [(-one["decoder_params"], one["latency_ms"], one["peak_memory_mb"]) for one in found]
    best = [p for p in points if not any(all(a <= b for a, b in zip(q, p, strict=True)) and q != p for q in points)]
    assert len(status["paretoFront"]) == len(best)
    assert all(0 < one["decoder_params"] < one["params"] for one in found)


def test_the_highest_score_is_trained(tmp_path: Path) -> None:
    spec = example("tf-tas")
    spec["task"]["settings"] = {"network": {"width": 0.0625}}
    screen, train = spec["stages"]
    screen |= {"trials": {"max": 2, "candidatesPerTrial": 3}, "keep": {"top": 1}}
    train["evaluation"]["epochs"] = 1
    status, trials = run(tmp_path, spec)
    scored = [
        (metrics(trial)[candidate["id"]]["tf_tas"], candidate["architecture"])
        for trial in trials
        if trial["spec"]["stage"] == screen["name"]
        for candidate in trial["spec"]["candidates"]
    ]
    [trained] = [trial for trial in trials if trial["spec"]["stage"] == train["name"]]
    assert len(scored) == 6
    assert trained["spec"]["candidates"][0]["architecture"] == max(scored, key=lambda one: one[0])[1]
    assert status["best"]["trial"] == "nas-2"
