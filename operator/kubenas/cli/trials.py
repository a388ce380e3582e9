"""`kubenas trials`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kubenas.cli.cluster_access import KubeconfigOption, NamespaceOption, ask_cluster

if TYPE_CHECKING:
    from kubenas.api.experiment import NASExperiment
    from kubenas.api.trial import NASTrial
    from kubenas.cluster.client import Client


def trials(
    name: Annotated[str, typer.Argument(help="The experiment.", show_default=False)],
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """List the trials of an experiment on a cluster."""
    from rich.markup import escape
    from rich.table import Table

    from kubenas.cli.text import log_console, number_text

    experiment, found = ask_cluster(lambda client, where: _trials(client, where, name), namespace, kubeconfig)
    metric = experiment.spec.objectives[0].metric
    table = Table("trial", "phase", "attempt", metric, "source", "node", "architecture", box=None, padding=(0, 2, 0, 0))
    for trial in sorted(found, key=lambda t: t.spec.number):
        state = trial.status
        for candidate in trial.spec.candidates:
            source = next((r.source for r in state.results if r.candidate == candidate.id), "")
            values = {m.name: m.value for r in state.results if r.candidate == candidate.id for m in r.metrics}
            reason = next((f.reason for f in state.failed_candidates if f.candidate == candidate.id), None)
            if reason is None and state.phase == "Failed" and state.last_failure is not None:
                reason = state.last_failure.reason
            table.add_row(
                trial.metadata.name if len(trial.spec.candidates) == 1 else f"{trial.metadata.name}/{candidate.id}",
                f"Failed: {reason}" if reason else state.phase or "Pending",
                str(state.attempt),
                number_text(values[metric]) if metric in values else "",
                source,
                state.node or "",
                escape(candidate.name or ""),
            )
    log_console().print(table)


async def _trials(client: Client, namespace: str, name: str) -> tuple[NASExperiment, list[NASTrial]]:
    from kubenas.api.experiment import NASExperiment
    from kubenas.api.trial import NASTrial
    from kubenas.cluster.names import EXPERIMENT_LABEL, experiments, trials

    experiment = NASExperiment.model_validate(await client.get(experiments(namespace, name)))
    pages = client.pages(trials(namespace), f"{EXPERIMENT_LABEL}={name}")
    return experiment, [NASTrial.model_validate(document) async for page, _ in pages for document in page]
