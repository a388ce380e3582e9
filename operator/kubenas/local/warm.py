"""Trainers forked from one process that has imported what they need (`kubenas.local.forkserver`)."""

from __future__ import annotations

import asyncio
import json
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from kubenas.local.command import OWN_TRAINER, Command
from kubenas.local.forkserver import LENGTH_BYTES

_TERMINATED: Final = 128 + signal.SIGTERM
_KILLED: Final = 128 + signal.SIGKILL


class ForkedTrainer:
    """A trainer that was asked for, and its keeper."""

    def __init__(self, run: socket.socket, command: Command) -> None:
        self._socket = run
        self._socket.setblocking(False)
        self._command = command
        self._started = False
        self._given_up = False

    async def wait(self) -> int | None:
        """Its exit code; None where the process to fork it has died before it did."""
        with self._socket:
            await self._request()
            self._started = bool(await self._answer())
            if not self._started:
                return _TERMINATED if self._given_up else None
            code = await self._answer()
        return code[0] if code else _KILLED

    def ask_to_end(self) -> None:
        """Send SIGTERM to all its processes; one that has not started never will."""
        if not self._started:
            self.kill()
            return
        with suppress(OSError):
            self._socket.send(b"-")

    def kill(self) -> None:
        """End it at once, with all its children."""
        self._given_up = True
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_WR if self._started else socket.SHUT_RDWR)

    async def _request(self) -> None:
        command = self._command
        request = {"arguments": command.arguments[len(OWN_TRAINER) :], "environment": dict(command.environment)}
        text = json.dumps(request).encode()
        with suppress(OSError):
            await asyncio.get_running_loop().sock_sendall(self._socket, len(text).to_bytes(LENGTH_BYTES) + text)

    async def _answer(self) -> bytes:
        try:
            return await asyncio.get_running_loop().sock_recv(self._socket, 1)
        except OSError:
            return b""


class WarmProcess:
    """The process that a run's trainers are forked from; once it has died, it is started again for the next of them."""

    def __init__(self, program: str = OWN_TRAINER[-1]) -> None:
        """`program` is what `kubenas.local.forkserver` runs."""
        self._program = program
        self._process: subprocess.Popen[bytes] | None = None
        self._control: socket.socket | None = None
        self._environment: Mapping[str, str] | None = None

    def start(self, command: Command) -> None:
        """Let it import what `command` will, before a trainer is wanted."""
        with suppress(OSError):
            self._started(command)

    def fork(self, command: Command, log: int, lock: int) -> ForkedTrainer | None:
        """The trainer that `command` describes; None where it must be started by itself.

        It must where it is a trainer of the user's, or where its environment differs in more than the contract from
        that of the process: libraries read theirs as they are imported.

        Args:
            command: what to run.
            log: descriptor that its output goes to.
            lock: descriptor that is held until the trainer is gone.
        """
        if command.imported_with is None:
            return None
        try:
            self._started(command)
            if self._control is None or self._environment != command.imported_with:
                return None
            ours, theirs = socket.socketpair()
            with theirs:
                socket.send_fds(self._control, [b"."], [theirs.fileno(), log, lock])
        except OSError:
            return None
        return ForkedTrainer(ours, command)

    def close(self) -> None:
        """End the process; trainers that it has forked go on."""
        if self._control:
            self._control.close()
        if self._process:
            self._process.kill()
            self._process.wait()

    def _started(self, command: Command) -> None:
        if self._process is not None and self._process.poll() is None:
            return
        if self._control:
            self._control.close()
        self._control, theirs = socket.socketpair()
        with theirs:
            # What cannot be imported fails again, with a log, in the trainer that is then started by itself.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "kubenas.local.forkserver", self._program],
                env=dict(command.environment),
                stdin=theirs.fileno(),
                stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
                start_new_session=True,
            )
        self._environment = command.imported_with
