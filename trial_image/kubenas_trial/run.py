"""From a trial's document to its task and evaluation method."""

from __future__ import annotations

import os

from kubenas_trial.contract import Trial
from kubenas_trial.errors import InvalidTrialError, read
from kubenas_trial.threads import cpu_limit

_TASK = "image-classification"


def run(trial: Trial) -> None:
    """Evaluate every candidate of `trial`.

    Raises:
        InvalidTrialError: the task, its data set or its settings are unknown here.
    """
    task = trial.document.task
    if task.name != _TASK:
        raise InvalidTrialError(f"task.name: {task.name!r} is unknown; choose of {_TASK}")
    if task.dataset is None:
        raise InvalidTrialError(f"task.dataset: {_TASK} needs one")

    # Read by torch as it loads: threads that wait for each other would spin, which on a shared node takes the CPU from
    # those that they wait for (three trials on two cores, each with two threads, slow down tenfold).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")

    # Only here, since torch takes seconds to import: by now SIGTERM is heeded and the metrics port is open.
    import torch  # noqa: PLC0415

    from kubenas_trial.evaluation.train import train  # noqa: PLC0415
    from kubenas_trial.tasks.datasets import load_dataset  # noqa: PLC0415
    from kubenas_trial.tasks.image_classification import (  # noqa: PLC0415
        ImageClassification,
        ImageClassificationSettings,
    )

    settings = read(ImageClassificationSettings, task.settings, "task.settings")
    if "OMP_NUM_THREADS" not in os.environ:
        torch.set_num_threads(cpu_limit())
    device = torch.device("cuda" if torch.cuda.is_available() else "cpu")
    train(trial, ImageClassification(settings, load_dataset(task.dataset.name), device))
