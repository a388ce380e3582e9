"""`kubenas-trial run`."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from kubenas_trial.cli.failure import failures_told
from kubenas_trial.cli.options import Device, Form, Seed, Settings, SpaceOfTask
from kubenas_trial.errors import InvalidTrialError
from kubenas_trial.run import prepare_threads

if TYPE_CHECKING:
    from kubenas.api.space import SearchSpace
    from kubenas.space.base import Architecture
    from kubenas_trial.tasks.load import AnyTask

# Known by name; all else that was measured is among `measures`.
_COSTS = ("params", "flops", "seconds", "peak_memory_mb")


def run(
    task: Annotated[str, typer.Option(help="What is learned; `kubenas-trial tasks` lists all.", show_default=False)],
    space: SpaceOfTask = None,
    architecture: Annotated[
        str, typer.Option(help="JSON, a name in the space's own notation, random, or default.")
    ] = "default",
    dataset: Annotated[
        str | None,
        typer.Option(help="Name of a data set that the task brings along, or a path.", show_default="its first"),
    ] = None,
    form: Form = None,
    epochs: Annotated[int | None, typer.Option(min=1, help="Epochs of training.", show_default="the task's")] = None,
    device: Device = "auto",
    seed: Seed = 0,
    setting: Settings = None,
    out: Annotated[Path | None, typer.Option(help="JSON file for the result.", show_default=False)] = None,
    export: Annotated[
        Path | None, typer.Option(help="File for the trained network: .onnx, or .pt2 for torch.", show_default=False)
    ] = None,
) -> None:
    """Train one architecture by hand.

    Prints the task's metrics on the validation split after each epoch, and those on the test split at the end.

    Exit code: 64 where something asked for is wrong, 65 where the data are, 1 where training fails.
    """
    with failures_told():
        for option, file in (("--out", out), ("--export", export)):
            if file is not None and not file.absolute().parent.is_dir():
                raise InvalidTrialError(f"{option}: the folder {file.absolute().parent} does not exist")
        result = _train(task, space, architecture, dataset, form, epochs, device, seed, setting or [], export)
        if out is not None:
            out.write_text(json.dumps(result, indent=2) + "\n", encoding="utf-8")


def _train(
    name: str,
    space_text: str | None,
    architecture_text: str,
    dataset_text: str | None,
    form: str | None,
    epochs: int | None,
    device: str,
    seed: int,
    assignments: list[str],
    file: Path | None,
) -> dict[str, Any]:
    from kubenas.api.task import Task
    from kubenas_trial.cli.request import read_dataset, read_settings, read_space

    settings = read_settings(assignments)
    prepare_threads()
    from rich.console import Console

    from kubenas_trial.cli.progress import TrainingProgress, by_split, values_text
    from kubenas_trial.contract import Candidate
    from kubenas_trial.devices import find_device
    from kubenas_trial.evaluation.train import train
    from kubenas_trial.measure.export import check_suffix, export
    from kubenas_trial.tasks.load import load_task, task_class

    if file is not None:
        check_suffix(file)
    kind = task_class(name)
    epochs = epochs or kind.epochs
    space = read_space(kind.preset if space_text is None else space_text)
    architecture = _architecture(architecture_text, space, kind, seed)
    dataset = read_dataset(dataset_text, form, kind)
    task = load_task(Task(name=name, dataset=dataset, settings=settings), None, find_device(device))
    console = Console(highlight=False)
    console.print(_heading(task, space, architecture), soft_wrap=True, markup=False)
    with TrainingProgress(console, epochs) as progress:
        network = train(task, space, Candidate("0", architecture, epochs, None), seed, progress)
    metrics, others = by_split(progress.metrics)
    console.print(values_text({**metrics, **others}), soft_wrap=True, markup=False)
    if file is not None:
        export(network, task.example(2), file)
    return {
        "metrics": metrics,
        **{cost: others.pop(cost) for cost in _COSTS},
        "measures": others,
        "task": name,
        "dataset": dataset.dump(),
        "settings": settings,
        "space": space.dump(),
        "architecture": architecture.to_json(),
        "seed": seed,
        "epochs": epochs,
    }


def _architecture(text: str, spec: SearchSpace, task: type[AnyTask], seed: int) -> Architecture:
    from kubenas.space.load import build_space
    from kubenas_trial.architecture import default_architecture, random_architecture, read_architecture
    from kubenas_trial.networks.build import family_of

    space = build_space(spec)
    family = family_of(spec, task.families, task.name)
    if text == "default":
        return default_architecture(space, family.default)
    return random_architecture(space, seed) if text == "random" else read_architecture(text, space)


def _heading(task: AnyTask, spec: SearchSpace, architecture: Architecture) -> str:
    from kubenas.space.load import build_space
    from kubenas_trial.datasets.data import targets_in

    splits = (task.data.train, task.data.validation, task.data.test)
    counts = " + ".join(f"{targets_in(examples):,}" for examples in splits)
    return f"{task.name}, {counts} examples, on {task.device}: {build_space(spec).name(architecture)}"
