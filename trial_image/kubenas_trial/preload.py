"""The imports of a trial: all at once, and no more than its task needs before the first step of a training."""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager
from importlib import import_module


def import_task(name: str) -> None:
    """Import what a training for the task called `name` needs.

    Raises:
        InvalidTrialError: there is no such task.
    """
    with _uncollected():
        import_module("kubenas_trial.evaluation.train")
        from kubenas_trial.tasks.load import task_class  # noqa: PLC0415

        task_class(name)


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
