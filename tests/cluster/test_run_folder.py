from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.cluster import cache
from tests.cluster.run_folder import KEPT_LOGS, RunFolder


@pytest.fixture(autouse=True)
def cache_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBENAS_CACHE", str(tmp_path))


def test_a_folder_stays_while_its_lock_is_held_and_goes_at_the_next_start_after() -> None:
    run = RunFolder()
    (run.path / "etcd").mkdir()
    other = RunFolder()
    assert run.path.exists()
    os.close(run.lock)  # as the kernel does when the last process ends
    last = RunFolder()
    assert not run.path.exists()
    assert other.path.exists()
    for each in (other, last):
        each.remove()
    assert not list((cache.root() / "runs").iterdir())


def test_logs_that_are_kept_outlive_the_run_until_there_are_enough_later_ones() -> None:
    kept = []
    for number in range(KEPT_LOGS + 2):
        run = RunFolder()
        (run.logs / "etcd.log").write_text("last words")
        kept.append(run.keep_logs())
        os.utime(kept[-1], (number, number))
        run.remove()
    assert [logs.exists() for logs in kept] == [False, False] + [True] * KEPT_LOGS
    assert (kept[-1] / "etcd.log").read_text() == "last words"
