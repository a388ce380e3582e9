"""A trial in a process of its own, as its container would run it."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from threading import Thread
from typing import Any

import httpx
from prometheus_client.parser import text_string_to_metric_families

from tests.trial.warm import WarmProcess

# Long enough for the slowest machine: what waits this long has failed.
PATIENCE_SECONDS = 300

CELL = {
    "0-1": "nor_conv_3x3",
    "0-2": "nor_conv_1x1",
    "0-3": "skip_connect",
    "1-2": "none",
    "1-3": "avg_pool_3x3",
    "2-3": "nor_conv_3x3",
}

# A real SIGTERM within the steps of the numbers that it is given, counted by the losses that they compute.
ENDED_WITHIN = """
import logging, os, signal, sys
from kubenas_trial.contract import Trial
from kubenas_trial.run import run
from kubenas_trial.tasks.image_classification import ImageClassification
logging.basicConfig(level=logging.INFO)
steps, whole = 0, ImageClassification.loss

def loss(task, network, batch):
    global steps
    steps += 1
    if str(steps) in sys.argv[1:]:
        os.kill(os.getpid(), signal.SIGTERM)
    return whole(task, network, batch)

ImageClassification.loss = loss
with Trial.from_environment() as trial:
    run(trial)
"""

# Reports what the test writes to its standard input, line by line; ends with it, and so with the test.
STEPPED_TRAINER = """
import json, logging, sys
from kubenas_trial.contract import Trial
logging.basicConfig(level=logging.INFO)
with Trial.from_environment() as trial:
    for line in sys.stdin:
        report = json.loads(line)
        trial.report(trial.candidates[report["candidate"]], report["step"], **report["metrics"])
"""


def trial_document(**changes: Any) -> dict[str, Any]:
    """A small trial on digits, but for `changes`."""
    document: dict[str, Any] = {
        "experiment": "digits",
        "trial": "digits-0",
        "attempt": 1,
        "seed": 1,
        "task": {
            "name": "image-classification",
            "dataset": {"name": "digits"},
            "settings": {"batchSize": 64, "network": {"channels": 4, "cellsPerStack": 1}},
        },
        "evaluation": {"method": "train"},
        "searchSpace": {"preset": "nasbench201"},
        "candidates": [{"id": "0", "architecture": CELL, "epochs": 3, "resumeFrom": None}],
    }
    return document | changes


def trial_environment(folder: Path, document: Mapping[str, Any] | None = None, **variables: str) -> dict[str, str]:
    """The contract's environment: a free port, no waiting for a scrape, a termination log in `folder`."""
    return {
        "KUBENAS_TRIAL": json.dumps(trial_document() if document is None else document),
        "KUBENAS_METRICS_PORT": "0",
        "KUBENAS_SCRAPE_LIMIT": "0",
        "KUBENAS_TERMINATION_LOG": str(folder / "termination-log"),
        **variables,
    }


def checkpoints_in(folder: Path, of: str = "0") -> list[Path]:
    """The files of a training's checkpoints, the oldest first."""
    return sorted(folder.glob(f"{of}.*.safetensors"))


def message(folder: Path) -> Any:
    """The termination message, its packed results as objects."""
    return unpacked((folder / "termination-log").read_bytes())


def unpacked(text: str | bytes) -> Any:
    """A termination message with an object of each candidate, as the contract's other form has it."""
    document = json.loads(text)
    for index, row in enumerate(document.get("results", ())):
        if isinstance(row, list):
            values = dict(zip(document["metrics"], row[2], strict=True))
            metrics = {name: value for name, value in values.items() if value is not None}
            document["results"][index] = {"candidate": row[0], "step": row[1], "metrics": metrics}
    document.pop("metrics", None)
    return document


def error_of(folder: Path) -> tuple[str, str]:
    """Reason and text of the error in the termination message."""
    error = message(folder)["error"]
    return error["reason"], error["message"]


Values = dict[tuple[str, str], float]


class TrialProcess:
    """A running trial; killed at the end of the `with`. A `warm` one is forked (`tests.trial.warm`), without input."""

    def __init__(
        self,
        environment: Mapping[str, str],
        arguments: Sequence[str] = ("-m", "kubenas_trial"),
        *,
        warm: bool = False,
    ) -> None:
        environment = {**os.environ, "OMP_NUM_THREADS": "1", **environment}
        self._process: subprocess.Popen[str] | WarmProcess
        if warm:
            self._process = WarmProcess(arguments, environment)
        else:
            self._process = subprocess.Popen(
                [sys.executable, *arguments],
                env=environment,
                stdin=subprocess.PIPE,
                stderr=subprocess.PIPE,
                text=True,
            )
        self._log: list[str] = []
        self._reader = Thread(target=self._read_log)
        self._reader.start()

    def __enter__(self) -> TrialProcess:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stderr):
            if stream:
                stream.close()

    @property
    def log(self) -> str:
        return "".join(self._log)

    @property
    def pid(self) -> int:
        return self._process.pid

    @property
    def running(self) -> bool:
        return self._process.poll() is None

    def send(self, number: int) -> None:
        self._process.send_signal(number)

    def report(self, candidate: int, step: int, **metrics: float) -> None:
        """Have the stepped trainer report, and wait until that is seen."""
        assert self._process.stdin
        self._process.stdin.write(json.dumps({"candidate": candidate, "step": step, "metrics": metrics}) + "\n")
        self._process.stdin.flush()
        self.wait_for(lambda: self.scrape()[1].get(str(candidate)) == step)

    def end_training(self) -> None:
        """Have the stepped trainer end."""
        assert self._process.stdin
        self._process.stdin.close()

    def exit_code(self) -> int:
        return self._process.wait(PATIENCE_SECONDS)

    def url(self, path: str = "/metrics") -> str:
        self.wait_for(lambda: "metrics on port" in self.log)
        found = re.search(r"metrics on port (\d+)", self.log)
        assert found
        return f"http://127.0.0.1:{found[1]}{path}"

    def scrape(self) -> tuple[Values, dict[str, float]]:
        """Value by (candidate, metric), and step by candidate."""
        return read_exposition(httpx.get(self.url(), timeout=PATIENCE_SECONDS).raise_for_status().text)

    def wait_for(self, condition: Callable[[], bool]) -> None:
        """Wait until `condition` holds; fails with the trial's log if it ends before."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while not condition():
            assert self.running, f"the trial ended with {self._process.returncode}:\n{self.log}"
            assert time.monotonic() < deadline, f"waited for nothing:\n{self.log}"
            time.sleep(0.02)

    def _read_log(self) -> None:
        assert self._process.stderr
        for line in self._process.stderr:
            self._log.append(line)


def read_exposition(text: str) -> tuple[Values, dict[str, float]]:
    """Value by (candidate, metric), and step by candidate, in Prometheus' text format."""
    samples = [sample for family in text_string_to_metric_families(text) for sample in family.samples]
    values = {
        (sample.labels["candidate"], sample.labels["metric"]): sample.value
        for sample in samples
        if sample.name == "kubenas_trial_value"
    }
    steps = {sample.labels["candidate"]: sample.value for sample in samples if sample.name == "kubenas_trial_step"}
    return values, steps
