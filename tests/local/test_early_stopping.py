"""Early stopping with processes: who is stopped, and what they leave."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import yaml

from tests.local.trainers import searched

EXAMPLE = Path(__file__).parents[2] / "examples" / "asha.yaml"


def test_the_example_stops_most_trials_with_what_they_have_come_to(tmp_path: Path) -> None:
    document: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
    document["spec"]["task"]["settings"]["network"] = {"channels": 4, "cellsPerStack": 1}
    document["spec"]["evaluation"]["epochs"] = 12
    document["spec"]["trials"] = {"max": 7, "parallelism": 2, "retries": 0}
    _, trials = searched(document, tmp_path, 1200)
    phases = {trial["status"]["phase"] for trial in trials}
    assert phases == {"Succeeded", "Pruned"}
    at_first = {
        trial["spec"]["number"]: point["metrics"][0]["value"]
        for trial in trials
        for point in trial["status"]["curve"]
        if point["step"] == 1
    }
    assert len(at_first) == 7, "a value at the first rung was not read"
    for trial in trials:
        status = trial["status"]
        steps = [point["step"] for point in status["curve"]]
        if status["phase"] == "Pruned":
            (result,) = status["results"]
            assert status["conditions"][0]["reason"] == "StoppedEarly"
            assert 1 <= result["step"] < 12
            assert "accuracy" in {metric["name"] for metric in result["metrics"]}
            checkpoints = tmp_path / "state" / "checkpoints" / trial["metadata"]["name"]
            assert {path.name.partition(".")[0] for path in checkpoints.glob("*.safetensors")} == {"0"}
        else:
            assert {1, 3, 9} <= set(steps)
    best = max(at_first, key=at_first.__getitem__)
    judged_at_3 = [trial for trial in trials if 3 in [point["step"] for point in trial["status"]["curve"]]]
    assert best in {trial["spec"]["number"] for trial in judged_at_3}, "the best at the first rung was stopped there"


def test_of_several_candidates_of_a_trial_only_the_loser_stops(tmp_path: Path) -> None:
    document: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
    document["spec"]["task"]["settings"]["network"] = {"channels": 4, "cellsPerStack": 1}
    document["spec"]["evaluation"]["epochs"] = 30
    document["spec"]["fidelity"] = {"scheduler": "asha", "eta": 2}
    document["spec"]["trials"] = {"max": 2, "parallelism": 2, "retries": 0, "candidatesPerTrial": 2}
    _, trials = searched(document, tmp_path, 1200)
    steps = {
        (trial["spec"]["number"], result["candidate"]): result["step"]
        for trial in trials
        for result in trial["status"]["results"]
    }
    assert len(steps) == 4, "each candidate has a result, none has failed"
    stopped = {
        (trial["spec"]["number"], one["candidate"]): one["epoch"]
        for trial in trials
        for one in trial["status"].get("stoppedCandidates", [])
    }
    assert stopped
    for key, epoch in stopped.items():
        assert epoch <= steps[key] < 30
    for trial in trials:
        early = [key for key in stopped if key[0] == trial["spec"]["number"]]
        if trial["status"]["phase"] == "Succeeded":
            assert len(early) < 2
        else:
            assert trial["status"]["phase"] == "Pruned"
            assert len(early) >= 1
