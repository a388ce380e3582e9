"""Runs an experiment again and again, each time killed at another write of its state, until a run comes to the end.

    python -m tests.local.killed FILE STATE KILLED

The file KILLED has a line for each time.
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
from kubenas.experiment.resolution import resolve, with_strategies
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


def run(file: Path, state: Path, killed: Path) -> None:
    """One run, killed before or after the first write at which no run was killed yet."""
    write, known = folder_module._write, set(killed.read_text().splitlines())

    def kill_once(when: str, path: Path, document: dict[str, Any]) -> None:
        status = document["status"]
        # Attempts, which each kill costs one of, are left out.
        kind = (status.get("progress"), status.get("stage")) if path.name == "experiment.json" else status.get("phase")
        here = f"{when} {path.name} {kind}"
        if here not in known:
            with killed.open("a") as noted:
                noted.write(f"{here}\n")
            os.kill(os.getpid(), signal.SIGKILL)

    def killing(path: Path, document: dict[str, Any]) -> None:
        kill_once("before", path, document)
        write(path, document)
        kill_once("after", path, document)

    folder = StateFolder(state)
    with folder.locked():
        taken_up = LocalRun(read_manifest(file), folder, Nobody())
        # From here on: the experiment is written at each start.
        folder_module._write = killing
        asyncio.run(taken_up.run())


def main(file: str, state: str, killed: str) -> None:
    """Fork a run until one has ended; all that it needs is imported once."""
    spec = read_manifest(Path(file)).spec
    # All that is imported late.
    with_strategies(resolve(spec), searched_space(spec), guarded=False)
    Path(killed).touch()
    while True:
        child = os.fork()
        if child == 0:
            run(Path(file), Path(state), Path(killed))
            os._exit(0)
        _, status = os.waitpid(child, 0)
        if not os.WIFSIGNALED(status):
            sys.exit(os.waitstatus_to_exitcode(status))


if __name__ == "__main__":
    main(*sys.argv[1:])
