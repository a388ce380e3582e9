"""A cluster to try things on, which stays until it is told to go.

``python -m tests.cluster up`` starts it, ``… run COMMAND`` runs a command in it, ``… down`` ends it.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import IO, Any, NoReturn

from tests.cluster import cache, system
from tests.cluster.cluster import Cluster
from tests.cluster.control_plane import REPOSITORY
from tests.cluster.system import MissingPrerequisiteError

READY = "READY"
HINT = f"""\
The cluster is up: two nodes with two fake GPUs each.
  {sys.executable} -m tests.cluster run kubectl get nodes
  {sys.executable} -m tests.cluster run bash
  {sys.executable} -m tests.cluster down"""


def up() -> None:
    """Start the cluster in the background, and wait until it is ready."""
    if _state():
        raise SystemExit("the cluster is up already")
    system.install()
    command = [sys.executable, "-m", "tests.cluster", "hold"]
    with subprocess.Popen(
        command, cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        start_new_session=True,
    ) as holder:  # fmt: skip
        assert holder.stdout is not None
        for line in holder.stdout:
            if line.strip() == READY:
                print(HINT)
                os._exit(0)  # without waiting for the holder
            print(line, end="", flush=True)
    raise SystemExit("the cluster did not start")


def hold() -> None:
    """Be the cluster's owner until told to end."""
    with _state_file().open("a+") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.truncate(0)
        with Cluster() as cluster:
            enter = cluster.entering([])
            json.dump({"pid": os.getpid(), "enter": enter, "variables": cluster.variables}, file)
            file.flush()
            signal.signal(signal.SIGTERM, lambda *_: None)
            print(READY, flush=True)
            nowhere = os.open(os.devnull, os.O_WRONLY)
            os.dup2(nowhere, sys.stdout.fileno())
            os.dup2(nowhere, sys.stderr.fileno())
            signal.pause()


def down() -> None:
    """End the cluster, and wait until nothing of it is left."""
    if state := _state():
        os.kill(state["pid"], signal.SIGTERM)
        with _state_file().open() as file:
            fcntl.flock(file, fcntl.LOCK_EX)


def run(command: list[str]) -> NoReturn:
    """Become a command inside the cluster, with kubectl and the administrator's credentials at hand."""
    state = _state()
    if state is None:
        raise SystemExit("no cluster is up: start it with python -m tests.cluster up")
    line = [*state["enter"], *command]
    os.execvpe(line[0], line, os.environ | state["variables"])  # noqa: S606 - a list, for no shell


def _state_file() -> Path:
    return cache.root() / "cluster.json"


def _state() -> Any:
    """What the running cluster's owner wrote, or None: it holds a lock on the file as long as it lives."""
    with _state_file().open("a+") as file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            return _read(file)
    return None


def _read(file: IO[str]) -> Any:
    file.seek(0)
    if not (content := file.read()):
        raise SystemExit("the cluster is still starting")
    return json.loads(content)


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster", description=__doc__)
    verbs = parser.add_subparsers(dest="verb", required=True)
    verbs.add_parser("up", help="start it in the background")
    verbs.add_parser("down", help="end it")
    verbs.add_parser("hold")
    verbs.add_parser("run", help="run a command in it").add_argument("command", nargs=argparse.REMAINDER)
    arguments = parser.parse_args()
    try:
        if arguments.verb == "run":
            run(arguments.command)
        {"up": up, "down": down, "hold": hold}[arguments.verb]()
    except MissingPrerequisiteError as error:
        raise SystemExit(f"tests.cluster: {error}") from None


if __name__ == "__main__":
    main()
