"""The folder of one running cluster, and the removal of those whose owner was killed."""

from __future__ import annotations

import fcntl
import os
import shutil
import tempfile
import time
from pathlib import Path

from tests.cluster import cache

KEPT_LOGS = 10
# The kernel kills what is left of a run once its first process has gone, and that takes a moment.
_DYING_SECONDS = 30
CGROUPS = Path("/sys/fs/cgroup")


class RunFolder:
    """A folder for one run, locked as long as any of its processes may live.

    Attributes:
        path: the folder, on the same file system as the cache.
        logs: the folder for the programs' output, inside it.
        lock: a file descriptor to hand to the run's first process; the lock ends when all holders have.
        cgroup: the name, below each hierarchy of control groups, of the one that all containers of the run are in.
    """

    def __init__(self) -> None:
        runs = cache.root() / "runs"
        runs.mkdir(exist_ok=True)
        with cache.lock("runs"):
            for run in runs.iterdir():
                _remove_if_dead(run)
            self.path = Path(tempfile.mkdtemp(prefix="", dir=runs))
            self.lock = _lock(self.path)
        self.cgroup = _cgroup(self.path)
        self.logs = self.path / "logs"
        self.logs.mkdir()

    def make_cgroup(self) -> None:
        """Make the run's control group, for its containers."""
        if _unified():
            (CGROUPS / "cgroup.subtree_control").write_text("+cpu +cpuset +memory +pids")
        for hierarchy in _hierarchies():
            (hierarchy / self.cgroup).mkdir(exist_ok=True)

    def keep_logs(self) -> Path:
        """Move the logs to where they outlive the run, and say where; of earlier ones, the latest are kept."""
        kept = cache.root() / "logs"
        kept.mkdir(exist_ok=True)
        for old in sorted(kept.iterdir(), key=lambda folder: folder.stat().st_mtime)[: -KEPT_LOGS + 1]:
            shutil.rmtree(old, ignore_errors=True)
        return Path(shutil.move(self.logs, kept / self.path.name))

    def remove(self) -> None:
        """Remove the folder and the cgroups of the run; its processes have ended."""
        _remove(self.path)
        os.close(self.lock)


def is_held(run: Path) -> bool:
    """Whether the first process of a run, or its owner, is still there."""
    try:
        os.close(_lock(run, fcntl.LOCK_NB))
    except BlockingIOError:
        return True
    return False


def _lock(run: Path, flags: int = 0) -> int:
    descriptor = os.open(run, os.O_RDONLY | os.O_DIRECTORY)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | flags)
    except BlockingIOError:
        os.close(descriptor)
        raise
    return descriptor


def _remove_if_dead(run: Path) -> None:
    try:
        descriptor = _lock(run, fcntl.LOCK_NB)
    except BlockingIOError:
        return
    try:
        _remove_once_left(run)
    finally:
        os.close(descriptor)


def _remove_once_left(run: Path) -> None:
    """Remove a run whose last processes may still be ending; what cannot be removed is left to the next start."""
    deadline = time.monotonic() + _DYING_SECONDS
    while time.monotonic() < deadline:
        try:
            _remove(run)
        except OSError:  # a control group that is in use, a file made after its folder was listed
            time.sleep(0.05)
        else:
            return


def _remove(run: Path) -> None:
    for hierarchy in _hierarchies():
        for folder, _, _ in os.walk(hierarchy / _cgroup(run), topdown=False):
            Path(folder).rmdir()
    shutil.rmtree(run)


def _hierarchies() -> list[Path]:
    """Where control groups are made: of version 2 the one tree, of version 1 one for each controller."""
    if _unified():
        return [CGROUPS]
    return [folder for folder in CGROUPS.iterdir() if (folder / "cgroup.procs").exists()]


def _unified() -> bool:
    return (CGROUPS / "cgroup.controllers").exists()


def _cgroup(run: Path) -> str:
    return f"kubenas-{run.name}"
