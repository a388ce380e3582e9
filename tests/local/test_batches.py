"""Batches of candidates that one process scores: results by /metrics, and nothing lost where it dies."""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import Any

import pytest

from kubenas.api.trial import NASTrial
from kubenas.local.folder import StateFolder
from kubenas.local.run import LocalRun
from tests.local import batch_trainer
from tests.local.batch_trainer import METRICS
from tests.local.test_run import Notes, ran
from tests.local.trainers import PATIENCE, experiment, wait_for

BATCH = 1000


def batch_of(folder: Path, *, fatal: str = "", wrong: str = "", **trials: Any) -> Any:
    """An experiment that scores one batch; `fatal` and `wrong` are ids of candidates."""
    (folder / "fatal").write_text(fatal)
    (folder / "wrong").write_text(wrong)
    script = folder / "trainer.py"
    script.write_text(Path(batch_trainer.__file__).read_text())
    trainer = {
        "name": "trainer",
        "command": [sys.executable, str(script)],
        "env": [{"name": "TEST_FOLDER", "value": str(folder)}],
    }
    return experiment(
        script,
        search={"algorithm": "random"},
        evaluation={"method": "zero-cost"},
        trials={"max": 1, "candidatesPerTrial": BATCH, **trials},
        trialTemplate={"spec": {"containers": [trainer]}},
    )


async def test_a_batch_is_scored_whole(tmp_path: Path) -> None:
    run, notes = await ran(batch_of(tmp_path, wrong="7 500"), tmp_path / "state")
    (trial,) = notes.ended
    status = trial.status
    assert (run.experiment.status.phase, status.phase, status.failures) == ("Succeeded", "Succeeded", 0)
    assert {result.source for result in status.results} == {"Pod"}
    assert {one.candidate for one in status.results} == {str(n) for n in range(BATCH)} - {"7", "500"}
    assert all([m.name for m in one.metrics] == sorted(["accuracy", *METRICS]) for one in status.results)
    assert [(one.candidate, one.reason) for one in status.failed_candidates] == [
        ("7", "OutOfMemory"),
        ("500", "OutOfMemory"),
    ]
    assert "no memory for 7" in status.failed_candidates[0].message
    best = run.experiment.status.best
    assert best is not None
    assert best.value == max(m.value for one in status.results for m in one.metrics if m.name == "accuracy")
    stored = NASTrial.model_validate_json((tmp_path / "state" / "trials" / f"{trial.name}.json").read_bytes())
    assert stored.status == status


async def test_what_a_batch_has_shown_outlives_its_process(tmp_path: Path) -> None:
    """The next attempt scores what is missing, and what the last one died of comes last."""
    folder, notes = StateFolder(tmp_path / "state"), Notes()
    with folder.locked():
        run = LocalRun(batch_of(tmp_path, fatal="300", retries=1), folder, notes)
        running = asyncio.create_task(run.run())
        await asyncio.to_thread(wait_for, lambda: _scored(tmp_path, 1)[-1:] == ["300"], "the fatal candidate")
        await asyncio.to_thread(
            wait_for, lambda: len(run._reader.readings.curves.get("tiny-0-1", ())) == 300, "a reading"
        )
        (tmp_path / "go").touch()
        await asyncio.wait_for(running, PATIENCE)
    (trial,) = notes.ended
    assert _scored(tmp_path, 2)[0] == "301"
    assert _scored(tmp_path, 2)[-1] == "300"
    assert trial.status.phase == "Succeeded", trial.status.last_failure
    assert len(trial.status.results) >= 300
    assert {one.reason for one in trial.status.failed_candidates} == {"NonZeroExit"}


def _scored(folder: Path, attempt: int) -> list[str]:
    path = folder / f"tiny-0-{attempt}"
    return path.read_text().split() if path.exists() else []


@pytest.mark.parametrize("wrong", [" ".join(str(n) for n in range(BATCH))])
async def test_a_batch_fails_where_all_its_candidates_do(tmp_path: Path, wrong: str) -> None:
    _, notes = await ran(batch_of(tmp_path, wrong=wrong, retries=0), tmp_path / "state")
    (trial,) = notes.ended
    assert trial.status.phase == "Failed"
    assert trial.status.last_failure is not None
    assert trial.status.last_failure.reason == "OutOfMemory"
