"""How one comes from one dashboard to another, with the time and what was chosen there."""

from __future__ import annotations

from grafana_foundation_sdk.builders import dashboard as build
from grafana_foundation_sdk.models import dashboard

TAG = "kubenas"
FLEET, EXPERIMENT, TRIAL, OPERATOR = (f"kubenas-{name}" for name in ("fleet", "experiment", "trial", "operator"))
_KEPT = "${datasource:queryparam}&${__url_time_range}"


class _Shown(build.DashboardLink):
    """A link at the top of the dashboard, where the SDK would have it in the menu of controls."""

    def build(self) -> dashboard.DashboardLink:
        """The link."""
        link = super().build()
        link.placement = None  # type: ignore[assignment] # the SDK knows no other place
        return link


def between_dashboards() -> build.DashboardLink:
    """The menu of KubeNAS' dashboards."""
    return (
        _Shown("KubeNAS")
        .type(dashboard.DashboardLinkType.DASHBOARDS)
        .tags([TAG])
        .as_dropdown(False)
        .include_vars(True)
        .keep_time(True)
    )


def to_experiment() -> list[dict[str, str]]:
    """From a row of a table with the columns Namespace and Experiment."""
    chosen = "var-namespace=${__data.fields.Namespace}&var-experiment=${__data.fields.Experiment}"
    return [{"title": "Open the experiment", "url": f"/d/{EXPERIMENT}?{chosen}&{_KEPT}"}]


def to_trial() -> list[dict[str, str]]:
    """From a row of one experiment's table with the column Trial."""
    return [{"title": "Open the trial", "url": _trial("${__data.fields.Trial}")}]


def to_trial_of_line() -> build.DashboardLink:
    """From a line with the label `trial`."""
    return build.DashboardLink("Open the trial").url(_trial("${__field.labels.trial}"))


def _trial(name: str) -> str:
    chosen = f"${{namespace:queryparam}}&${{experiment:queryparam}}&var-trial={name}"
    return f"/d/{TRIAL}?{chosen}&${{metric:queryparam}}&{_KEPT}"
