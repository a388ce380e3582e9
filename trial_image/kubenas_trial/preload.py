"""The imports of a trial: all at once, and no more than its task needs before the first step of a training."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from importlib import import_module

from kubenas_trial.evaluation.methods import evaluation_method


def import_task(name: str, method: str) -> None:
    """Import what an evaluation by `method` for the task called `name` needs.

    Raises:
        InvalidTrialError: there is no such task or method.
    """
    with _uncollected():
        evaluation_method(method)
        from kubenas_trial.tasks.load import task_class  # noqa: PLC0415

        task_class(name)


def preload(environment: Mapping[str, str]) -> None:
    """Import all that trials like the one which `environment` describes will, for a process that they are forked from.

    No thread is started and no GPU is used: neither would be there in a fork.

    Raises:
        InvalidTrialError: the trial cannot be evaluated here.
    """
    with _uncollected():
        from kubenas_trial.document import read_evaluation  # noqa: PLC0415
        from kubenas_trial.run import prepare_threads  # noqa: PLC0415

        prepare_threads()
        import_module("kubenas_trial.__main__")
        document = read_evaluation(environment)
        task = document.task
        import_task(task.name, document.evaluation.method)
        if document.evaluation.method == "zero-cost":
            from kubenas_trial.proxies.load import load_proxies  # noqa: PLC0415

            load_proxies(document.evaluation.proxies)
        from kubenas_trial.measure.measures import MODULES  # noqa: PLC0415
        from kubenas_trial.tasks.load import task_class  # noqa: PLC0415

        for module in task_class(task.name).imported_late:
            import_module(module)
        for measure in task.settings.get("measure", ()):
            for module in MODULES.get(measure, ()):
                import_module(module)


@contextmanager
def _uncollected() -> Iterator[None]:
    """Collect no garbage among what is imported inside, now or later: libraries are half a million objects that stay.

    Collections take an eighth of torch's import, and one of all that it brings nearly as long again.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.enable()
        gc.freeze()
