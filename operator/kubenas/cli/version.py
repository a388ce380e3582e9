"""`kubenas version`: which version this is."""

from __future__ import annotations

import typer

from kubenas import __version__


def version() -> None:
    """Print the version of KubeNAS that this program belongs to."""
    typer.echo(f"kubenas {__version__}")
