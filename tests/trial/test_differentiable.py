"""A differentiable trial finds an architecture of the space; killed, it goes on and finds the same."""

from __future__ import annotations

import signal
from pathlib import Path
from typing import Any

import pytest

from kubenas.api.space import SearchSpace
from kubenas.space.load import build_space
from kubenas_trial import checkpoint
from tests.trial.process import TrialProcess, checkpoints_in, error_of, message, trial_document, trial_environment

METRICS = {
    *("accuracy", "loss", "params", "flops", "seconds", "peak_memory_mb"),
    *("skip_share", "alpha_entropy", "hessian_eigenvalue", "discretization_gap", "restored_epoch"),
}


def document(epochs: int = 2, **changes: Any) -> dict[str, Any]:
    made = trial_document(
        evaluation={"method": "differentiable", "epochs": epochs, "sampler": "gdas"},
        candidates=[{"id": "0", "architecture": None, "epochs": epochs, "resumeFrom": None}],
    )
    made["task"]["settings"] |= {"batchSize": 128}
    return made | changes


# Long enough to be ended twice before any collapse is looked for.
LONG = document(30, searchSpace={"cell": {"nodes": 2, "operations": ["conv_1x1", "conv_3x3", "none"], "none": "none"}})


def outcome(folder: Path) -> dict[str, Any]:
    """The result without the time and the memory that it took."""
    [result] = message(folder)["results"]
    del result["metrics"]["seconds"], result["metrics"]["peak_memory_mb"]
    return dict(result)


def test_the_result_is_an_architecture_with_what_tells_of_the_search(tmp_path: Path) -> None:
    with TrialProcess(trial_environment(tmp_path, document()), warm=True) as trial:
        assert trial.exit_code() == 0, trial.log
    [result] = message(tmp_path)["results"]
    space = build_space(SearchSpace.model_validate({"preset": "nasbench201"}))
    assert space.parse(result["architecture"])
    assert (result["candidate"], result["step"]) == ("0", 2)
    assert set(result["metrics"]) == METRICS
    assert not any(name.startswith("test_") for name in result["metrics"])
    assert 0 <= result["metrics"]["alpha_entropy"] <= 1
    assert result["metrics"]["restored_epoch"] == 0


def test_a_search_that_was_stopped_and_killed_ends_as_undisturbed(tmp_path: Path) -> None:
    folders = [tmp_path / "undisturbed", tmp_path / "disturbed"]
    for folder in folders:
        folder.mkdir()
    with TrialProcess(trial_environment(folders[0], LONG), warm=True) as trial:
        assert trial.exit_code() == 0
    checkpoints = {"KUBENAS_CHECKPOINT_DIR": str(tmp_path / "checkpoints")}
    last = 1.0
    for number, code in ((signal.SIGTERM, 143), (signal.SIGKILL, -signal.SIGKILL)):
        with TrialProcess(trial_environment(folders[1], LONG, **checkpoints), warm=True) as trial:
            trial.wait_for(lambda past=last: trial.scrape()[1].get("0", 0) > past)  # type: ignore[misc]
            last = trial.scrape()[1]["0"]
            trial.send(number)
            assert trial.exit_code() == code
    with TrialProcess(trial_environment(folders[1], LONG, **checkpoints), warm=True) as trial:
        assert trial.exit_code() == 0
        assert "goes on from epoch" in trial.log
        assert "epoch 1/30" not in trial.log
    assert outcome(folders[1]) == outcome(folders[0])


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"searchSpace": {"preset": "mlp"}}, "evaluation.method: differentiable mixes the operations of cells"),
        ({"evaluation": {"method": "differentiable", "partialChannels": 3}}, "evaluation.partialChannels: 4 channels"),
        (
            {"candidates": trial_document()["candidates"]},
            "candidate 0: differentiable finds an architecture, and this has one",
        ),
    ],
)
def test_what_cannot_be_searched_is_one_clear_error(tmp_path: Path, changes: dict[str, Any], said: str) -> None:
    with TrialProcess(trial_environment(tmp_path, document(**changes)), warm=True) as trial:
        assert trial.exit_code() == 64
    reason, text = error_of(tmp_path)
    assert reason == "InvalidTrial"
    assert text.startswith(said)


def test_a_damaged_checkpoint_says_what_to_do(tmp_path: Path) -> None:
    (tmp_path / "0-search.safetensors").write_bytes(b"no checkpoint")
    environment = trial_environment(tmp_path, document(), KUBENAS_CHECKPOINT_DIR=str(tmp_path))
    with TrialProcess(environment, warm=True) as trial:
        assert trial.exit_code() == 64
    assert "0-search.safetensors cannot be read" in error_of(tmp_path)[1]


def test_a_search_that_has_collapsed_goes_back_and_ends(tmp_path: Path) -> None:
    checkpoints = tmp_path / "checkpoints"
    # All that there is to choose is a skip.
    skips = document(20, searchSpace={"cell": {"nodes": 2, "operations": ["pass"], "skip": "pass"}})
    environment = trial_environment(tmp_path, skips, KUBENAS_CHECKPOINT_DIR=str(checkpoints))
    with TrialProcess(environment, warm=True) as trial:
        trial.wait_for(lambda: trial.scrape()[1].get("0", 0) >= 8)
        trial.send(signal.SIGTERM)
        assert trial.exit_code() == 143
    tensors, header = checkpoint.read(checkpoints_in(checkpoints, "0-search")[-1])
    done = header["step"]
    assert tensors["past.signs"][:, 2].tolist() == [1.0] * done
    # As if there had been none in the first eight epochs.
    tensors["past.signs"][:8, 2] = 0.0
    checkpoint.write(checkpoints / "0-search.safetensors", tensors, header)
    with TrialProcess(environment, warm=True) as trial:
        assert trial.exit_code() == 0
        # Two windows of five epochs of skips.
        last = max(18, done + 1)
        assert f"collapsed by epoch {last}, went back to the alphas of epoch 8" in trial.log
    [result] = message(tmp_path)["results"]
    assert (result["step"], result["metrics"]["restored_epoch"]) == (last, 8)
