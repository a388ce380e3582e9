"""From a trial's document to its task and evaluation method."""

from __future__ import annotations

import logging
import os
from contextlib import AbstractContextManager, nullcontext
from pathlib import Path

from kubenas.api.metric_names import metric_names
from kubenas_trial.contract import Candidate, Trial
from kubenas_trial.preload import import_task
from kubenas_trial.threads import cpu_limit

_LOG = logging.getLogger("kubenas_trial")


def run(trial: Trial) -> None:
    """Evaluate every candidate of `trial`; one that cannot be fails alone, unless several processes train together.

    Raises:
        TrialError: results might not fit into the termination message.
        InvalidTrialError: the task, its data set or its settings are unknown here.
        InvalidDatasetError: the data set cannot be read.
        TrialError: another process of the trial has failed.
    """
    cpus = prepare_threads()
    # Torch only here, since it takes seconds to import: by now SIGTERM is heeded and the metrics port is open.
    import_task(trial.document.task.name)
    from kubenas_trial.distributed import joined, rank, world_size  # noqa: PLC0415
    from kubenas_trial.evaluation.train import train  # noqa: PLC0415
    from kubenas_trial.tasks.load import load_task  # noqa: PLC0415

    # Asked to end, rank 0 does its step, which needs the others, and writes a checkpoint; then it ends them.
    with joined(trial.abort, cpus) as device, trial.uninterrupted() if rank() else nullcontext():
        task = load_task(trial.document.task, trial.data_dir, device)
        costs = trial.space.costs(trial.candidates[0].architecture)
        trial.check_room(metric_names(trial.document.task.name, task.settings.measure, costs))
        for candidate in trial.candidates:
            reporter = _Logged(trial) if rank() == 0 else trial
            try:
                train(task, trial.document.search_space, candidate, trial.seed, reporter)
            except Exception as error:
                # The others would no longer be at the same step.
                if world_size() > 1:
                    raise
                trial.fail(candidate, error)


def prepare_threads() -> int | None:
    """Have torch use as many threads as the trial may use CPUs. Call before torch is imported.

    Returns:
        These CPUs, to be divided by the processes of the trial; None where OMP_NUM_THREADS says what each takes.
    """
    # Read by torch as it loads: threads that wait for each other would spin, which on a shared node takes the CPU from
    # those that they wait for (three trials on two cores, each with two threads, slow down tenfold).
    os.environ.setdefault("OMP_WAIT_POLICY", "PASSIVE")
    if "OMP_NUM_THREADS" in os.environ:
        return None
    cpus = cpu_limit()
    os.environ["OMP_NUM_THREADS"] = str(cpus)
    return cpus


class _Logged:
    """A trial that also logs what is reported."""

    def __init__(self, trial: Trial) -> None:
        self._trial = trial

    def report(self, candidate: Candidate, step: int, **metrics: float) -> None:
        self._trial.report(candidate, step, epoch=step, **metrics)
        values = ", ".join(f"{name} {value:.4g}" for name, value in metrics.items())
        _LOG.info("candidate %s: epoch %d/%d, %s", candidate.id, step, candidate.epochs, values)

    def checkpoint_path(self, candidate: Candidate) -> Path | None:
        return self._trial.checkpoint_path(candidate)

    def uninterrupted(self) -> AbstractContextManager[None]:
        return self._trial.uninterrupted()
