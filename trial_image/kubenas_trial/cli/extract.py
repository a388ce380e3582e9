"""`kubenas-trial extract`."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from kubenas_trial.cli.failure import failures_told
from kubenas_trial.cli.options import Device, Form
from kubenas_trial.errors import InvalidTrialError
from kubenas_trial.run import prepare_threads


def extract(
    supernet: Annotated[str, typer.Argument(help="Checkpoint of a supernet, a path or a URL.", show_default=False)],
    architecture: Annotated[str, typer.Option(help="JSON, or a name in the space's own notation.", show_default=False)],
    out: Annotated[Path, typer.Option(help="File for the network's checkpoint, .safetensors.", show_default=False)],
    dataset: Annotated[
        str | None,
        typer.Option(
            help="The data set that the supernet was trained on, a name or a path: for batch normalization.",
            show_default="none",
        ),
    ] = None,
    form: Form = None,
    seed: Annotated[int, typer.Option(min=0, help="Which training examples calibrate batch normalization.")] = 0,
    device: Device = "auto",
) -> None:
    """Make a stand-alone network of one sub-network of a supernet, with the weights that it has there.

    The file is a checkpoint as a training writes it, to be used by `kubenas_trial.prediction`.
    """
    prepare_threads()
    from kubenas.api.space import SearchSpace
    from kubenas.api.task import Task
    from kubenas.space.load import build_space
    from kubenas_trial import checkpoint
    from kubenas_trial.architecture import read_architecture
    from kubenas_trial.cli.request import read_dataset
    from kubenas_trial.devices import find_device
    from kubenas_trial.supernets.extraction import extract as extracted
    from kubenas_trial.supernets.stored import load
    from kubenas_trial.tasks.load import load_task

    with failures_told():
        if not out.absolute().parent.is_dir():
            raise InvalidTrialError(f"--out: the folder {out.absolute().parent} does not exist")
        if out.is_dir() or out.resolve() == Path(supernet).resolve():
            raise InvalidTrialError(
                f"--out: {out} is {'a folder' if out.is_dir() else 'the supernet'}: name another file"
            )
        state = load(supernet)
        blueprint = state.blueprint
        chosen = read_architecture(architecture, build_space(SearchSpace.model_validate(blueprint.space)))
        task = None
        if dataset is not None:
            named = read_dataset(dataset, form, blueprint.task_class())
            spec = Task(name=blueprint.task, dataset=named, settings=blueprint.settings)
            task = load_task(spec, None, find_device(device))
        checkpoint.save(out, extracted(state, chosen, task, seed))
