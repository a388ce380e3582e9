"""Forks trainers from a process that has imported what they need: `python -m kubenas.local.forkserver PROGRAM`.

PROGRAM is a package as `python -m` runs it; `PROGRAM.preload.preload(environment)` imports what its runs will. Each
trainer is then as if started by `python -m PROGRAM`, with an environment, output, session and exit code of its own.

Standard input is a socket whose other end only the run holds. With each byte on it come a socket to the run, the
trainer's log and the state folder's lock. A keeper is forked for them, which reads what the run wants, answers
with a byte, forks the trainer, keeps it (`kubenas.local.keeper`) and writes its exit code, another byte. So a trainer
needs this process no longer than until it runs, and ends neither it nor other trainers.

Threads are not forked: none is started here, and `preload` must start none. (OpenBLAS ends its own before a fork.)
"""

from __future__ import annotations

import atexit
import ctypes
import json
import os
import runpy
import select
import signal
import socket
import sys
from contextlib import suppress
from dataclasses import dataclass
from importlib import import_module
from typing import Any, Final

from kubenas.local.keeper import Keeper

# What stands before a request: its length.
LENGTH_BYTES: Final = 4
STARTED: Final = b"+"
_PR_SET_PDEATHSIG: Final = 1


def main(program: str) -> None:
    """Serve the run until it is gone; in each trainer, be `program`."""
    parent = os.getppid()
    _die_with(parent)
    code = 1

    def leave() -> None:
        """End without taking all modules apart, which would copy the memory that trainers share."""
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(code)

    # Of what is registered the first to be is the last to be called.
    atexit.register(leave)
    control = socket.socket(fileno=os.dup(0))
    _replace(0, os.open(os.devnull, os.O_RDONLY))
    import_module(f"{program}.preload").preload(os.environ)
    # Nobody waits for keepers.
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    request = _serve(control)
    sys.argv[1:] = request["arguments"]
    os.environ.clear()
    os.environ.update(request["environment"])
    try:
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    except SystemExit as ended:
        code = _exit_code(ended)
        raise
    code = 0


def _serve(control: socket.socket) -> dict[str, Any]:
    """Fork what is asked for; returns in the trainers alone, with what they are to run with."""
    while True:
        data, descriptors, _, _ = socket.recv_fds(control, 1, 3)
        if not data:
            os._exit(0)
        if os.fork() == 0:
            control.close()
            return _keep(*descriptors)
        for descriptor in descriptors:
            os.close(descriptor)


def _keep(run: int, log: int, lock: int) -> dict[str, Any]:
    """Fork a trainer and keep it to its end; returns in the trainer."""
    os.setsid()
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    keeper = Keeper(run)
    length = int.from_bytes(_read(run, LENGTH_BYTES))
    text = _read(run, length)
    # Until it is answered, nothing follows a request but that nobody wants it any more.
    if not length or len(text) < length or select.select([run], [], [], 0)[0]:
        os._exit(0)
    # Before it is, or a keeper that was killed in between would have the run start another one.
    with suppress(ConnectionError):
        os.write(run, STARTED)
    ready, leads = os.pipe()
    parent = os.getpid()
    pid = os.fork()
    if pid == 0:
        os.setsid()
        signal.signal(signal.SIGTERM, signal.SIG_DFL)
        _die_with(parent)
        for output in (1, 2):
            os.dup2(log, output)
        for descriptor in (run, log, lock, ready, leads):
            os.close(descriptor)
        request: dict[str, Any] = json.loads(text)
        return request
    try:
        os.close(leads)
        os.read(ready, 1)  # it ends once signals to the trainer's group reach it
        code = keeper.keep(_Child(pid))
        with suppress(ConnectionError):
            os.write(run, bytes([code]))
    finally:
        os._exit(0)


@dataclass
class _Child:
    pid: int

    def wait(self) -> int:
        return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])


def _read(source: int, size: int) -> bytes:
    """So many bytes, or fewer where the run is gone."""
    data = b""
    with suppress(ConnectionError):
        while len(data) < size and (part := os.read(source, size - len(data))):
            data += part
    return data


def _exit_code(ended: SystemExit) -> int:
    if ended.code is None or isinstance(ended.code, int):
        return (ended.code or 0) & 0xFF
    return 1


def _replace(descriptor: int, by: int) -> None:
    os.dup2(by, descriptor)
    os.close(by)


def _die_with(parent: int) -> None:
    """Be killed once the process `parent` ends."""
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:
        os._exit(1)


if __name__ == "__main__":
    main(sys.argv[1])
