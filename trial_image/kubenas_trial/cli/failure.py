"""How a command ends when it cannot do what it was asked to."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

import typer

from kubenas_trial.errors import TrialError, exit_code, reason

# Fields of a trial's document, which errors name, and what was typed for them. Some are words: only as what is wrong.
_OPTIONS: Final = (
    (r"\bevaluation\.proxies\b", "--proxies"),
    (r"\btask\.settings\.(?=\w)", "--set "),
    (r"\btask\.settings\b", "--set"),
    (r"\btask\.dataset\.format\b", "--format"),
    (r"\btask\.name\b", "--task"),
    (r"^searchSpace(?=:)", "--space"),
    (r"^(architecture|device)(?=:)", r"--\1"),
)
_DATASET: Final = r"\btask\.dataset(\.name|\.path)?\b|^dataset(?=:)"


def as_typed(text: str, dataset: str = "--dataset") -> str:
    """An error's text with a command's options in place of an experiment's fields; `dataset` is the one for data."""
    for field, option in _OPTIONS:
        text = re.sub(field, option, text, flags=re.MULTILINE)
    return re.sub(_DATASET, dataset, text, flags=re.MULTILINE)


@contextmanager
def failures_told(dataset: str = "--dataset") -> Iterator[None]:
    """Print a failure that a user can act on to stderr, and exit with its code; `dataset` is the option for data."""
    try:
        yield
    except TrialError as error:
        typer.echo(as_typed(str(error), dataset), err=True)
        raise typer.Exit(exit_code(error)) from None
    except (MemoryError, RuntimeError) as error:
        if reason(error) != "OutOfMemory":
            raise
        typer.echo(f"out of memory: lower --set batchSize=… ({error})", err=True)
        raise typer.Exit(exit_code(error)) from None
