"""How a command ends when it cannot do what it was asked to."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import typer

from kubenas_trial.errors import TrialError, exit_code, reason


@contextmanager
def failures_told() -> Iterator[None]:
    """Print a failure that a user can act on to stderr, and exit with its code."""
    try:
        yield
    except TrialError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(exit_code(error)) from None
    except (MemoryError, RuntimeError) as error:
        if reason(error) != "OutOfMemory":
            raise
        typer.echo(f"out of memory: lower --set batchSize=… ({error})", err=True)
        raise typer.Exit(exit_code(error)) from None
