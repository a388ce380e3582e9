"""`kubenas validate`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kubenas.cli.failure import fail


def validate(file: Annotated[Path, typer.Argument(help="YAML file of a NASExperiment.", show_default=False)]) -> None:
    """Check an experiment's file.

    Needs no cluster. Every problem is printed with its line and field, and warnings of what KubeNAS' own trainer will
    refuse.
    """
    from kubenas.cli.manifest import ManifestError, read_manifest, warnings_of

    try:
        experiment = read_manifest(file)
    except ManifestError as error:
        fail(str(error))
    for warning in warnings_of(file, experiment):
        typer.echo(warning, err=True)
    typer.echo(f"{file}: {experiment.metadata.name} is valid.")
