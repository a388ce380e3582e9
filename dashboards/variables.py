"""What one chooses on a dashboard; each choice offers what the ones before leave."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard

from dashboards.queries import EXPERIMENT, TRIAL
from dashboards.style import DATASOURCE


def datasource() -> build.DatasourceVariable:
    """The Prometheus that has scraped KubeNAS."""
    return (
        build.DatasourceVariable("datasource")
        .label("Prometheus")
        .description("The Prometheus that scrapes the operator and the trials.")
        .type("prometheus")
    )


def logs() -> build.DatasourceVariable:
    """Where trials' logs are, if Grafana has a Loki."""
    return (
        build.DatasourceVariable("logs")
        .label("Loki")
        .description("Where the pods' logs are, if anywhere.")
        .type("loki")
    )


def namespaces() -> build.QueryVariable:
    """Any number of namespaces."""
    query = "label_values(kubenas_experiment_info, namespace)"
    return _query("namespace", "Namespace", "Namespaces of experiments.", query).multi(True).include_all(True)


def namespace() -> build.QueryVariable:
    """One namespace."""
    query = "label_values(kubenas_experiment_info, namespace)"
    return _query("namespace", "Namespace", "The experiment's namespace.", query)


def experiment() -> build.QueryVariable:
    """An experiment of that namespace."""
    query = 'label_values(kubenas_experiment_info{namespace="$namespace"}, experiment)'
    return _query("experiment", "Experiment", "The experiment that is shown.", query)


def trial() -> build.QueryVariable:
    """A trial of that experiment, of those that ran in the time shown."""
    query = f"label_values({EXPERIMENT.of('kubenas_trial_step')}, trial)"
    return _query("trial", "Trial", "Trials that ran in the time shown.", query).sort(
        dashboard.VariableSort.NUMERICAL_ASC
    )


def metric() -> build.QueryVariable:
    """One of the experiment's objectives."""
    query = f"label_values({EXPERIMENT.of('kubenas_experiment_objective_info')}, metric)"
    return _query("metric", "Objective", "The objective that curves and comparisons show.", query)


def against() -> build.QueryVariable:
    """Another one of them."""
    others = EXPERIMENT.of("kubenas_experiment_objective_info", 'metric!="$metric"')
    query = f"label_values({others}, metric)"
    return _query("against", "Against", "The other objective of the Pareto front, where there is one.", query)


def reported() -> build.QueryVariable:
    """One of the metrics that a trial reports."""
    query = f"label_values({TRIAL.of('kubenas_trial_value')}, metric)"
    return _query("metric", "Metric", "The reported metric that the curve shows.", query)


def instance() -> build.QueryVariable:
    """Replicas of the operator."""
    query = 'label_values(kubenas_build_info{job="kubenas-operator"}, instance)'
    return _query("instance", "Replica", "Replicas of the operator.", query).multi(True).include_all(True)


def _query(name: str, label: str, description: str, query: str) -> build.QueryVariable:
    return (
        build.QueryVariable(name)
        .label(label)
        .description(description)
        .datasource(DATASOURCE)
        .query({"query": query, "refId": name})
        .definition(query)
        .refresh(dashboard.VariableRefresh.ON_TIME_RANGE_CHANGED)
        .sort(dashboard.VariableSort.ALPHABETICAL_ASC)
    )
