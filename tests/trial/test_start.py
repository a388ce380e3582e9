"""What a trial imports before the first step of its training, as each library is time that a GPU waits."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from kubenas.api.validate import read_experiment
from kubenas.space.load import build_space
from kubenas_trial.evaluation.methods import METHODS
from kubenas_trial.tasks.load import TASKS, task_class
from tests.trial.process import trial_environment
from tests.trial.test_examples import EXAMPLES, TINY

# Each takes a tenth as long as torch itself, or more; some tasks evaluate by them, after their first epoch.
SLOW = {
    *("torchvision", "torchmetrics", "sklearn", "scipy", "matplotlib", "pandas", "sympy", "triton", "sacrebleu"),
    *("onnx", "onnxruntime", "onnxscript", "torch_geometric", "torch._dynamo", "torch._inductor", "yaml", "numpy.f2py"),
}
# A process with torch; of each line it reads it forks a trial, and tells what that has imported by its first step.
FIRST_STEPS = """
import json, os, sys
import torch
sys.path += json.loads(sys.argv[1])
for line in sys.stdin:
    pid = os.fork()
    if pid == 0:
        os.environ.update(json.loads(line))
        from kubenas_trial.contract import Trial
        from kubenas_trial.run import run
        with Trial.from_environment() as trial:
            from kubenas_trial.preload import import_task
            import_task(trial.document.task.name, "train")
            from kubenas_trial.evaluation.training import Training
            def step(*_):
                print(json.dumps(sorted(sys.modules)), flush=True)
                os._exit(0)
            Training.step = step
            run(trial)
    if os.waitpid(pid, 0)[1]:
        print("null", flush=True)
"""
# Its layers are those of a library that imports all of the above.
OWN_LAYERS = sorted(set(TASKS) - {"node-classification"})


def environment(folder: Path, task: str, method: str = "train", **settings: Any) -> dict[str, str]:
    """Of a trial of a task's example."""
    document = yaml.safe_load((EXAMPLES / f"{task}.yaml").read_text())
    own = document["spec"]["task"].get("settings", {})
    document["spec"]["task"]["settings"] = {**own, **TINY[task], "measure": [], **settings}
    spec = read_experiment(document).spec
    architecture = build_space(spec.search_space).sample(Random(0)).to_json()
    trial: dict[str, Any] = {
        "experiment": task,
        "trial": f"{task}-0",
        "evaluation": {"method": method},
        "task": spec.task.dump(),
        "searchSpace": spec.search_space.dump(),
        "candidates": [{"id": "0", "architecture": architecture, "epochs": 1}],
    }
    return trial_environment(folder, trial)


@pytest.fixture(scope="module")
def imported(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("trials")
    requests = [json.dumps(environment(folder, task)) for task in OWN_LAYERS]
    ended = subprocess.run(
        [sys.executable, "-c", FIRST_STEPS, json.dumps(sys.path)],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "1"},
        input="\n".join(requests),
    )
    found = map(json.loads, ended.stdout.splitlines())
    return dict(zip(OWN_LAYERS, found, strict=True))


@pytest.mark.parametrize("task", OWN_LAYERS)
def test_no_slow_library_is_imported_before_the_first_step(imported: dict[str, Any], task: str) -> None:
    modules = imported[task]
    assert modules is not None, "the trial failed before its first step"
    assert f"kubenas_trial.tasks.{task.replace('-', '_')}" in modules
    assert SLOW & set(modules) == set()


@pytest.mark.parametrize("task", OWN_LAYERS)
def test_what_a_task_imports_late_is_slow(task: str) -> None:
    """Else it could be imported with the task, and its preloading spared."""
    assert {module.partition(".")[0] for module in task_class(task).imported_late} <= SLOW


def test_imports_are_not_collected_as_garbage() -> None:
    code = """
import gc
from kubenas_trial.preload import import_task
import_task("image-classification", "train")
assert gc.isenabled()
assert gc.get_freeze_count() > 100_000
assert len(gc.get_objects()) < 1_000
"""
    subprocess.run([sys.executable, "-c", code], check=True)


PRELOADED = """
import json, os, sys
import torch
used = []
for name in ("is_available", "device_count", "current_device", "init", "_lazy_init"):
    setattr(torch.cuda, name, lambda *_, name=name: used.append(name))
from kubenas_trial.preload import preload
for environment in map(json.loads, sys.stdin):
    preload(environment)
print(json.dumps({"modules": sorted(sys.modules), "used": used, "threads": len(os.listdir("/proc/self/task"))}))
"""


def test_a_preloaded_process_can_be_forked(tmp_path: Path) -> None:
    """A GPU that is used in it, or a thread that is started, would be lost to those that are forked."""
    each = [environment(tmp_path, task, measure=["int8"]) for task in TASKS]
    each += [environment(tmp_path, "image-classification", method=method) for method in METHODS]
    requests = [json.dumps(one) for one in each]
    ended = subprocess.run(
        [sys.executable, "-c", PRELOADED],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, "OMP_NUM_THREADS": "2", "OPENBLAS_NUM_THREADS": "1"},
        input="\n".join(requests),
    )
    told = json.loads(ended.stdout)
    assert (told["used"], told["threads"]) == ([], 1)
    late = {module for task in TASKS for module in task_class(task).imported_late}
    late |= {"onnxscript", "kubenas_trial.__main__", "kubenas_trial.proxies.vkdnw", *METHODS.values()}
    assert late <= set(told["modules"])
