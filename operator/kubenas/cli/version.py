"""`kubenas version`: which version this is."""

from __future__ import annotations

from importlib.metadata import version as version_of

import typer


def version() -> None:
    """Print the version of KubeNAS that this program belongs to."""
    typer.echo(f"kubenas {version_of('kubenas')}")
