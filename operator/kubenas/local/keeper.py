"""Runs one trainer for as long as its run lives: `python keeper.py COMMAND…`.

The keeper's standard input is a pipe that only the run holds open. When the run is gone, however it ended, the pipe
ends too, and the trainer goes with all its children. SIGTERM is passed on to them. The keeper ends as a container
would: with the trainer's exit code, or with 128 and the number of the signal that ended it.

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
from typing import Final

# As a shell answers where there is no such program.
NOT_FOUND: Final = 127


def main(command: list[str]) -> int:
    """Run `command` in a session of its own; the exit code."""
    trainer: subprocess.Popen[bytes] | None = None
    asked_to_end = False

    def send(number: int) -> None:
        if trainer is not None:
            with suppress(ProcessLookupError):
                os.killpg(trainer.pid, number)

    def end_with_run() -> None:
        while os.read(0, 1):
            pass
        send(signal.SIGKILL)

    def pass_on(number: int, _frame: FrameType | None) -> None:
        nonlocal asked_to_end
        asked_to_end = True
        send(number)

    # Before the trainer starts, or a signal in between would leave it without a keeper.
    signal.signal(signal.SIGTERM, pass_on)
    try:
        trainer = subprocess.Popen(command, stdin=subprocess.DEVNULL, start_new_session=True)
    except OSError as error:
        sys.stderr.write(f"{command[0]}: {error.strerror}\n")
        return NOT_FOUND
    if asked_to_end:
        send(signal.SIGTERM)
    Thread(target=end_with_run, daemon=True).start()
    code = trainer.wait()
    # What a trainer leaves running would hold its memory and its port.
    send(signal.SIGKILL)
    return code if code >= 0 else 128 - code


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
