"""Linux namespaces whose processes all end when their owner does."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from tests.cluster.system import run

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tests.cluster.run_folder import RunFolder

SUPERVISOR = Path(__file__).with_name("supervisor.py")


class Namespace:
    """Processes in a PID and a mount namespace of their own, on the machine's network or one of their own.

    They end with this object, and with the process that made it, however that ends: the kernel kills all of a PID
    namespace with its first process, and that one ends when the pipe to its owner closes.
    """

    def __init__(self, run: RunFolder, *, own_network: bool = False, network_of: Namespace | None = None) -> None:
        self._run = run
        self._enter_flags = ["--mount", "--pid"]
        command = ["unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"]
        if own_network or network_of:
            self._enter_flags.append("--net")
        if own_network:
            command.append("--net")
        if network_of:
            command = ["nsenter", "--net", f"--target={network_of.pid}", "--", *command]
        self._unshare = subprocess.Popen(
            [*command, "--", sys.executable, "-I", "-S", str(SUPERVISOR)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            pass_fds=[run.lock],
            start_new_session=True,  # a Ctrl-C is for the owner
        )
        self._answer()
        children = Path(f"/proc/{self._unshare.pid}/task/{self._unshare.pid}/children")
        self.pid: int = int(children.read_text())

    def start(self, name: str, command: Sequence[str], environment: Mapping[str, str] | None = None) -> None:
        """Start a process that goes on; its output is added to ``logs/NAME.log``."""
        self._order(
            "start",
            name=name,
            command=list(command),
            environment=dict(os.environ if environment is None else environment),
            log=str(self._run.logs / f"{name}.log"),
        )

    def stop(self, name: str, number: signal.Signals = signal.SIGKILL) -> None:
        """Send a signal to a started process and its session, and wait until it has ended."""
        self._order("stop", name=name, number=int(number))

    def ended(self) -> dict[str, int]:
        """The started processes that have ended by themselves, with their exit status (negative: the signal)."""
        statuses: dict[str, int] = self._order("ended")
        return statuses

    def until(self, what: str, condition: Callable[[], bool], seconds: float = 120) -> None:
        """Wait for a condition.

        Raises:
            RuntimeError: one of the started processes has ended meanwhile; the message holds its last words.
            TimeoutError: the condition did not come true in time.
        """
        deadline = time.monotonic() + seconds
        while not condition():
            for name, status in self.ended().items():
                raise RuntimeError(f"{name} ended with status {status}:\n{self._last_words(name)}")
            if time.monotonic() > deadline:
                raise TimeoutError(f"{what}: not so after {seconds:.0f} s")
            time.sleep(0.1)

    def run(self, *command: str) -> str:
        """What a command prints that is run inside, to its end.

        Raises:
            RuntimeError: it failed; the message holds what it printed.
        """
        return run(*self.entering(command))

    def entering(self, command: Sequence[str]) -> list[str]:
        """The command line that runs a command inside."""
        return ["nsenter", *self._enter_flags, f"--target={self.pid}", "--", *command]

    def close(self) -> None:
        """End all processes and wait until they are gone."""
        assert self._unshare.stdin is not None
        assert self._unshare.stdout is not None
        with suppress(BrokenPipeError):
            self._unshare.stdin.close()
        self._unshare.wait()
        self._unshare.stdout.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _last_words(self, name: str) -> str:
        return "\n".join((self._run.logs / f"{name}.log").read_text(errors="replace").splitlines()[-15:])

    def _order(self, order: str, **arguments: Any) -> Any:
        assert self._unshare.stdin is not None
        self._unshare.stdin.write(json.dumps({"order": order, **arguments}) + "\n")
        self._unshare.stdin.flush()
        return self._answer()

    def _answer(self) -> Any:
        assert self._unshare.stdout is not None
        line = self._unshare.stdout.readline()
        if not line:
            raise RuntimeError(f"the namespaces' first process ended with status {self._unshare.wait()}")
        answer = json.loads(line)
        if "error" in answer:
            raise RuntimeError(answer["error"])
        return answer["result"]
