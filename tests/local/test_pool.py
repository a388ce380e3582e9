"""A predictor that chooses from what was scored, from the file of an experiment to its trials."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from tests.local.trainers import searched

DOCUMENT = {
    "apiVersion": "kubenas.io/v1alpha1",
    "kind": "NASExperiment",
    "metadata": {"name": "pool"},
    "spec": {
        "objectives": [{"metric": "accuracy"}],
        "task": {
            "name": "image-classification",
            "dataset": {"name": "digits"},
            "settings": {"batchSize": 32, "network": {"channels": 4, "cellsPerStack": 1}},
        },
        "searchSpace": {"preset": "nasbench201"},
        "search": {"algorithm": "predictor", "seed": 1, "settings": {"proxies": ["nwot"], "pool": 24, "initial": 4}},
        "evaluation": {"epochs": 1},
        "trials": {"max": 6, "parallelism": 2},
    },
}


def architectures(trial: Any) -> set[str]:
    return {json.dumps(one["architecture"], sort_keys=True) for one in trial["spec"]["candidates"]}


def test_what_is_trained_was_scored(tmp_path: Path) -> None:
    output, (scoring, *training) = searched(DOCUMENT, tmp_path, 600)
    assert scoring["spec"]["stage"] == "proxies"
    scored = architectures(scoring)
    assert len(scored) == 24
    trained = set().union(*map(architectures, training))
    assert len(trained) == 6
    assert trained <= scored
    assert "ProxyUseful=Unknown: 6 candidates with proxies have been trained" in output
