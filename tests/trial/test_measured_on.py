"""What a trial exports for a device, and what the trial image's benchmark makes of it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from typer.testing import CliRunner

from kubenas_trial.cli.main import app
from kubenas_trial.measure.export import export_onnx
from tests.trial.process import CELL, TrialProcess, error_of, message, trial_document, trial_environment
from tests.trial.s3 import BUCKET, S3, environment_of


def measured(*arguments: str, folder: Path) -> dict[str, Any]:
    """What the benchmark leaves for the metric board_ms."""
    log = folder / "of-the-benchmark"
    environment = {"KUBENAS_METRIC": "board_ms", "KUBENAS_TERMINATION_LOG": str(log)}
    done = CliRunner().invoke(app, ["latency", "onnx", *arguments], env=environment)
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(log.read_bytes())
    return found


@pytest.fixture(params=["folder", "bucket"])
def storage(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where a trial keeps its networks, and devices read them."""
    if request.param == "folder":
        yield str(tmp_path / "kept")
        return
    server: S3 = request.getfixturevalue("s3")
    with environment_of(server.environment()):
        yield f"s3://{BUCKET}/{tmp_path.name}/kept"


def test_each_trained_candidate_is_exported_and_can_be_measured(tmp_path: Path, storage: str) -> None:
    candidates = [{"id": name, "architecture": CELL, "epochs": 1, "resumeFrom": None} for name in ("0", "1")]
    document = trial_document(export="onnx", candidates=candidates)
    variables = {"KUBENAS_CHECKPOINT_DIR": storage}
    with TrialProcess(trial_environment(tmp_path, document, **variables)) as trial:
        assert trial.exit_code() == 0, trial.log
    assert [result["candidate"] for result in message(tmp_path)["results"]] == ["0", "1"]
    for name in ("0", "1"):
        found = measured(f"{storage}/{name}.onnx", folder=tmp_path)
        assert found.keys() == {"board_ms", "board_ms_lower", "board_ms_upper"}
        assert 0 < found["board_ms_lower"] <= found["board_ms"] <= found["board_ms_upper"]


def test_an_export_needs_storage(tmp_path: Path) -> None:
    with TrialProcess(trial_environment(tmp_path, trial_document(export="onnx"))) as trial:
        assert trial.exit_code() != 0
    assert error_of(tmp_path)[0] == "InvalidTrial"
    assert "no storage to export a network to" in error_of(tmp_path)[1]


class _Embedded(nn.Module):
    """Takes tokens, of which it has few."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(3, 2)

    def forward(self, tokens: Tensor) -> Tensor:
        found: Tensor = self.embedding(tokens).sum(1)
        return found


def test_networks_that_take_tokens_are_measured(tmp_path: Path) -> None:
    file = tmp_path / "tokens.onnx"
    export_onnx(_Embedded(), [torch.zeros(2, 5, dtype=torch.int64)], file)
    assert measured(str(file), "--length", "7", "--batch-size", "3", folder=tmp_path)["board_ms"] > 0


@pytest.mark.parametrize("name", ["absent.onnx", "folder/absent.onnx"])
def test_a_model_that_is_not_there_is_one_clear_error(storage: str, name: str) -> None:
    done = CliRunner().invoke(app, ["latency", "onnx", f"{storage}/{name}"])
    assert done.exit_code == 64
    assert f"{name} is not there" in done.output


def test_a_bucket_that_refuses_is_one_clear_error(tmp_path: Path, s3: S3, monkeypatch: pytest.MonkeyPatch) -> None:
    """As where `storage.secret` has another bucket's key."""
    with environment_of(s3.environment()):
        monkeypatch.setenv("AWS_SECRET_ACCESS_KEY", "wrong")
        done = CliRunner().invoke(app, ["latency", "onnx", f"s3://{BUCKET}/{tmp_path.name}/0.onnx"])
    assert isinstance(done.exception, SystemExit), done.output
    assert "refused with SignatureDoesNotMatch" in done.output
