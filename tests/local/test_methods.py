"""`kubenas run` through all evaluation methods with KubeNAS' own trainer, killed in the middle."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.local.trainers import PATIENCE, kubenas, wait_for

SEARCH: dict[str, Any] = {
    "objectives": [{"metric": "accuracy"}],
    "task": {
        "name": "image-classification",
        "dataset": {"name": "digits"},
        "settings": {"batchSize": 128, "network": {"channels": 4, "cellsPerStack": 1}},
    },
    "searchSpace": {"preset": "nasbench201"},
    "search": {"algorithm": "random", "seed": 1},
    "storage": {"volumeClaim": "artifacts"},
}


def write(folder: Path, **spec: Any) -> Path:
    """The file of a search in stages."""
    path = folder / "search.yaml"
    document = {"apiVersion": "kubenas.io/v1alpha1", "kind": "NASExperiment", "metadata": {"name": "tiny"}}
    path.write_text(json.dumps({**document, "spec": {**SEARCH, **spec}}))
    return path


def run(file: Path) -> list[dict[str, Any]]:
    """The trials of a search, once it has ended well."""
    command = [sys.executable, "-m", "kubenas.cli", "run", str(file)]
    ended = subprocess.run(command, cwd=file.parent, capture_output=True, text=True, timeout=PATIENCE, check=False)
    assert ended.returncode == 0, ended.stdout + ended.stderr
    trials = [json.loads(path.read_text()) for path in (file.parent / ".kubenas" / "tiny" / "trials").glob("*.json")]
    return sorted(trials, key=lambda trial: int(trial["spec"]["number"]))


def test_a_funnel_that_is_killed_while_a_supernet_trains(tmp_path: Path) -> None:
    stages = [
        {
            "name": "score",
            "evaluation": {"method": "zero-cost"},
            "trials": {"max": 1, "candidatesPerTrial": 20},
            "keep": {"top": 4},
        },
        {
            "name": "shared",
            "evaluation": {"method": "supernet", "rule": "single-path", "epochs": 6},
            "keep": {"top": 1},
        },
        {"name": "train", "evaluation": {"epochs": 1, "inherit": True}},
    ]
    file = write(tmp_path, stages=stages)
    state = tmp_path / ".kubenas" / "tiny"
    first = kubenas("run", str(file), cwd=tmp_path)
    wait_for(lambda: any((state / "checkpoints" / "tiny-1").glob("0.*.safetensors")), "a checkpoint of the supernet")
    first.send_signal(signal.SIGKILL)
    first.communicate()
    scored, supernet, judged, trained = run(file)
    assert [t["spec"]["stage"] for t in (scored, supernet, judged, trained)] == [
        "score",
        "shared-supernet",
        "shared",
        "train",
    ]
    assert (scored["status"]["attempt"], supernet["status"]["attempt"]) == (1, 2)
    assert "the supernet goes on from epoch" in (state / "attempts" / "tiny-1-2" / "log").read_text()
    kept = [candidate["architecture"] for candidate in judged["spec"]["candidates"]]
    scores = [candidate["architecture"] for candidate in scored["spec"]["candidates"]]
    assert len(kept) == 4
    assert all(one in scores for one in kept)
    assert {judged["spec"]["supernet"], trained["spec"]["supernet"]} == {"tiny-1/0.safetensors"}
    assert trained["spec"]["candidates"][0]["architecture"] in kept
    status = json.loads((state / "experiment.json").read_text())["status"]
    assert status["best"]["trial"] == "tiny-3"


def test_what_a_differentiable_search_finds_is_trained(tmp_path: Path) -> None:
    stages = [
        {
            "name": "search",
            "evaluation": {"method": "differentiable", "epochs": 1},
            "trials": {"max": 2},
            "keep": {"top": 1},
        },
        {"name": "train", "evaluation": {"epochs": 1}},
    ]
    *searches, trained = run(write(tmp_path, stages=stages))
    results = [search["status"]["results"][0] for search in searches]
    found = [result["architecture"] for result in results]
    assert len(found) == 2
    accuracies = [{m["name"]: m["value"] for m in result["metrics"]}["accuracy"] for result in results]
    best = found[accuracies.index(max(accuracies))]
    assert trained["spec"]["candidates"][0]["architecture"] == best
