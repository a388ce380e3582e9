"""Trainers of a few lines, and experiments that run them."""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final

import yaml

from kubenas.api.experiment import NASExperiment
from kubenas.api.validate import read_experiment

# The value of an architecture depends on nothing else, so that any run comes to the same.
RESULT: Final = """
import hashlib, json, os, sys, time
trial = json.loads(os.environ["KUBENAS_TRIAL"])
def finish(**reported):
    results = []
    for candidate in trial["candidates"]:
        digest = hashlib.sha256(json.dumps(candidate["architecture"], sort_keys=True).encode()).digest()
        metrics = reported or {"accuracy": digest[0] / 256}
        results.append({"candidate": candidate["id"], "step": candidate["epochs"], "metrics": metrics})
    with open(os.environ["KUBENAS_TERMINATION_LOG"], "w") as file:
        json.dump({"results": results}, file)
"""
# Says that it runs, and waits until it is let go.
HELD: Final = """
def held(name):
    folder = os.environ["TEST_FOLDER"]
    with open(f"{folder}/{name}.pid.partial", "w") as file:
        file.write(str(os.getpid()))
    os.rename(f"{folder}/{name}.pid.partial", f"{folder}/{name}.pid")
    while not os.path.exists(f"{folder}/go"):
        time.sleep(0.01)
"""
PATIENCE: Final = 120.0


def experiment(script: Path, name: str = "tiny", **spec: Any) -> NASExperiment:
    """An experiment whose trials run the Python file `script`; `TEST_FOLDER` is its folder."""
    return read_experiment(document(script, name, **spec))


def document(script: Path, name: str = "tiny", **spec: Any) -> dict[str, Any]:
    return {
        "apiVersion": "kubenas.io/v1alpha1",
        "kind": "NASExperiment",
        "metadata": {"name": name},
        "spec": {
            "objectives": [{"metric": "accuracy"}],
            "task": {"name": "test"},
            "searchSpace": {"preset": "nasbench201"},
            "evaluation": {"epochs": 3},
            "trialTemplate": {
                "spec": {
                    "containers": [
                        {
                            "name": "trainer",
                            "command": [sys.executable, "-S", str(script)],
                            "env": [{"name": "TEST_FOLDER", "value": str(script.parent)}],
                        }
                    ]
                }
            },
            **spec,
        },
    }


def trainer(folder: Path, *parts: str) -> Path:
    """The file of a trainer made of `parts`."""
    path = folder / "trainer.py"
    path.write_text("\n".join((RESULT, HELD, *parts)))
    return path


def wait_for(condition: Callable[[], bool], what: str) -> None:
    give_up = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < give_up, f"waited in vain for {what}"
        time.sleep(0.01)


def runs(pid: int) -> bool:
    """Whether a process runs; one that only waits to be reaped does not."""
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except OSError:
        return False


def kubenas(*arguments: str, cwd: Path, **environment: str) -> subprocess.Popen[str]:
    """The program in a process that does not outlive this one."""
    return subprocess.Popen(
        [sys.executable, "-m", "kubenas.cli", *arguments],
        cwd=cwd,
        env={**os.environ, **environment},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        preexec_fn=_die_with_parent,  # noqa: PLW1509 - no thread of the tests holds a lock that it needs
    )


def searched(document: Mapping[str, Any], folder: Path, timeout: float) -> tuple[str, list[dict[str, Any]]]:
    """Run an experiment to its end, with its state in `folder`/state.

    Returns:
        What it has printed, and its trials by number.
    """
    (folder / "nas.yaml").write_text(yaml.safe_dump(document))
    run = kubenas("run", "nas.yaml", "--state", "state", cwd=folder)
    output, errors = run.communicate(timeout=timeout)
    assert (run.returncode, errors) == (0, ""), output
    trials = [json.loads(path.read_text()) for path in (folder / "state" / "trials").glob("*.json")]
    return output, sorted(trials, key=lambda trial: int(trial["spec"]["number"]))


def _die_with_parent() -> None:
    ctypes.CDLL(None).prctl(1, signal.SIGKILL)


def history(state: Path) -> list[tuple[Any, ...]]:
    """What a search has come to: proposals, order of ends, values."""
    trials = [json.loads(path.read_text()) for path in (state / "trials").glob("*.json")]
    return [
        (
            trial["spec"]["number"],
            trial["spec"].get("stage"),
            trial["spec"].get("seed"),
            trial["spec"]["resultsSeen"],
            trial["spec"]["candidates"],
            trial["status"]["phase"],
            trial["status"]["order"],
            trial["status"]["results"],
        )
        for trial in sorted(trials, key=lambda trial: trial["spec"]["number"])
    ]
