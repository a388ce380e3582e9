"""Runs one trainer for as long as its run lives: `python keeper.py COMMAND…`.

The keeper's standard input is a pipe that only the run holds open: each byte on it asks the trainer to end. When the
run is gone, however it ended, the pipe ends too, and the trainer goes with all its children. SIGTERM is passed on to
them. The keeper ends as a container would: with the trainer's exit code, or with 128 and the number of the signal that
ended it.

It imports the standard library alone, since it starts before every trial.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from threading import Thread
from types import FrameType
from typing import Final, Protocol

# As a shell answers where there is no such program.
NOT_FOUND: Final = 127


class Process(Protocol):
    """A child that leads a session of its own."""

    pid: int

    def wait(self) -> int:
        """Its exit code, or minus the number of the signal that ended it."""


class Keeper:
    """Keeps one process. Made before that starts, or a SIGTERM in between would leave it without a keeper."""

    def __init__(self, run: int) -> None:
        """`run` is the descriptor that only the run holds the other end of."""
        self._run = run
        self._kept: int | None = None
        self._asked_to_end = False
        signal.signal(signal.SIGTERM, self._pass_on)

    def keep(self, process: Process) -> int:
        """Wait for the end of `process`; what a container's exit code would be."""
        self._kept = process.pid
        if self._asked_to_end:
            self._send(signal.SIGTERM)
        Thread(target=self._heed_run, daemon=True).start()
        code = process.wait()
        # What a trainer leaves running would hold its memory and its port.
        self._send(signal.SIGKILL)
        return code if code >= 0 else 128 - code

    def _heed_run(self) -> None:
        with suppress(ConnectionError):
            while os.read(self._run, 1):
                self._send(signal.SIGTERM)
        self._send(signal.SIGKILL)

    def _pass_on(self, number: int, _frame: FrameType | None) -> None:
        self._asked_to_end = True
        self._send(number)

    def _send(self, number: int) -> None:
        if self._kept is not None:
            with suppress(ProcessLookupError):
                os.killpg(self._kept, number)


def main(command: list[str]) -> int:
    """Run `command` in a session of its own; the exit code."""
    keeper = Keeper(sys.stdin.fileno())
    try:
        trainer = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        return NOT_FOUND
    return keeper.keep(trainer)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
