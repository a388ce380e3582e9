"""`kubenas trials`."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer

from kubenas.cli.cluster_access import KubeconfigOption, NamespaceOption, ask_cluster

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.table import Table

    from kubenas.api.experiment import NASExperiment
    from kubenas.api.trial import NASTrial
    from kubenas.cluster.client import Client


def trials(
    name: Annotated[str, typer.Argument(help="The experiment.", show_default=False)],
    namespace: NamespaceOption = None,
    kubeconfig: KubeconfigOption = None,
) -> None:
    """List the trials of an experiment on a cluster."""
    from kubenas.cli.text import log_console

    experiment, found = ask_cluster(lambda client, where: _trials(client, where, name), namespace, kubeconfig)
    log_console().print(trials_table(experiment, found))


def trials_table(experiment: NASExperiment, trials: Sequence[NASTrial]) -> Table:
    """A row for each candidate, and one for all of a trial that only scores them."""
    from rich.markup import escape
    from rich.table import Table

    from kubenas.api.evaluation import MAX_TRAINED
    from kubenas.cli.text import architecture_text, number_text
    from kubenas.space.load import build_space

    metric, space = experiment.spec.objectives[0].metric, build_space(experiment.spec.search_space)
    staged = any(trial.spec.stage for trial in trials)
    columns = ["trial", *(["stage"] if staged else []), "phase", "attempt", metric, "source", "node", "architecture"]
    table = Table(*columns, box=None, padding=(0, 2, 0, 0))
    for trial in sorted(trials, key=lambda t: t.spec.number):
        name, state, count = trial.metadata.name, trial.status, len(trial.spec.candidates)
        stage = [trial.spec.stage or ""] if staged else []
        failed = state.last_failure.reason if state.phase == "Failed" and state.last_failure else None
        if count > MAX_TRAINED:
            phase = f"Failed: {failed}" if failed else state.phase or "Pending"
            scored = f"{len(state.results)} of {count} candidates have scores"
            table.add_row(name, *stage, phase, str(state.attempt), "", "", state.node or "", scored)
            continue
        for candidate in trial.spec.candidates:
            source = next((r.source for r in state.results if r.candidate == candidate.id), "")
            values = {m.name: m.value for r in state.results if r.candidate == candidate.id for m in r.metrics}
            reason = next((f.reason for f in state.failed_candidates if f.candidate == candidate.id), failed)
            table.add_row(
                name if count == 1 else f"{name}/{candidate.id}",
                *stage,
                f"Failed: {reason}" if reason else state.phase or "Pending",
                str(state.attempt),
                number_text(values[metric]) if metric in values else "",
                source,
                state.node or "",
                escape(architecture_text(space, candidate, state.results)),
            )
    return table


async def _trials(client: Client, namespace: str, name: str) -> tuple[NASExperiment, list[NASTrial]]:
    from kubenas.api.experiment import NASExperiment
    from kubenas.api.trial import NASTrial
    from kubenas.cluster.names import EXPERIMENT_LABEL, experiments, trials

    experiment = NASExperiment.model_validate(await client.get(experiments(namespace, name)))
    pages = client.pages(trials(namespace), f"{EXPERIMENT_LABEL}={name}")
    return experiment, [NASTrial.model_validate(document) async for page, _ in pages for document in page]
