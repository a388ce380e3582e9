"""The first process of a test cluster's namespaces: starts and stops the others as its owner says.

It runs alone, as a script, and needs nothing but the standard library. Orders come on standard input and answers go to
standard output, one JSON object a line; see `Namespace`. When the input ends, the owner has closed it or has died, by
SIGKILL too. The supervisor then ends, and since it is process 1 the kernel kills all others in its namespace.
"""

from __future__ import annotations

import json
import os
import select
import signal
import socket
import subprocess
import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable


class Supervisor:
    """Keeps track of the processes by name, and of how they ended."""

    def __init__(self) -> None:
        self._names: dict[int, str] = {}
        self._ended: dict[str, int] = {}
        self._children: dict[str, subprocess.Popen[bytes]] = {}

    def start(self, name: str, command: list[str], environment: dict[str, str], log: str) -> None:
        """Start a process in a session of its own, with all its output in the file `log`."""
        with open(log, "ab") as output:
            child = subprocess.Popen(
                command, env=environment, stdin=subprocess.DEVNULL, stdout=output, stderr=output, start_new_session=True
            )
        self._ended.pop(name, None)
        self._names[child.pid] = name
        self._children[name] = child

    def stop(self, name: str, number: int) -> None:
        """Send a signal to a process and those of its session, wait for its end, and forget it."""
        child = self._children[name]
        if name not in self._ended:
            os.killpg(child.pid, number)
            self._note(*os.waitpid(child.pid, 0))
        del self._ended[name], self._children[name]

    def ended(self) -> dict[str, int]:
        """The processes that have ended by themselves, with their exit status (negative: the signal)."""
        return dict(self._ended)

    def reap(self) -> None:
        """Collect every process that has ended, orphans of the namespace among them."""
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                return
            if pid == 0:
                return
            self._note(pid, status)

    def _note(self, pid: int, status: int) -> None:
        if name := self._names.pop(pid, None):
            self._ended[name] = self._children[name].returncode = os.waitstatus_to_exitcode(status)


def main() -> None:
    supervisor = Supervisor()
    wakeup, wake = socket.socketpair()
    wake.setblocking(False)
    signal.set_wakeup_fd(wake.fileno(), warn_on_full_buffer=False)
    signal.signal(signal.SIGCHLD, lambda *_: None)

    orders: dict[str, Callable[..., Any]] = {
        "start": supervisor.start,
        "stop": supervisor.stop,
        "ended": supervisor.ended,
    }

    print(json.dumps({"result": "ready"}), flush=True)
    buffer = b""
    while True:
        readable, _, _ = select.select([sys.stdin, wakeup], [], [])
        supervisor.reap()
        if wakeup in readable:
            wakeup.recv(4096)
        if sys.stdin in readable:
            received = os.read(sys.stdin.fileno(), 65536)
            if not received:
                return
            *lines, buffer = (buffer + received).split(b"\n")
            for line in lines:
                try:
                    arguments = json.loads(line)
                    answer = {"result": orders[arguments.pop("order")](**arguments)}
                except (OSError, KeyError) as error:
                    answer = {"error": str(error)}
                print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
