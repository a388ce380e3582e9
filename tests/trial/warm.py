"""Trials forked from a process that has imported the trainer.

For tests of what a trial does once it runs: to import torch takes longer than their trainings. How a trial starts is
tested with processes that start as a pod's.
"""

from __future__ import annotations

import multiprocessing
import os
import runpy
import subprocess
import sys
from collections.abc import Mapping, Sequence
from functools import cache
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from typing import IO

# What trials of tests import, and pytest, which is the main module that is imported into each fork.
_PRELOADED = (
    *("pytest", "kubenas_trial.run", "kubenas_trial.distributed", "kubenas_trial.evaluation.train"),
    *(f"kubenas_trial.tasks.{name}" for name in ("image_classification", "text_classification", "language_model")),
)


class WarmProcess:
    """As much of `subprocess.Popen` as tests of trials need: `python ARGUMENTS`, forked, without a standard input."""

    stdin: IO[str] | None = None

    def __init__(self, arguments: Sequence[str], environment: Mapping[str, str]) -> None:
        reads, writes = _forks().Pipe(duplex=False)
        self._process = _forks().Process(target=_run, args=(list(arguments), dict(environment), writes))
        self._process.start()
        writes.close()
        self.stderr: IO[str] = os.fdopen(os.dup(reads.fileno()))
        reads.close()

    @property
    def pid(self) -> int:
        """Of the process."""
        assert self._process.pid
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit code, or minus the signal that ended it; None while it runs."""
        return self._process.exitcode

    def poll(self) -> int | None:
        """The exit code, if it has ended."""
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once it has ended."""
        self._process.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired("a forked trial", timeout or 0)
        return self.returncode

    def send_signal(self, number: int) -> None:
        """Send it, unless the process has ended."""
        if self.returncode is None:
            os.kill(self.pid, number)

    def kill(self) -> None:
        """End it at once."""
        self._process.kill()


@cache
def _forks() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(list(_PRELOADED))
    return context


def _run(arguments: list[str], environment: dict[str, str], stderr: Connection) -> None:
    os.dup2(stderr.fileno(), 2)
    stderr.close()
    os.environ.clear()
    os.environ.update(environment)
    kind, program, *rest = arguments
    sys.argv[:] = [kind, *rest]
    if kind == "-m":
        runpy.run_module(program, run_name="__main__", alter_sys=True)
    else:
        exec(compile(program, "<string>", "exec"), {"__name__": "__main__"})  # noqa: S102
