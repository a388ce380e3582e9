"""Runs an experiment again and again, each time killed at a write of its state, until a run comes to the end.

    python -m tests.local.killed FILE STATE before|after

Prints how many runs were killed.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from pathlib import Path
from typing import Any

from kubenas.api.status import ExperimentStatus
from kubenas.cli.manifest import read_manifest
from kubenas.experiment.actions import Announcement
from kubenas.experiment.stages import resolve, with_strategies
from kubenas.experiment.state import Trial
from kubenas.experiment.validation import searched_space
from kubenas.local import folder as folder_module
from kubenas.local.folder import StateFolder
from kubenas.local.run import LocalRun


class Nobody:
    """Who does not want to know how a run goes."""

    def trial_ended(self, trial: Trial) -> None:
        """Nothing."""

    def attempt_failed(self, trial: Trial) -> None:
        """Nothing."""

    def status_changed(self, status: ExperimentStatus, running: int) -> None:
        """Nothing."""

    def announced(self, announcement: Announcement) -> None:
        """Nothing."""


def run(file: Path, state: Path, when: str) -> None:
    """One run, killed after its first write or before its second one."""
    write, written = folder_module._write, 0

    def killing(path: Path, document: dict[str, Any]) -> None:
        nonlocal written
        if when == "before" and written == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        write(path, document)
        written += 1
        if when == "after":
            os.kill(os.getpid(), signal.SIGKILL)

    folder = StateFolder(state)
    with folder.locked():
        taken_up = LocalRun(read_manifest(file), folder, Nobody())
        # From here on: the experiment is written at each start.
        folder_module._write = killing
        asyncio.run(taken_up.run())


def main(file: str, state: str, when: str) -> None:
    """Fork a run until one has ended; all that it needs is imported once."""
    spec, killed = read_manifest(Path(file)).spec, 0
    # All that is imported late.
    with_strategies(resolve(spec), searched_space(spec), guarded=False)
    while True:
        child = os.fork()
        if child == 0:
            run(Path(file), Path(state), when)
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            print(killed)
            sys.exit(os.waitstatus_to_exitcode(status))
        killed += 1


if __name__ == "__main__":
    main(*sys.argv[1:])
