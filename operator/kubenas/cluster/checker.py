"""Checks specifications in processes that can be killed: their time and memory are bounded, whatever a tenant wrote.

One process with all that is needed in it forks a child for each check. It is started when it is first needed, and anew
should it die; it ends with the operator.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import resource
import signal
import socket
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Lock
from typing import Any, Final

from kubenas.api.errors import SpecError
from kubenas.api.experiment import ExperimentSpec
from kubenas.cluster.turns import Turns
from kubenas.experiment.resolution import resolve
from kubenas.experiment.validation import ResolvedSpec, Validation, resolved, validate_spec
from kubenas.search.load import strategy_module
from kubenas.space.base import Space

# Of a core.
SECONDS: Final = 20
# How much longer a check may take where it has to wait for a core.
_WAITS: Final = 6
# A child can also be killed for another's want of memory.
_TRIES: Final = 2
MEMORY_BYTES: Final = 128 * 2**20
_AT_ONCE: Final = 2


class Checker:
    """Checks for all experiments, those of a namespace one after another.

    Args:
        seconds: of a core that one check may take.
        memory: bytes that one check may take, beyond what the process that forks has.
    """

    def __init__(self, seconds: int = SECONDS, memory: int = MEMORY_BYTES) -> None:
        self._seconds, self._memory = seconds, memory
        self._threads = ThreadPoolExecutor(_AT_ONCE, "check")
        self._turns = Turns(asyncio.Lock)
        self._lock = Lock()
        self._control: socket.socket | None = None
        self._process: subprocess.Popen[bytes] | None = None

    async def resolve(self, namespace: str, spec: ExperimentSpec, space: Space | None) -> ResolvedSpec:
        """As `resolve_spec`, guarded; a check that takes too long or too much memory is a problem too.

        Args:
            namespace: of the experiment.
            spec: as its models have read it.
            space: what it has come to before.
        """
        loop = asyncio.get_running_loop()
        async with self._turns.of(namespace):
            found = await loop.run_in_executor(self._threads, self._found, spec, space is not None)
            await loop.run_in_executor(self._threads, _import, spec)
            return await loop.run_in_executor(self._threads, resolved, spec, found, space, True)

    def start(self) -> None:
        """Start the process that forks, before it is needed: its imports take a second."""
        with self._lock:
            if self._process is None or self._process.poll() is not None:
                self._start()

    def _found(self, spec: ExperimentSpec, known: bool) -> Validation:
        at = "searchSpace"
        for _ in range(_TRIES):
            answer = self._answer(spec, known)
            if "problems" in answer:
                problems = tuple(SpecError(field, message) for field, message in answer["problems"])
                return Validation(problems, answer["usable"])
            at = answer["at"]
        most = f"{self._seconds} s or {self._memory // 2**20} MiB"
        return Validation(
            (SpecError(at, f"takes more than {most} to check: make it smaller or simpler"),), usable=known
        )

    def _answer(self, spec: ExperimentSpec, known: bool) -> dict[str, Any]:
        """The last that a child said: what it has found, or what it was looking at when it died.

        Raises:
            OSError: it has said nothing at all, which is no fault of the specification.
        """
        answer: dict[str, Any] | None = None
        try:
            with self._child() as connection, connection.makefile("rw", encoding="utf-8") as file:
                # A check ends itself; this is for one that cannot.
                connection.settimeout(2 * _WAITS * self._seconds)
                limits = {"seconds": self._seconds, "memory": self._memory}
                json.dump({"spec": spec.dump(), "known": known, **limits}, file)
                file.write("\n")
                file.flush()
                for line in file:
                    answer = json.loads(line)
        except OSError:
            self._stop()
            raise
        if answer is None:
            raise ConnectionError("the process that checks specifications has died; it is started again")
        return answer

    def _child(self) -> socket.socket:
        self.start()
        ours, theirs = socket.socketpair()
        with theirs, self._lock:
            assert self._control is not None  # noqa: S101 - it was started
            socket.send_fds(self._control, [b"+"], [theirs.fileno()])
        return ours

    def _start(self) -> None:
        if self._control is not None:
            self._control.close()
        self._control, theirs = socket.socketpair()
        with theirs:
            # The environment may hold keys, which what is checked has no part in.
            self._process = subprocess.Popen(
                [sys.executable, "-m", "kubenas.cluster.checker", str(theirs.fileno())],
                pass_fds=[theirs.fileno()],
                env={name: os.environ[name] for name in ("PATH", "PYTHONPATH") if name in os.environ},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
            )

    def _stop(self) -> None:
        with self._lock:
            if self._process is not None:
                self._process.kill()
                self._process.wait()
                self._process = None


def _import(spec: ExperimentSpec) -> None:
    """Import strategies with their libraries: an operator has them in memory once an experiment needs them."""
    before = len(sys.modules)
    # Collections, which hold up the event loop, would go through all that is imported, meanwhile and ever after.
    gc.disable()
    try:
        for stage in resolve(spec):
            if stage.search is not None:
                strategy_module(stage.search.algorithm)
    finally:
        if len(sys.modules) > before:
            gc.freeze()
        gc.enable()


CHECKER: Final = Checker()


def serve(control: socket.socket) -> None:
    """Fork a child for each connection that is handed over, until the operator is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # the kernel reaps
    while True:
        message, handed_over, *_ = socket.recv_fds(control, 1, 1)
        if not message:
            return
        connection = socket.socket(fileno=handed_over[0])
        if os.fork() == 0:
            control.close()
            try:
                _check(connection)
            finally:
                os._exit(0)
        connection.close()


def _check(connection: socket.socket) -> None:
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Before the operator, should memory run short all the same.
    Path("/proc/self/oom_score_adj").write_text("1000")
    with connection.makefile("rw", encoding="utf-8") as file:

        def tell(**document: Any) -> None:
            file.write(json.dumps(document) + "\n")
            file.flush()

        looked_at = "searchSpace"

        def at(field: str) -> None:
            nonlocal looked_at
            looked_at = field
            tell(at=field)

        at(looked_at)
        request = json.loads(file.readline())
        # Both end the process, whatever library it is in; a busy machine lets it wait for long.
        signal.alarm(_WAITS * request["seconds"])
        resource.setrlimit(resource.RLIMIT_CPU, (request["seconds"], request["seconds"]))
        pages = int(Path("/proc/self/statm").read_text().split()[0])
        limit = pages * resource.getpagesize() + request["memory"]
        resource.setrlimit(resource.RLIMIT_AS, (limit, limit))
        try:
            found = validate_spec(ExperimentSpec.model_validate(request["spec"]), known=request["known"], at=at)
        except Exception as error:  # told where it can be read
            message = f"cannot be checked ({type(error).__name__}): make it smaller or simpler"
            found = Validation((SpecError(looked_at, message),), usable=request["known"])
        tell(problems=[(problem.field, problem.message) for problem in found.problems], usable=found.usable)


if __name__ == "__main__":
    import cel  # noqa: F401 - so that no child has to

    serve(socket.socket(fileno=int(sys.argv[1])))
