"""`kubenas run`."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from kubenas.cli.failure import fail

if TYPE_CHECKING:
    from kubenas.api.experiment import NASExperiment


def run(
    file: Annotated[Path, typer.Argument(help="YAML file of a NASExperiment.", show_default=False)],
    state: Annotated[Path | None, typer.Option(help="Folder of the run's state.", show_default=".kubenas/NAME")] = None,
) -> None:
    """Run an experiment on this machine.

    Its trials are processes in place of pods. A run that was cut off goes on where it stopped: call it again.

    Exit code: 0 where the experiment succeeded, 1 where it failed, 128 and the signal's number where one ended it.
    """
    from kubenas.cli.manifest import ManifestError, read_manifest, warnings_of
    from kubenas.cli.running import run_in
    from kubenas.local.folder import StateError

    try:
        experiment = read_manifest(file)
        _refuse_what_cannot_run(experiment, file)
        for warning in warnings_of(file, experiment):
            typer.echo(warning, err=True)
        code = run_in(experiment, state or Path(".kubenas") / experiment.metadata.name)
    except (ManifestError, StateError) as error:
        fail(str(error))
    raise typer.Exit(code)


def _refuse_what_cannot_run(experiment: NASExperiment, file: Path) -> None:
    from importlib.util import find_spec

    from kubenas.local.command import uses_own_trainer

    if experiment.spec.suspend:
        fail(f"{file}: spec.suspend: is true, so that no trial would run: set it to false")
    if experiment.spec.trials.parallelism == 0:
        fail(f"{file}: spec.trials.parallelism: is 0, so that no trial would run: set it to at least 1")
    for index, objective in enumerate(experiment.spec.objectives):
        if objective.measured_on is not None:
            fail(
                f"{file}: spec.objectives[{index}].measuredOn: needs a cluster with that node: remove it to run here "
                "(task.settings.measure: [onnx_latency_ms] measures on this machine)"
            )
    if uses_own_trainer(experiment.spec) and find_spec("torch") is None:
        fail("KubeNAS' own trainer needs torch, which is not installed: pip install 'kubenas[trial]'")
