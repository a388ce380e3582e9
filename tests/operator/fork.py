"""The operator as a process forked from one that has imported it, since that alone takes seconds of a busy machine."""

from __future__ import annotations

import ctypes
import multiprocessing
import os
import signal
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence
    from multiprocessing.context import ForkServerProcess
    from pathlib import Path

_PR_SET_PDEATHSIG = 1

_forks = multiprocessing.get_context("forkserver")
_forks.set_forkserver_preload(
    ["__main__", "kubenas.cli.main", "kubenas.cluster.operator", "kubenas.search.predictor", __name__]
)


def start(arguments: Sequence[str], log: Path) -> ForkServerProcess:
    """Start ``kubenas ARGUMENTS``; its output is added to a file."""
    process = _forks.Process(target=_become, args=(list(arguments), log), daemon=True)
    process.start()
    return process


def _become(arguments: list[str], log: Path) -> None:
    ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)  # the server ends with the tests, however they end
    output = os.open(log, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    os.dup2(output, 1)
    os.dup2(output, 2)
    from kubenas.cli.main import app

    app(arguments)
