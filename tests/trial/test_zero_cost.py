"""Method `zero-cost` in a trial: each candidate alone, in memory that does not grow."""

from __future__ import annotations

import gc
from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from kubenas.api.metric_names import PROXIES, of_proxies
from kubenas.api.space import SearchSpace
from kubenas.api.task import Dataset
from kubenas.api.task import Task as TaskSpec
from kubenas.space.load import build_space
from kubenas_trial.evaluation.zero_cost import judge
from kubenas_trial.proxies.load import load_proxies
from kubenas_trial.proxies.probe import Probe
from kubenas_trial.tasks.load import load_task
from tests.trial.process import CELL, TrialProcess, error_of, message, trial_document, trial_environment

CANDIDATES = 400
SMALL = {"0-1": "nor_conv_1x1", "0-2": "none", "0-3": "skip_connect", "1-2": "none", "1-3": "none", "2-3": "none"}
# Cannot look at networks with few weights.
PICKY = """
class Picky:
    name = "picky"
    metrics = ("picky",)

    def __call__(self, network, inputs):
        weights = sum(each.numel() for each in network.parameters())
        if weights < 10_000:
            raise ValueError(f"only {weights} weights")
        return {"picky": weights}
"""


def candidate(number: int, architecture: dict[str, Any]) -> dict[str, Any]:
    return {"id": str(number), "architecture": architecture, "epochs": 1, "resumeFrom": None}


def results(folder: Path, cells: list[dict[str, Any]], evaluation: dict[str, Any], **variables: str) -> list[Any]:
    """Of a trial with a candidate for each of `cells`."""
    document = trial_document(
        evaluation={"method": "zero-cost", **evaluation},
        candidates=[candidate(number, cell) for number, cell in enumerate(cells)],
    )
    folder.mkdir(exist_ok=True)
    with TrialProcess(trial_environment(folder, document, **variables)) as trial:
        assert trial.exit_code() == 0, trial.log
    found: list[Any] = message(folder)["results"]
    return found


@pytest.mark.parametrize("kind", ["noise", "data"])
def test_each_candidate_has_its_scores_whatever_the_others_are(tmp_path: Path, kind: str) -> None:
    evaluation = {"proxies": ["default", "snip"], "input": kind}
    both = results(tmp_path / "both", [CELL, SMALL], evaluation)
    swapped = results(tmp_path / "swapped", [SMALL, CELL], evaluation)
    columns = (*of_proxies(["default", "snip"]), "params", "flops")
    for one, other in zip(both, swapped[::-1], strict=True):
        assert {name: one["metrics"][name] for name in columns} == {name: other["metrics"][name] for name in columns}
        assert one["metrics"]["seconds"] > 0
        assert one["metrics"]["peak_memory_mb"] > 0
    assert both[0]["metrics"]["snip"] != both[1]["metrics"]["snip"]


def test_a_candidate_fails_alone(tmp_path: Path) -> None:
    (tmp_path / "picky_proxies.py").write_text(PICKY)
    info = tmp_path / "picky_proxies-1.dist-info"
    info.mkdir()
    (info / "METADATA").write_text("Metadata-Version: 2.1\nName: picky-proxies\nVersion: 1\n")
    (info / "entry_points.txt").write_text("[kubenas.proxies]\npicky = picky_proxies:Picky\n")
    found = results(tmp_path / "trial", [SMALL, CELL, SMALL, CELL], {"proxies": ["picky"]}, PYTHONPATH=str(tmp_path))
    assert [result.get("error", {}).get("message") for result in found[::2]] == ["ValueError: only 5214 weights"] * 2
    assert [result["metrics"]["picky"] == result["metrics"]["params"] for result in found[1::2]] == [True, True]


def test_more_scores_than_a_trial_can_have_are_refused_before_any_is_computed(tmp_path: Path) -> None:
    document = trial_document(
        evaluation={"method": "zero-cost", "proxies": [*PROXIES]},
        candidates=[candidate(number, SMALL) for number in range(600)],
    )
    with TrialProcess(trial_environment(tmp_path, document)) as trial:
        assert trial.exit_code() == 1
    reason, text = error_of(tmp_path)
    assert reason == "ResultsTooLarge"
    assert "600 candidates" in text


def test_memory_is_flat_over_hundreds_of_candidates() -> None:
    """What tensors and other objects there are at the end of each, and what the process takes."""
    spec = TaskSpec(name="image-classification", dataset=Dataset(name="digits"), settings={"batchSize": 8})
    task, space = load_task(spec, None, torch.device("cpu")), SearchSpace(preset="mlp")
    probe, built, rng = Probe.of(task, "noise", 0), build_space(space), Random(0)
    proxies = load_proxies(["snip"])
    objects, resident = list[int](), list[int]()
    # As trials do with what they have imported: each candidate begins with a collection.
    gc.freeze()
    for _ in range(CANDIDATES):
        judge(task, space, built.sample(rng), proxies, probe, 0)
        # Not `gc.collect` before: garbage that waits for it would be memory too.
        objects.append(len(gc.get_objects()))
        resident.append(int(Path("/proc/self/statm").read_text().split()[1]) * 4096)
    gc.unfreeze()
    half = CANDIDATES // 2
    assert max(objects[half:]) <= max(objects[50:half]) + 1000
    # The allocator may keep the weights of a network or two; those of each would be a hundred times that.
    assert max(resident[half:]) <= max(resident[50:half]) + 8e6
