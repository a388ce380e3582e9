"""Trainings that are promoted, with processes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import torch
import yaml

from kubenas_trial import checkpoint
from kubenas_trial.checkpoint import Checkpoint
from kubenas_trial.storage.checkpoints import CheckpointStore
from tests.local.trainers import searched

EXAMPLE = Path(__file__).parents[2] / "examples" / "asha-promotion.yaml"
EPOCHS = 4


def trained(folder: Path, **changed: Any) -> list[dict[str, Any]]:
    document: dict[str, Any] = yaml.safe_load(EXAMPLE.read_text())
    document["spec"]["task"]["settings"]["network"] = {"channels": 4, "cellsPerStack": 1}
    document["spec"]["search"] = {"algorithm": "random"}
    document["spec"]["evaluation"]["epochs"] = EPOCHS
    document["spec"] |= changed
    # The test compares what all have left.
    document["spec"]["storage"]["keep"] = "all"
    document["spec"]["trials"] = {"max": 2, "parallelism": 1, "retries": 0}
    folder.mkdir()
    return searched(document, folder, 1200)[1]


def left_by(folder: Path, trial: dict[str, Any]) -> Checkpoint:
    store = CheckpointStore(str(folder / "state" / "checkpoints" / trial["metadata"]["name"] / "0.safetensors"))
    state = checkpoint.newest(store, trial["spec"]["candidates"][0]["architecture"])
    assert state is not None
    return state


def test_a_promoted_training_equals_one_in_one_go(tmp_path: Path) -> None:
    """Through two promotions, the last of which is that of the only one left: to the bit."""
    spec = yaml.safe_load(EXAMPLE.read_text())["spec"]
    whole = trained(tmp_path / "whole", fidelity={"scheduler": "none"})
    rungs = trained(tmp_path / "rungs", fidelity={**spec["fidelity"], "eta": 2})
    assert [(trial["spec"].get("continues"), trial["spec"]["candidates"][0]["epochs"]) for trial in rungs[:2]] == [
        (None, 1),
        (None, 1),
    ]
    winner = rungs[2]["spec"]["continues"]
    assert [(trial["spec"]["continues"], trial["spec"]["candidates"][0]["epochs"]) for trial in rungs[2:]] == [
        (winner, 2),
        (winner, EPOCHS),
    ]
    assert {trial["status"]["phase"] for trial in rungs} == {"Succeeded"}
    alone, together = whole[winner], rungs[-1]
    assert alone["spec"]["candidates"][0]["architecture"] == together["spec"]["candidates"][0]["architecture"]
    values = [
        {one["name"]: one["value"] for one in trial["status"]["results"][0]["metrics"] if one["name"] != "seconds"}
        for trial in (alone, together)
    ]
    assert values[0] == values[1]
    expected, found = left_by(tmp_path / "whole", alone), left_by(tmp_path / "rungs", together)
    assert (found.step, found.model.keys()) == (EPOCHS, expected.model.keys())
    for name, tensor in expected.model.items():
        assert torch.equal(found.model[name], tensor), name
    assert expected.model.keys() != set()
