"""Method `supernet`: one trial trains and writes a supernet, others judge candidates by it."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
import torch

from kubenas.api.space import SearchSpace
from kubenas.space.load import build_space
from kubenas_trial import checkpoint
from kubenas_trial.contract import Trial
from kubenas_trial.run import run
from kubenas_trial.supernets.rules.load import RULES
from tests.trial.process import ENDED_WITHIN, TrialProcess, error_of, message, trial_document, trial_environment

SPACE = build_space(SearchSpace(preset="nasbench201"))
SUPERNET: dict[str, Any] = {"method": "supernet", "rule": "single-path"}


def training(epochs: int = 1, **evaluation: Any) -> dict[str, Any]:
    """The document of a trial that trains a supernet."""
    return trial_document(evaluation=SUPERNET | evaluation, candidates=[{"id": "0", "epochs": epochs}])


def judging(supernet: Path, count: int = 3, **changes: Any) -> dict[str, Any]:
    """The document of a trial that judges some architectures by a supernet."""
    candidates = [
        {"id": str(number), "architecture": SPACE.sample(Random(number)).to_json()} for number in range(count)
    ]
    return trial_document(evaluation=SUPERNET, supernet=str(supernet), candidates=candidates) | changes


def done(folder: Path, document: dict[str, Any]) -> list[dict[str, Any]]:
    """The results of a trial that is run here."""
    folder.mkdir(exist_ok=True)
    with Trial.from_environment(trial_environment(folder, document, KUBENAS_CHECKPOINT_DIR=str(folder))) as trial:
        run(trial)
    return list(message(folder)["results"])


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The checkpoint of a supernet that has learned a little."""
    folder = tmp_path_factory.mktemp("trained")
    [result] = done(folder, training(epochs=12))
    assert result["step"] == 12
    assert result["metrics"]["accuracy"] > 0.2
    return folder / "0.safetensors"


def test_candidates_are_judged_by_the_weights_of_the_supernet(tmp_path: Path, trained: Path) -> None:
    results = done(tmp_path, judging(trained))
    assert [result["candidate"] for result in results] == ["0", "1", "2"]
    for result in results:
        assert result["metrics"].keys() == {"accuracy", "loss", "params", "flops", "seconds", "peak_memory_mb"}
    assert max(result["metrics"]["accuracy"] for result in results) > 0.2
    # The same whenever and with whatever others.
    [alone] = done(tmp_path / "alone", judging(trained, 1))
    assert alone["metrics"]["loss"] == results[0]["metrics"]["loss"]


def test_an_architecture_that_the_supernet_lacks_fails_alone(tmp_path: Path, trained: Path) -> None:
    document = judging(trained, searchSpace={"cell": {"nodes": 4, "operations": ["conv_5x5", "skip_connect"]}})
    edges = ["0-1", "0-2", "0-3", "1-2", "1-3", "2-3"]
    settings = {"network": {"channels": 4, "cellsPerStack": 1}}
    document["task"] = document["task"] | {"settings": settings}
    document["candidates"] = [
        {"id": str(number), "architecture": dict.fromkeys(edges, operation)}
        for number, operation in enumerate(("conv_5x5", "skip_connect"))
    ]
    failed, result = done(tmp_path, document)
    assert failed["error"]["reason"] == "InvalidTrial"
    assert "the supernet has no stack0.0.edges.0-1.conv_5x5.1.weight" in failed["error"]["message"]
    assert "accuracy" in result["metrics"]


def test_a_training_goes_on_from_that_of_a_trial_that_was_cut_short(tmp_path: Path, trained: Path) -> None:
    document = training(epochs=14)
    document["candidates"][0]["resumeFrom"] = str(trained)
    [result] = done(tmp_path, document)
    before, after = checkpoint.load(trained), checkpoint.load(tmp_path / "0.safetensors")
    assert (before.step, after.step, result["step"]) == (12, 14, 14)
    # Twelve of the fourteen epochs were paid before.
    assert after.seconds > before.seconds
    # One that was cut short at its beginning has left none.
    document["candidates"][0] |= {"resumeFrom": str(tmp_path / "none.safetensors"), "epochs": 1}
    assert done(tmp_path / "anew", document)[0]["step"] == 1


@pytest.mark.parametrize(("rule", "aware"), [*((rule, False) for rule in RULES), ("single-path", True)])
def test_an_interrupted_training_ends_with_the_same_weights(tmp_path: Path, rule: str, aware: bool) -> None:
    stage = {"name": "a", "depth": [1, 2], "kernel": [3, 5], "width": [4, 8]}
    shrinks = rule == "progressive-shrinking"
    space: dict[str, Any] = {"macro": {"stages": [stage]}} if shrinks else {"preset": "nasbench201"}
    document = training(epochs=2, rule=rule, complexityAwareRate=aware) | {"searchSpace": space}
    network = {"channels": 4} if shrinks else {"channels": 4, "cellsPerStack": 1}
    document["task"] = document["task"] | {"settings": {"batchSize": 256, "network": network}}
    states = {}
    for name, ended in {"undisturbed": [], "disturbed": ["4", "3"]}.items():
        folder = tmp_path / name
        folder.mkdir()
        environment = trial_environment(folder, document, KUBENAS_CHECKPOINT_DIR=str(folder))
        for step in ended:
            with TrialProcess(environment, ("-c", ENDED_WITHIN, step), warm=True) as trial:
                assert trial.exit_code() == 143, trial.log
        with TrialProcess(environment, ("-c", ENDED_WITHIN), warm=True) as trial:
            assert trial.exit_code() == 0, trial.log
            assert ("goes on from epoch" in trial.log) == bool(ended)
        states[name] = checkpoint.load(folder / "0.safetensors")
    assert states["disturbed"].metrics["loss"] == states["undisturbed"].metrics["loss"]
    for name, weights in states["undisturbed"].model.items():
        assert torch.equal(states["disturbed"].model[name], weights), name


def test_a_checkpoint_of_one_architecture_is_no_supernet(tmp_path: Path) -> None:
    document = trial_document()
    document["candidates"] = [document["candidates"][0] | {"epochs": 1}]
    done(tmp_path / "trained", document)
    with pytest.raises(SystemExit):
        done(tmp_path, judging(tmp_path / "trained" / "0.safetensors"))
    reason, text = error_of(tmp_path)
    assert reason == "InvalidTrial"
    assert "is of one architecture" in text


def test_a_supernet_of_other_inputs_is_refused(tmp_path: Path, trained: Path) -> None:
    document = judging(trained)
    document["task"] = document["task"] | {"settings": {"imageSize": 12}}
    with pytest.raises(SystemExit):
        done(tmp_path, document)
    reason, text = error_of(tmp_path)
    assert reason == "InvalidTrial"
    assert "train a supernet on this task and data set" in text


def test_a_rule_that_makes_no_sense_for_the_space_is_told(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        done(tmp_path, training(rule="progressive-shrinking"))
    reason, text = error_of(tmp_path)
    assert reason == "InvalidTrial"
    assert text.startswith("evaluation.rule: progressive-shrinking lessens sizes")


def test_training_that_inherits_begins_with_the_weights_of_the_supernet(tmp_path: Path, trained: Path) -> None:
    supernet = checkpoint.load(trained).model
    document = judging(trained, 1, evaluation={"method": "train", "inherit": True})
    [candidate] = document["candidates"]
    candidate["epochs"] = 1
    # So low a rate that weights stay as they were at first.
    document["task"] = document["task"] | {"settings": document["task"]["settings"] | {"learningRate": 1e-12}}
    done(tmp_path, document)
    weights = checkpoint.load(tmp_path / "0.safetensors").model
    torch.testing.assert_close(weights["stem.k3.weight"], supernet["trees.0.stem.k3.weight"])
    torch.testing.assert_close(weights["output.weight"], supernet["trees.0.output.weight"])


def test_what_a_supernet_lacks_cannot_be_inherited(tmp_path: Path, trained: Path) -> None:
    document = judging(trained, 1, evaluation={"method": "train", "inherit": True})
    document["candidates"][0]["epochs"] = 1
    document["task"] = document["task"] | {"settings": {"network": {"channels": 8, "cellsPerStack": 1}}}
    with pytest.raises(SystemExit):
        done(tmp_path, document)
    reason, text = error_of(tmp_path)
    assert reason == "InvalidTrial"
    assert text.startswith("the supernet has no stem.k3.weight of shape (8, 1, 3, 3), but of (4, 1, 3, 3)")


def test_an_inheritance_without_a_supernet_is_told(tmp_path: Path) -> None:
    with pytest.raises(SystemExit):
        done(tmp_path, trial_document(evaluation={"method": "train", "inherit": True}))
    reason, text = error_of(tmp_path)
    assert reason == "InvalidTrial"
    assert text.startswith("evaluation.inherit: no supernet is named")


def test_two_processes_train_one_supernet_and_one_of_them_judges(tmp_path: Path) -> None:
    document = training(epochs=1, rule="fairnas")
    environment = trial_environment(tmp_path, document, KUBENAS_PROCESSES="2", KUBENAS_CHECKPOINT_DIR=str(tmp_path))
    with TrialProcess(environment) as trial:
        assert trial.exit_code() == 0, trial.log
    assert checkpoint.load(tmp_path / "0.safetensors").step == 1
    environment = trial_environment(tmp_path, judging(tmp_path / "0.safetensors"), KUBENAS_PROCESSES="2")
    with TrialProcess(environment) as trial:
        assert trial.exit_code() == 0, trial.log
    assert len(message(tmp_path)["results"]) == 3


def test_training_and_judging_do_not_import_torchs_compiler(tmp_path: Path) -> None:
    script = """
import sys
from kubenas_trial.__main__ import main
main()
print("compiler", "torch._dynamo" in sys.modules, file=sys.stderr)
"""
    for document in (training(complexityAwareRate=True), judging(tmp_path / "0.safetensors", 1)):
        environment = trial_environment(tmp_path, document, KUBENAS_CHECKPOINT_DIR=str(tmp_path))
        with TrialProcess(environment, ("-c", script)) as trial:
            assert trial.exit_code() == 0, trial.log
        assert "compiler False" in trial.log
