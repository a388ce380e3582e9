"""One attempt at a trial as a process."""

from __future__ import annotations

import asyncio
import signal
import socket
import sys
import time
from pathlib import Path
from typing import IO, Final, Protocol, Self

from kubenas.experiment.message import MESSAGE_BYTES
from kubenas.experiment.state import Attempt, AttemptPhase, Fault
from kubenas.local import keeper
from kubenas.local.command import Command
from kubenas.local.contract import TERMINATION_LOG
from kubenas.local.warm import WarmProcess

# How long a trainer may take to write its checkpoint once it is asked to end, as a pod's termination grace.
GRACE_SECONDS: Final = 30.0
# What the kubelet keeps of a log where there is no termination message.
_LOG_BYTES: Final = 2048
_KILLED: Final = 128 + signal.SIGKILL


def attempt_of_dead_run(name: str, trial: str, folder: Path) -> Attempt:
    """What a run that was cut off has left of an attempt: its result if it got so far, else it is made again."""
    now = time.time()
    return Attempt(
        name=name,
        trial=trial,
        phase=AttemptPhase.ENDED,
        created=now,
        ended=now,
        message=_termination_message(folder),
        disruption=Fault("RunInterrupted", "the run that the trial belonged to has ended"),
    )


def free_port() -> int:
    """A TCP port of this machine's own address that nobody listens on."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class _Keeper(Protocol):
    """What keeps a trainer's process."""

    def ask_to_end(self) -> None:
        """Send SIGTERM to all its processes."""

    def kill(self) -> None:
        """End it at once, with all its children."""

    async def wait(self) -> int | None:
        """The exit code as a container's; None where it has not been started."""


class _Spawned:
    """A keeper that starts the trainer as a program (`kubenas.local.keeper`)."""

    def __init__(self, process: asyncio.subprocess.Process) -> None:
        self._process = process

    @classmethod
    async def start(cls, command: Command, log: IO[bytes], lock_fd: int) -> Self:
        return cls(
            await asyncio.create_subprocess_exec(
                sys.executable,
                "-I",
                "-S",
                keeper.__file__,
                *command.arguments,
                env=command.environment,
                stdin=asyncio.subprocess.PIPE,
                stdout=log,
                stderr=log,
                pass_fds=(lock_fd,),
                start_new_session=True,
            )
        )

    def ask_to_end(self) -> None:
        if self._process.stdin:
            self._process.stdin.write(b"-")

    def kill(self) -> None:
        if self._process.stdin:
            self._process.stdin.close()

    async def wait(self) -> int:
        code = await self._process.wait()
        return code if code >= 0 else 128 - code


class Trainer:
    """A trainer's process, its keeper (`kubenas.local.keeper`) and what came of them."""

    def __init__(self, name: str, trial: str, folder: Path, port: int, token: str) -> None:
        self.name = name
        self.trial = trial
        self.port = port
        self.token = token
        self._folder = folder
        self._created = time.time()
        self._ended: float | None = None
        self._gone_by: float | None = None
        self._exit_code: int | None = None
        self._message = ""
        self._fault: Fault | None = None
        self._oom_kills = _oom_kills()
        self._keeper: _Keeper | None = None
        self._deadline: asyncio.TimerHandle | None = None

    async def run(self, command: Command, lock_fd: int, warm: WarmProcess) -> None:
        """Start `command` and wait for its end; its output goes to the attempt's log.

        Args:
            command: what to run.
            lock_fd: lock of the state folder, which stays held until the trainer is gone.
            warm: what it is forked from, if it can be.

        Raises:
            OSError: the process cannot be made.
        """
        try:
            await self._run(command, lock_fd, warm)
        finally:
            self._ended = time.time()

    async def _run(self, command: Command, lock_fd: int, warm: WarmProcess) -> None:
        with (self._folder / "log").open("wb") as log:
            code = None
            if forked := warm.fork(command, log.fileno(), lock_fd):
                code = await self._kept(forked)
            if code is None:
                code = await self._kept(await _Spawned.start(command, log, lock_fd))
        if self._deadline:
            self._deadline.cancel()
        self._exit_code = code
        self._message = self._last_words()
        self._fault = self._kill_fault()

    async def _kept(self, keeper: _Keeper) -> int | None:
        self._keeper = keeper
        if self._gone_by is not None:
            keeper.ask_to_end()
        return await keeper.wait()

    def stop(self) -> None:
        """Ask the trainer to end, and kill it when its grace has passed."""
        if self._gone_by is None and self._ended is None:
            self._gone_by = time.time() + GRACE_SECONDS
            if self._keeper:
                self._keeper.ask_to_end()
            self._deadline = asyncio.get_running_loop().call_later(GRACE_SECONDS, self.kill)

    def kill(self) -> None:
        """End the trainer at once, with all its children."""
        if self._keeper:
            self._keeper.kill()

    @property
    def alive(self) -> bool:
        """Whether it still runs."""
        return self._ended is None

    @property
    def stopped(self) -> bool:
        """Whether it was asked to end."""
        return self._gone_by is not None

    @property
    def failed(self) -> bool:
        """Whether it has ended by itself with another exit code than 0."""
        return not self.stopped and self._exit_code not in (None, 0)

    def attempt(self) -> Attempt:
        """What the plan sees of it."""
        return Attempt(
            name=self.name,
            trial=self.trial,
            phase=AttemptPhase.RUNNING if self.alive else AttemptPhase.ENDED,
            created=self._created,
            address="127.0.0.1",
            started=self._created,
            ended=self._ended,
            exit_code=self._exit_code,
            message=self._message,
            fault=self._fault,
            gone_by=self._gone_by,
        )

    def _last_words(self) -> str:
        message = _termination_message(self._folder)
        return message if message or self._exit_code == 0 else _tail(self._folder / "log", _LOG_BYTES)

    def _kill_fault(self) -> Fault | None:
        """Out of memory, where the kernel has killed for it while this trainer ran."""
        if self._exit_code == _KILLED and not self.stopped and _oom_kills() > self._oom_kills:
            return Fault("OutOfMemory", "the kernel killed the trainer because memory ran out")
        return None


def _termination_message(folder: Path) -> str:
    try:
        return _tail(folder / TERMINATION_LOG, MESSAGE_BYTES)
    except FileNotFoundError:
        return ""


def _tail(path: Path, size: int) -> str:
    with path.open("rb") as file:
        file.seek(max(0, path.stat().st_size - size))
        return file.read().decode(errors="replace")


def _oom_kills() -> int:
    """Processes that this machine's kernel has killed for want of memory."""
    for line in Path("/proc/vmstat").read_text().splitlines():
        name, _, count = line.partition(" ")
        if name == "oom_kill":
            return int(count)
    return 0
