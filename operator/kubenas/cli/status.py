"""`kubenas status`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kubenas.cli.cluster_access import KubeconfigOption, NamespaceOption, ask_cluster

if TYPE_CHECKING:
    from rich.console import Console

    from kubenas.api.experiment import NASExperiment
    from kubenas.api.status import Cost
    from kubenas.cluster.client import Client


def status(
    name: Annotated[
        str | None, typer.Argument(help="An experiment; all of the namespace if absent.", show_default=False)
    ] = None,
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """Show how far experiments on a cluster are."""
    from kubenas.cli.text import log_console

    found = ask_cluster(lambda client, where: _experiments(client, where, name), namespace, kubeconfig)
    console = log_console()
    if name is not None:
        _print_one(console, found[0])
    elif found:
        _print_all(console, found)
    else:
        console.print("There is no experiment here.")


async def _experiments(client: Client, namespace: str, name: str | None) -> list[NASExperiment]:
    from kubenas.api.experiment import NASExperiment
    from kubenas.cluster.names import experiments

    if name is not None:
        documents = [await client.get(experiments(namespace, name))]
    else:
        documents = [d async for page, _ in client.pages(experiments(namespace)) for d in page]
    return [NASExperiment.model_validate(document) for document in documents]


def _print_all(console: Console, experiments: list[NASExperiment]) -> None:
    from rich.table import Table

    from kubenas.cli.text import number_text

    columns = ("name", "phase", "done", "running", "queued", "GPU hours", "cost", "best")
    table = Table(*columns, box=None, padding=(0, 2, 0, 0))
    for experiment in sorted(experiments, key=lambda e: e.metadata.name):
        status = experiment.status
        table.add_row(
            experiment.metadata.name,
            status.phase or "",
            status.progress or "",
            str(status.counts.running) if status.counts else "",
            str(status.counts.queued) if status.counts else "",
            f"{status.cost.gpu_hours:g}" if status.cost else "",
            f"{status.cost.total:.2f}" if status.cost and status.cost.total is not None else "",
            number_text(status.best.value) if status.best else "",
        )
    console.print(table)


def _cost_text(cost: Cost | None) -> str:
    """What was spent, in hours and by prices."""
    said = f"{cost.gpu_hours if cost else 0:g} GPU hours"
    if cost is None or cost.total is None:
        return said
    return f"{said}, {cost.total:.2f} spent ({', '.join(f'{one.hours:g} h {one.price_class}' for one in cost.classes)})"


def _print_one(console: Console, experiment: NASExperiment) -> None:
    from rich.markup import escape

    from kubenas.cli.text import print_best, print_finalists
    from kubenas.space.load import build_space

    status = experiment.status
    if status.counts is None:
        console.print(f"{experiment.metadata.name}: no operator has reconciled it yet.")
        return
    counts = status.counts
    stage = f", stage {status.stage}" if status.stage else ""
    console.print(f"[bold]{experiment.metadata.name}[/]: {status.phase}{stage}, {status.progress} trials")
    queued = f" ({counts.queued} queued)" if counts.queued else ""
    measuring = f"{counts.measuring} measuring, " if counts.measuring else ""
    paused = f" ({counts.paused} paused)" if counts.paused else ""
    console.print(
        f"{counts.pending} pending{queued}, {counts.running} running, {measuring}{counts.succeeded} succeeded{paused}, "
        f"{counts.pruned} pruned, {counts.failed} failed; {_cost_text(status.cost)}\n"
    )
    for rung in status.rungs:
        console.print(
            f"after {rung.epochs} {'epoch' if rung.epochs == 1 else 'epochs'}: {rung.reached} candidates, "
            f"{rung.paused} of them paused until they are among the best there"
        )
    for condition in status.conditions:
        console.print(f"{condition.type}={condition.status}  {condition.reason}: {escape(condition.message)}")
    print_finalists(console, status, experiment.spec.objectives[0])
    if status.best:
        print_best(console, status.best, experiment.spec.objectives[0], build_space(experiment.spec.search_space))
