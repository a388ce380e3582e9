"""A local run with its display, its signals and its exit code."""

from __future__ import annotations

import asyncio
import signal
from pathlib import Path

from kubenas.api.experiment import NASExperiment
from kubenas.api.status import ExperimentStatus
from kubenas.cli.display import Display
from kubenas.cli.summary import print_summary
from kubenas.cli.text import log_console
from kubenas.local.command import not_used
from kubenas.local.folder import StateFolder
from kubenas.local.run import LocalRun


def run_in(experiment: NASExperiment, path: Path) -> int:
    """Run `experiment` with its state in `path`; the exit code.

    Raises:
        StateError: the folder cannot be used for it, or a trial cannot be started.
    """
    console = log_console()
    folder = StateFolder(path)
    with folder.locked():
        display = Display(console, experiment)
        run = LocalRun(experiment, folder, display)
        name, parallelism = experiment.metadata.name, experiment.spec.trials.most_at_once
        display.note(f"{name}: {display.total} trials, {parallelism} at once; state in {path}")
        if unused := not_used(experiment.spec):
            display.note(f"Without meaning on one machine: {', '.join(unused)}")
        with display:
            status, signalled = asyncio.run(_until_end(run, display))
    if status is None:
        console.print(f"Stopped. The same command goes on from here; the state is in {path}.", soft_wrap=True)
        return 128 + signalled
    print_summary(console, run, path)
    return 0 if status.phase == "Succeeded" else 1


async def _until_end(run: LocalRun, display: Display) -> tuple[ExperimentStatus | None, int]:
    """The last status, or None and the signal that came before it."""
    loop, task = asyncio.get_running_loop(), asyncio.current_task()
    received: list[int] = []

    def stop(number: int) -> None:
        received.append(number)
        display.stopping()
        if task:
            task.cancel()

    for number in (signal.SIGINT, signal.SIGTERM):
        loop.add_signal_handler(number, stop, number)
    try:
        return await run.run(), 0
    except asyncio.CancelledError:
        return None, received[0]
