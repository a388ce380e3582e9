"""`kubenas-trial latency`: measure architectures on a device, and learn from that."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Annotated, Final

import typer

from kubenas_trial.cli.failure import failures_told
from kubenas_trial.cli.options import Device, Seed, SpaceOfTask
from kubenas_trial.run import prepare_threads

latency = typer.Typer(help="Measure and predict latency.", no_args_is_help=True, rich_markup_mode=None)

COLUMNS: Final = ("architecture", "latency_ms", "latency_ms_lower", "latency_ms_upper")


@latency.command()
def measure(
    out: Annotated[Path, typer.Argument(help="CSV file for the latencies.", show_default=False)],
    task: Annotated[str, typer.Option(help="What networks are built for.", show_default=False)],
    space: SpaceOfTask = None,
    dataset: Annotated[
        str | None, typer.Option(help="Name of a data set, or a path.", show_default="the task's first")
    ] = None,
    count: Annotated[int, typer.Option(min=1, help="Architectures, drawn at random.")] = 100,
    device: Device = "auto",
    seed: Seed = 0,
    setting: Annotated[
        list[str] | None, typer.Option("--set", help="A setting of the task, such as latencyBatchSize=8.")
    ] = None,
) -> None:
    """Measure untrained networks on this device: median and quartiles of a forward pass in ms."""
    prepare_threads()
    from random import Random

    from kubenas.api.task import Task
    from kubenas.space.load import build_space
    from kubenas_trial.cli.request import read_dataset, read_settings, read_space
    from kubenas_trial.devices import find_device
    from kubenas_trial.measure.latency import measure_latency
    from kubenas_trial.tasks.load import load_task, task_class

    with failures_told():
        kind = task_class(task)
        spec = read_space(kind.preset if space is None else space)
        chosen = Task(name=task, dataset=read_dataset(dataset, None, kind), settings=read_settings(setting or []))
        loaded, rng, drawn = load_task(chosen, None, find_device(device)), Random(seed), build_space(spec)
        inputs = loaded.example(loaded.settings.latency_batch_size)
        with out.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(COLUMNS)
            for _ in range(count):
                architecture = drawn.sample(rng)
                found = measure_latency(loaded.build(architecture, spec), inputs, loaded.settings.latency_threads)
                row = (found.median_ms, found.lower_ms, found.upper_ms)
                writer.writerow([json.dumps(architecture.to_json()), *(f"{value:.6g}" for value in row)])
                file.flush()


@latency.command()
def onnx(
    model: Annotated[str, typer.Argument(help="ONNX file, or its URL in a bucket.", show_default=False)],
    threads: Annotated[int, typer.Option(min=1, help="Threads of one operation.")] = 1,
    batch_size: Annotated[int, typer.Option(min=1, help="Examples of a pass.")] = 1,
    length: Annotated[int, typer.Option(min=1, help="Of sequences whose length the model leaves open.")] = 64,
) -> None:
    """Measure an exported network on this device's CPU, by onnxruntime; what objectives with measuredOn run there.

    Median and quartiles in ms: in the termination message where KUBENAS_METRIC names the metric, else printed.
    """
    prepare_threads()
    from kubenas_trial.measure.onnx_latency import leave, measure_onnx

    with failures_told():
        leave(measure_onnx(model, threads, batch_size, length))


@latency.command()
def fit(
    table: Annotated[Path, typer.Argument(help="CSV file of measured architectures.", show_default=False)],
    space: Annotated[str, typer.Option(help="Search space: a preset or a YAML file.", show_default=False)],
    architecture: Annotated[
        str, typer.Option(help="Column of the architectures, as JSON or in the space's own notation.")
    ] = COLUMNS[0],
    column: Annotated[str, typer.Option(help="Column of the latencies.")] = COLUMNS[1],
    name: Annotated[str | None, typer.Option(help="Name of the cost.", show_default="the column's")] = None,
) -> None:
    """Fit a lookup table on measured latencies and print it, to be pasted below searchSpace in an experiment."""
    import yaml

    from kubenas.space.load import build_space
    from kubenas_trial.cli.request import read_space
    from kubenas_trial.measure.latency_table import fit_latency_table
    from kubenas_trial.measure.predictor import LatencyPredictor
    from kubenas_trial.measure.rows import read_latencies

    with failures_told():
        built = build_space(read_space(space))
        measured = read_latencies(table, built, architecture, column)
        fitted = fit_latency_table(built, measured)
        predictor = LatencyPredictor(built, measured).rank_correlation()
        typer.echo(f"# Fitted on {len(measured)} architectures of {table.name}. Rank correlation on those left out in")
        typer.echo(f"# turn: {fitted.rank_correlation:.3f} (a predictor, which is no table: {predictor:.3f}).")
        document = {"costs": [fitted.document(name or column)]}
        typer.echo(yaml.safe_dump(document, sort_keys=False, default_flow_style=None, width=120), nl=False)
