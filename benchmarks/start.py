"""How long trials take to start, beside an import of torch in the same run, and what `kubenas run` adds to trainings.

    python -m benchmarks.start [ROUNDS]

Of each figure the median of some rounds (5), all measured in turn. Starts are CPU time, as they have one thread and
other programs change that least; the example's search is time that passed, as its trainings' `seconds` are.
"""

from __future__ import annotations

import json
import os
import resource
import subprocess
import sys
import tempfile
from collections.abc import Callable
from pathlib import Path
from random import Random
from statistics import median
from time import perf_counter
from typing import Any, Final

import yaml

from kubenas.api.validate import read_experiment
from kubenas.space.load import build_space
from kubenas_trial.tasks.load import TASKS

EXAMPLE: Final = Path(__file__).resolve().parents[1] / "examples" / "digits.yaml"
TORCH: Final = "import os, torch; os._exit(0)"
IMPORTS: Final = """
import os, sys
from kubenas_trial.preload import import_task
import_task(sys.argv[1], "train")
os._exit(0)
"""
# A trial by its contract that ends where its first step would begin.
FIRST_STEP: Final = """
import os
from kubenas_trial.contract import Trial
from kubenas_trial.preload import import_task
from kubenas_trial.run import run
with Trial.from_environment() as trial:
    import_task(trial.document.task.name, trial.document.evaluation.method)
    from kubenas_trial.evaluation.training import Training
    Training._step = lambda *_: os._exit(0)
    run(trial)
"""


def cpu(*arguments: str, **environment: str) -> float:
    """CPU seconds of a Python program with one thread."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    subprocess.run(
        [sys.executable, "-c", *arguments],
        check=True,
        env={**os.environ, "OMP_NUM_THREADS": "1", **environment},
        stderr=subprocess.DEVNULL,
    )
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    return after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime


def trial(folder: Path) -> dict[str, str]:
    """The environment of the example's first trial."""
    spec = read_experiment(yaml.safe_load(EXAMPLE.read_text())).spec
    architecture = build_space(spec.search_space).sample(Random(0)).to_json()
    document = {
        "experiment": "digits",
        "trial": "digits-0",
        "task": spec.task.dump(),
        "searchSpace": spec.search_space.dump(),
        "candidates": [{"id": "0", "architecture": architecture, "epochs": 6}],
    }
    return {
        "KUBENAS_TRIAL": json.dumps(document),
        "KUBENAS_METRICS_PORT": "0",
        "KUBENAS_TERMINATION_LOG": str(folder / "termination-log"),
    }


def searched(folder: Path) -> tuple[float, float]:
    """Seconds of the example's search, and of its trainings together."""
    began = perf_counter()
    run = [sys.executable, "-m", "kubenas.cli", "run", str(EXAMPLE), "--state", str(folder)]
    subprocess.run(run, check=True, stdout=subprocess.DEVNULL)
    whole = perf_counter() - began
    trials: list[dict[str, Any]] = [json.loads(path.read_text()) for path in folder.glob("trials/*.json")]
    trained = [
        metric["value"]
        for each in trials
        for result in each["status"]["results"]
        for metric in result["metrics"]
        if metric["name"] == "seconds"
    ]
    return whole, sum(trained)


def main(rounds: int = 5) -> None:
    """Print the rows of docs/benchmarks.md."""
    parallelism = read_experiment(yaml.safe_load(EXAMPLE.read_text())).spec.trials.parallelism
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        environment = trial(folder)
        starts: dict[str, Callable[[], float]] = {
            "digits, to the first step": lambda: cpu(FIRST_STEP, **environment),
            **{f"imports for {task}": lambda task=task: cpu(IMPORTS, task) for task in TASKS},  # type: ignore[misc]
        }
        ratios: dict[str, list[float]] = {row: [] for row in starts}
        searches: list[float] = []
        cpu(FIRST_STEP, **environment)  # what is compiled, and read from disk, is so now
        for number in range(rounds):
            for row, measured in starts.items():
                torch = cpu(TORCH)
                ratios[row].append(measured() / torch)
            whole, trained = searched(folder / f"search-{number}")
            searches.append(whole * parallelism / trained)
        for row, values in ratios.items():
            print(f"| {row}, CPU time / `import torch` | {median(values):.2f} |")
        print(f"| the digits example: time x {parallelism} / its trainings' | {median(searches):.2f} |")


if __name__ == "__main__":
    main(*map(int, sys.argv[1:]))
