"""A trainer's keeper: it ends as a container would, and goes with its run."""

from __future__ import annotations

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from kubenas.local import keeper
from tests.local.trainers import PATIENCE, runs, wait_for

# Starts a child that heeds no SIGTERM, tells its own and the child's number, and waits.
WITH_CHILD = """
import os, subprocess, sys, time
child = subprocess.Popen([sys.executable, "-S", "-c", "import signal, time; signal.signal(15, 1); print(flush=True); "
    "time.sleep(600)"], stdout=subprocess.PIPE)
child.stdout.readline()
with open(sys.argv[1] + ".partial", "w") as file:
    file.write(f"{os.getpid()} {child.pid}")
os.rename(sys.argv[1] + ".partial", sys.argv[1])
if sys.argv[2] == "wait":
    time.sleep(600)
"""


def keep(*command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "-I", "-S", keeper.__file__, *command], stdin=subprocess.PIPE, stderr=subprocess.PIPE
    )


def python(code: str, *arguments: str) -> list[str]:
    return [sys.executable, "-S", "-c", code, *arguments]


@pytest.mark.parametrize(
    ("code", "expected"),
    [("", 0), ("raise SystemExit(3)", 3), ("import os; os.kill(os.getpid(), 9)", 137), ("import os; os.abort()", 134)],
)
def test_exit_codes(code: str, expected: int) -> None:
    with keep(*python(code)) as kept:
        assert kept.wait(PATIENCE) == expected


def test_no_such_program() -> None:
    with keep("/no/such/program") as kept:
        _, errors = kept.communicate(timeout=PATIENCE)
        assert (kept.returncode, errors) == (127, b"/no/such/program: No such file or directory\n")


@pytest.mark.parametrize("end", ["run gone", "asked", "SIGTERM", "exit"])
def test_a_trainer_goes_with_its_children(tmp_path: Path, end: str) -> None:
    told = tmp_path / "pids"
    with keep(*python(WITH_CHILD, str(told), "exit" if end == "exit" else "wait")) as kept:
        assert kept.stdin is not None
        wait_for(told.exists, "the trainer to run")
        if end == "run gone":
            kept.stdin.close()
        elif end == "asked":
            kept.stdin.write(b"-")
            kept.stdin.flush()
        elif end == "SIGTERM":
            kept.send_signal(signal.SIGTERM)
        assert kept.wait(PATIENCE) == {"run gone": 137, "asked": 143, "SIGTERM": 143, "exit": 0}[end]
        for pid in map(int, told.read_text().split()):
            wait_for(lambda pid=pid: not runs(pid), "a process to go")  # type: ignore[misc]
