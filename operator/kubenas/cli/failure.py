"""How a command ends when it cannot do what it was asked to."""

from __future__ import annotations

from typing import NoReturn

import typer


def fail(message: str) -> NoReturn:
    """Print `message` to stderr and end with exit code 1."""
    typer.echo(message, err=True)
    raise typer.Exit(1)
