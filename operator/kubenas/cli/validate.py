"""`kubenas validate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kubenas.cli.failure import fail


def validate(file: Annotated[Path, typer.Argument(help="YAML file of a NASExperiment.", show_default=False)]) -> None:
    """Check an experiment's file.

    Needs no cluster. Every problem is printed with its line and field.
    """
    from kubenas.cli.manifest import ManifestError, read_manifest

    try:
        experiment = read_manifest(file)
    except ManifestError as error:
        fail(str(error))
    typer.echo(f"{file}: {experiment.metadata.name} is valid.")
