"""Checkpoints are whole, exact and of the right architecture; training that resumes ends as if undisturbed."""

from __future__ import annotations

import shutil
import signal
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from kubenas_trial import checkpoint
from kubenas_trial.blueprint import Blueprint
from kubenas_trial.checkpoint import Checkpoint
from kubenas_trial.errors import InvalidTrialError
from kubenas_trial.optimizers import SGD
from tests.trial.process import CELL, ENDED_WITHIN, TrialProcess, error_of, message, trial_document, trial_environment
from tests.trial.s3 import BUCKET, S3, environment_of


def trained(architecture: dict[str, Any]) -> Checkpoint:
    torch.manual_seed(0)
    network = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2))
    optimizer = SGD(network.parameters(), lr=0.1, momentum=0.9, nesterov=True)
    network(torch.randn(5, 3)).sum().backward()
    optimizer.step()
    return Checkpoint(
        blueprint=Blueprint(
            task="image-classification",
            space={"preset": "mlp"},
            architecture=architecture,
            settings={"network": {}},
            interface={"kind": "Images", "channels": 1},
            preprocessing={"classes": ["ä", "b"]},
        ),
        step=3,
        examples=640,
        seconds=1.5,
        metrics={"accuracy": 1 / 3},
        model=network.state_dict(),
        optimizer=optimizer.state_dict(),
        scaler=torch.amp.GradScaler("cpu").state_dict(),
    )


def test_what_is_saved_is_loaded(tmp_path: Path) -> None:
    saved = trained({"width": 4, "rate": 0.1})
    checkpoint.save(tmp_path / "0.safetensors", saved)
    loaded = checkpoint.load(tmp_path / "0.safetensors", {"width": 4, "rate": 0.1})
    assert loaded.blueprint == saved.blueprint
    assert (loaded.step, loaded.examples, loaded.seconds) == (3, 640, 1.5)
    assert (loaded.metrics, loaded.scaler) == ({"accuracy": 1 / 3}, saved.scaler)
    assert loaded.model.keys() == saved.model.keys()
    assert all(torch.equal(loaded.model[name], tensor) for name, tensor in saved.model.items())
    assert loaded.optimizer["param_groups"] == saved.optimizer["param_groups"]
    assert loaded.optimizer["state"].keys() == saved.optimizer["state"].keys()
    for index, state in saved.optimizer["state"].items():
        assert torch.equal(loaded.optimizer["state"][index]["momentum_buffer"], state["momentum_buffer"])


def test_a_save_that_fails_leaves_the_former_checkpoint(tmp_path: Path) -> None:
    path = tmp_path / "0.safetensors"
    checkpoint.save(path, trained({"width": 4}))
    before = path.read_bytes()
    # A folder in the place of the unfinished file makes the write fail.
    (tmp_path / "0.safetensors.partial").mkdir()
    with pytest.raises(Exception, match=r"partial|directory"):
        checkpoint.save(path, trained({"width": 4}))
    assert path.read_bytes() == before


def test_another_architecture_is_refused(tmp_path: Path) -> None:
    checkpoint.save(tmp_path / "0.safetensors", trained({"width": 4}))
    with pytest.raises(InvalidTrialError, match=r"belongs to another architecture: \{'width': 4\}"):
        checkpoint.load(tmp_path / "0.safetensors", {"width": 8})


def test_a_missing_checkpoint_is_named(tmp_path: Path) -> None:
    with pytest.raises(InvalidTrialError, match=r"0\.safetensors does not exist"):
        checkpoint.load(tmp_path / "0.safetensors", {})


@pytest.mark.parametrize("kept", [0, 4, 100, -1])
def test_a_damaged_checkpoint_says_what_to_do(tmp_path: Path, kept: int) -> None:
    path = tmp_path / "0.safetensors"
    checkpoint.save(path, trained({"width": 4}))
    path.write_bytes(path.read_bytes()[:kept])
    with pytest.raises(InvalidTrialError, match=r"cannot be read \(.*delete it to start over"):
        checkpoint.load(path, {"width": 4})


def test_a_foreign_safetensors_file_is_refused(tmp_path: Path) -> None:
    from safetensors.torch import save_file

    save_file({"weight": torch.zeros(2)}, tmp_path / "0.safetensors")
    with pytest.raises(InvalidTrialError, match="is no checkpoint of KubeNAS: name one that a trial has written"):
        checkpoint.load(tmp_path / "0.safetensors", {})


@pytest.mark.parametrize("header", ["[" * 100_000, "{", "null", '{"blueprint": {}}', '{"optimizerState": 1}'])
def test_a_header_that_is_none_says_what_to_do(tmp_path: Path, header: str) -> None:
    from safetensors.torch import load_file, save_file

    path = tmp_path / "0.safetensors"
    checkpoint.save(path, trained({"width": 4}))
    save_file(load_file(path), path, {"kubenas": header})
    with pytest.raises(InvalidTrialError, match=r"cannot be read \(.*delete it to start over"):
        checkpoint.load(path, {"width": 4})


def long_trial(**changes: Any) -> dict[str, Any]:
    document = trial_document(**changes)
    document["candidates"] = [document["candidates"][0] | {"epochs": 8}]
    return document


def outcome(folder: Path) -> dict[str, Any]:
    """The results without the time and the memory that they took."""
    [result] = message(folder)["results"]
    del result["metrics"]["seconds"], result["metrics"]["peak_memory_mb"]
    return dict(result)


def test_resumed_training_ends_as_undisturbed(tmp_path: Path) -> None:
    folders = {name: tmp_path / name for name in ("undisturbed", "disturbed", "promoted")}
    for folder in folders.values():
        folder.mkdir()
    with TrialProcess(trial_environment(folders["undisturbed"], long_trial())) as trial:
        assert trial.exit_code() == 0
    expected = outcome(folders["undisturbed"])

    checkpoints = tmp_path / "checkpoints"
    last = 1.0  # once the second epoch is seen, the first one's checkpoint is there
    for attempt, (number, code) in enumerate([(signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)], start=1):
        environment = trial_environment(
            folders["disturbed"], long_trial(attempt=attempt), KUBENAS_CHECKPOINT_DIR=str(checkpoints)
        )
        with TrialProcess(environment, warm=True) as trial:
            trial.wait_for(lambda past=last: trial.scrape()[1].get("0", 0) > past)  # type: ignore[misc]
            last = trial.scrape()[1]["0"]
            trial.send(number)
            assert trial.exit_code() == code
        assert not (folders["disturbed"] / "termination-log").exists()
    environment = trial_environment(
        folders["disturbed"], long_trial(attempt=3), KUBENAS_CHECKPOINT_DIR=str(checkpoints)
    )
    with TrialProcess(environment, warm=True) as trial:
        assert trial.exit_code() == 0
        assert "goes on from epoch" in trial.log
        assert "epoch 1/8" not in trial.log
    assert outcome(folders["disturbed"]) == expected

    # A later trial of the same architecture may go on from there; all is done, so it ends where that one did.
    document = long_trial(trial="digits-9")
    document["candidates"][0]["resumeFrom"] = str(checkpoints / "0.safetensors")
    with TrialProcess(trial_environment(folders["promoted"], document), warm=True) as trial:
        assert trial.exit_code() == 0
    assert outcome(folders["promoted"]) == expected


def test_a_resume_from_nothing_is_an_invalid_trial(tmp_path: Path) -> None:
    document = trial_document()
    document["candidates"] = [document["candidates"][0] | {"resumeFrom": str(tmp_path / "none.safetensors")}]
    with TrialProcess(trial_environment(tmp_path, document), warm=True) as trial:
        assert trial.exit_code() == 64
    assert error_of(tmp_path) == ("InvalidTrial", f"checkpoint {tmp_path / 'none.safetensors'} does not exist")


VIT = {"embed_dim": 192, "depth": 12} | {f"{name}.{i}": 4 for name in ("num_heads", "mlp_ratio") for i in range(12)}


@pytest.mark.parametrize(("processes", "workers", "steps"), [(1, 0, ["3", "5", "1"]), (2, 2, ["5"])])
def test_a_training_that_is_ended_within_epochs_ends_as_undisturbed(
    tmp_path: Path, processes: int, workers: int, steps: list[str]
) -> None:
    # Neither workers nor other processes are forked from a warm one.
    warm = processes == 1
    # The network draws in every step (dropout), beside the augmentation.
    document = trial_document(searchSpace={"preset": "vit"})
    settings: dict[str, Any] = {"batchSize": 128 // processes, "accumulate": 2, "workers": workers}
    settings["network"] = {"width": 0.0625, "dropout": 0.1}
    document["task"] = document["task"] | {"settings": settings}
    document["candidates"] = [{"id": "0", "architecture": VIT, "epochs": 2}]
    states = {}
    for name, ended in {"undisturbed": [], "disturbed": steps}.items():
        folder = tmp_path / name
        folder.mkdir()
        environment = trial_environment(
            folder, document, KUBENAS_PROCESSES=str(processes), KUBENAS_CHECKPOINT_DIR=str(folder)
        )
        seen = set[tuple[int, int]]()
        for step in ended:
            with TrialProcess(environment, ("-c", ENDED_WITHIN, step), warm=warm) as trial:
                assert trial.exit_code() == 143, trial.log
            assert not (folder / "termination-log").exists()
            left = checkpoint.load(folder / "0.safetensors", VIT)
            assert left.examples
            seen.add((left.step, left.examples))
        assert len(seen) == len(ended), "each attempt must get further"
        with TrialProcess(environment, ("-c", ENDED_WITHIN), warm=warm) as trial:
            assert trial.exit_code() == 0, trial.log
        states[name] = outcome(folder), checkpoint.load(folder / "0.safetensors", VIT).model
    assert states["disturbed"][0] == states["undisturbed"][0]
    for name, weights in states["undisturbed"][1].items():
        assert torch.equal(states["disturbed"][1][name], weights), name


@pytest.mark.parametrize("where", ["folder", "bucket"])
def test_a_training_that_is_killed_within_an_epoch_loses_one_interval_at_most(
    tmp_path: Path, where: str, request: pytest.FixtureRequest
) -> None:
    storage = {"KUBENAS_CHECKPOINT_DIR": str(tmp_path / "checkpoints")}
    if where == "bucket":
        server: S3 = request.getfixturevalue("s3")
        storage = server.environment() | {"KUBENAS_CHECKPOINT_DIR": f"s3://{BUCKET}/{tmp_path.name}"}
    at = f"{storage['KUBENAS_CHECKPOINT_DIR']}/0.safetensors"
    # After each step a checkpoint is due.
    document = trial_document(checkpointEvery=0.000_001)
    document["candidates"] = [document["candidates"][0] | {"epochs": 2}]
    folders = {name: tmp_path / name for name in ("undisturbed", "disturbed")}
    for folder in folders.values():
        folder.mkdir()
    killed = ENDED_WITHIN.replace("SIGTERM", "SIGKILL")
    environment = trial_environment(folders["disturbed"], document, **storage)
    with environment_of(storage):
        for step, examples in ((4, 3 * 64), (3, 5 * 64)):
            with TrialProcess(environment, ("-c", killed, str(step)), warm=True) as trial:
                assert trial.exit_code() == -signal.SIGKILL, trial.log
            left = checkpoint.load(at, CELL)
            assert (left.step, left.examples) == (0, examples)
        with TrialProcess(environment, warm=True) as trial:
            assert trial.exit_code() == 0, trial.log
            assert "goes on from epoch 0, example 320" in trial.log
        weights = checkpoint.load(at, CELL).model
    own = {"KUBENAS_CHECKPOINT_DIR": str(folders["undisturbed"])}
    with TrialProcess(trial_environment(folders["undisturbed"], document, **own), warm=True) as trial:
        assert trial.exit_code() == 0, trial.log
    assert outcome(folders["disturbed"]) == outcome(folders["undisturbed"])
    for name, expected in checkpoint.load(folders["undisturbed"] / "0.safetensors", CELL).model.items():
        assert torch.equal(weights[name], expected), name


def test_a_trial_that_a_bucket_refuses_says_so_before_it_trains(tmp_path: Path, s3: S3) -> None:
    wrong = s3.environment() | {"AWS_SECRET_ACCESS_KEY": "wrong"}
    environment = trial_environment(
        tmp_path, trial_document(), KUBENAS_CHECKPOINT_DIR=f"s3://{BUCKET}/refused", **wrong
    )
    with TrialProcess(environment, warm=True) as trial:
        assert trial.exit_code() == 1
        assert "epoch 1/" not in trial.log
    reason, text = error_of(tmp_path)
    assert reason == "StorageRefused"
    assert "refused with SignatureDoesNotMatch" in text


def test_a_training_goes_on_while_its_disk_is_full_but_needs_its_last_checkpoint(
    small_disk: Path, tmp_path: Path
) -> None:
    # Room for two checkpoints, but for none while the first is there.
    environment = trial_environment(tmp_path, KUBENAS_CHECKPOINT_DIR=str(small_disk))
    filler = small_disk / "filler"
    filler.write_bytes(bytes(shutil.disk_usage(small_disk).free - 4096))
    with TrialProcess(environment, warm=True) as trial:
        assert trial.exit_code() == 1
        assert "no checkpoint was written, the training goes on" in trial.log
        assert "epoch 3/3" in trial.log
    assert error_of(tmp_path)[0] == "StorageFull"
    assert list(small_disk.iterdir()) == [filler]
    filler.unlink()
    with TrialProcess(environment, warm=True) as trial:
        assert trial.exit_code() == 0, trial.log


def test_a_candidate_that_a_later_stage_goes_on_with_ends_as_trained_in_one_go(tmp_path: Path) -> None:
    outcomes = {}
    for name, epochs, source in [("whole", 3, None), ("first", 1, None), ("then", 3, "first")]:
        folder = tmp_path / name
        folder.mkdir()
        document = trial_document()
        [candidate] = document["candidates"]
        candidate |= {"epochs": epochs, "horizon": 3}
        if source:
            candidate["resumeFrom"] = str(tmp_path / source / "0.safetensors")
        environment = trial_environment(folder, document, KUBENAS_CHECKPOINT_DIR=str(folder))
        with TrialProcess(environment, warm=True) as trial:
            assert trial.exit_code() == 0, trial.log
        outcomes[name] = outcome(folder)
    assert outcomes["then"] == outcomes["whole"]
    assert outcomes["first"]["step"] == 1
