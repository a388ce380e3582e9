"""The four dashboards: which panels each has, in rows, and what one chooses on it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.cog.builder import Builder
from grafana_foundation_sdk.models import dashboard

from dashboards import links, variables
from dashboards.panels import (
    devices,
    fleet,
    judging,
    measuring,
    operator,
    progress,
    results,
    spending,
    stopping,
    storage,
    trial,
)
from dashboards.queries import EXPERIMENT, FLEET, OPERATOR, REPLICAS, TRIAL

Rows = Mapping[str, Sequence[Builder[dashboard.Panel]]]


def boards() -> dict[str, dashboard.Dashboard]:
    """Each dashboard in the classic schema, by the name of its file."""
    return {
        "fleet": _fleet(),
        "experiment": _experiment(),
        "trial": _trial(),
        "operator": _operator(),
    }


def _fleet() -> dashboard.Dashboard:
    rows: Rows = {
        "Now": [
            fleet.experiments(),
            fleet.trials(),
            fleet.slots_used(),
            fleet.gpu_hours(),
            fleet.table_of_experiments(),
        ],
        "Over time": [fleet.experiments_by_phase(), fleet.trials_by_phase(), fleet.slots()],
        "What goes wrong": [fleet.attention(), fleet.failures_by_reason()],
        "GPUs": [
            fleet.gpu_hours_by_namespace(),
            devices.utilization(FLEET),
            devices.power(FLEET),
        ],
    }
    chosen = [variables.datasource(), variables.namespaces()]
    return _board(
        links.FLEET, "KubeNAS / Fleet", "All experiments: what runs, what it uses, what goes wrong.", chosen, rows
    )


def _experiment() -> dashboard.Dashboard:
    rows: Rows = {
        "Progress": [
            progress.phase(),
            progress.ended_trials(),
            progress.best_values(),
            progress.duration(),
            progress.since_last_result(),
            spending.gpu_hours(),
        ],
        "Results": [
            results.best_so_far(),
            results.by_trial(),
            results.pareto_front(),
            results.learning_curves(),
            results.table_of_the_best(),
        ],
        "Trials": [progress.trials_by_phase(), spending.slots(), spending.failures()],
        "Ways to judge": [
            judging.proxy_usefulness(),
            judging.ranking_reliability(),
            judging.collapse_signals(),
            judging.peak_memory(),
        ],
        "Early stopping": [stopping.candidates_at_rungs(), stopping.median_at_rungs()],
        "Devices": [measuring.queues(), measuring.seconds(), measuring.outcomes()],
        "State": [progress.conditions(), progress.reasons()],
        "Checkpoints": [storage.checkpoints(), storage.unreachable()],
        "Time and cost": [
            spending.gpu_hours_over_time().span(12),
            spending.cost_by_class().span(12),
            spending.time_by_phase(),
            operator.proposal_time(REPLICAS),
            results.front_over_time(),
            devices.energy_by_trial(),
            devices.energy_per_point(EXPERIMENT),
            devices.utilization(EXPERIMENT),
            devices.power(EXPERIMENT).span(12),
            devices.energy(EXPERIMENT).span(12).height(8),
        ],
    }
    chosen = [
        variables.datasource(),
        variables.namespace(),
        variables.experiment(),
        variables.metric(),
        variables.against(),
    ]
    return _board(
        links.EXPERIMENT, "KubeNAS / Experiment", "One search: how far it is and what it found.", chosen, rows
    )


def _trial() -> dashboard.Dashboard:
    rows: Rows = {
        "Result": [
            trial.last_value(),
            trial.last_step(),
            trial.rank(),
            devices.energy(TRIAL),
            devices.energy_per_point(TRIAL).span(8).height(4),
            trial.curve_by_step(),
            trial.curve_over_time(),
        ],
        "GPUs": [
            devices.utilization(TRIAL),
            devices.tensor_cores(TRIAL),
            devices.memory(TRIAL),
            devices.power(TRIAL),
            trial.log(),
        ],
    }
    chosen = [
        variables.datasource(),
        variables.namespace(),
        variables.experiment(),
        variables.trial(),
        variables.reported(),
        variables.logs(),
    ]
    return _board(links.TRIAL, "KubeNAS / Trial", "One trial: its learning curve, its GPUs, its log.", chosen, rows)


def _operator() -> dashboard.Dashboard:
    rows: Rows = {
        "Now": [
            operator.leaders(),
            operator.version(),
            operator.slow_reconciles(),
            operator.errors(),
            operator.longest_lag(),
            operator.resident_memory(),
        ],
        "Loop": [operator.reconcile_time(), operator.reconciles(), operator.lag()],
        "Requests": [operator.requests(), operator.refused_requests()],
        "Trials and proposals": [
            operator.queue_time(),
            operator.proposals(),
            operator.proposal_time(OPERATOR),
            operator.readings(),
            operator.unreadable(),
            operator.object_size(),
        ],
        "Replicas": [operator.leader_over_time(), operator.memory_over_time(), operator.cpu()],
    }
    chosen = [variables.datasource(), variables.instance()]
    return _board(links.OPERATOR, "KubeNAS / Operator", "The operator's own health.", chosen, rows)


def _board(
    uid: str, title: str, description: str, chosen: Sequence[Builder[dashboard.VariableModel]], rows: Rows
) -> dashboard.Dashboard:
    builder = (
        build.Dashboard(title)
        .uid(uid)
        .description(description)
        .tags([links.TAG])
        .refresh("30s")
        .time("now-6h", "now")
        .timezone("browser")
        .tooltip(dashboard.DashboardCursorSync.CROSSHAIR)
        .link(links.between_dashboards())
    )
    for variable in chosen:
        builder.with_variable(variable)
    for name, panels in rows.items():
        builder.with_row(build.Row(name))
        for panel in panels:
            builder.with_panel(panel)
    built = builder.build()
    for number, placed in enumerate(built.panels or [], start=1):
        placed.id_val = number
    return built
