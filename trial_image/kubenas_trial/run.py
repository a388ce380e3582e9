"""From a trial's document to its task and evaluation method."""

from __future__ import annotations

import os
from contextlib import nullcontext

from kubenas_trial.contract import Trial
from kubenas_trial.evaluation.methods import evaluation_method
from kubenas_trial.evaluation.reporter import LoggedTrial
from kubenas_trial.preload import import_task
from kubenas_trial.threads import cpu_limit


def run(trial: Trial) -> None:
    """Evaluate the candidates of `trial` by its method.

    Raises:
        TrialError: no candidate can be evaluated.
        InvalidTrialError: the method, the task, its data set or its settings are unknown here.
        InvalidDatasetError: the data set cannot be read.
        TrialError: another process of the trial has failed.
    """
    cpus = prepare_threads()
    # Torch only here, since it takes seconds to import: by now SIGTERM is heeded and the metrics port is open.
    method = trial.document.evaluation.method
    import_task(trial.document.task.name, method)
    from kubenas_trial.distributed import joined, rank  # noqa: PLC0415
    from kubenas_trial.tasks.load import load_task  # noqa: PLC0415

    evaluate = evaluation_method(method)
    # On SIGTERM rank 0 finishes its step, which needs the others, and writes a checkpoint; then it stops them.
    with joined(trial.abort, cpus) as device, trial.uninterrupted() if rank() else nullcontext():
        task = load_task(trial.document.task, trial.data_dir, device)
        evaluate(task, trial, LoggedTrial(trial) if rank() == 0 else trial)


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
