"""PromQL: which series a dashboard is about, and the few ways in which panels put them together.

Every metric of an experiment is exported by the replica that leads. While the lead changes hands, and in a range that
spans an upgrade, two replicas have the same series; `once` makes one of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

# Grafana puts them into queries: the time that the dashboard shows, and at least four times the interval of scraping.
RANGE = "$__range"
RATE_INTERVAL = "$__rate_interval"


@dataclass(frozen=True)
class Scope:
    """The series that a dashboard's variables choose.

    Attributes:
        matchers: label matchers, one for each variable.
        group: the label by which panels of devices tell lines apart.
    """

    matchers: tuple[str, ...]
    group: str

    def of(self, metric: str, *matchers: str, window: str = "") -> str:
        """The series of a metric; with a `window` their samples of that long."""
        selector = f"{metric}{{{', '.join((*self.matchers, *matchers))}}}"
        return f"{selector}[{window}]" if window else selector


FLEET = Scope(('namespace=~"$namespace"',), group="namespace")
EXPERIMENT = Scope(('namespace="$namespace"', 'experiment="$experiment"'), group="trial")
TRIAL = Scope((*EXPERIMENT.matchers, 'trial="$trial"'), group="gpu")
REPLICAS = Scope(('job="kubenas-operator"',), group="instance")
OPERATOR = Scope((*REPLICAS.matchers, 'instance=~"$instance"'), group="instance")

CHOSEN_METRIC = 'metric="$metric"'
OTHER_METRIC = 'metric="$against"'
ENDED = 'phase=~"Succeeded|Pruned|Failed"'


def once(selector: str, *labels: str) -> str:
    """One series for each experiment and each value of the labels, whichever replicas have exported it."""
    return f"max by ({', '.join(('namespace', 'experiment', *labels))}) ({selector})"


def total(expression: str, *labels: str) -> str:
    """The sum for each value of the labels, or over all."""
    by = f" by ({', '.join(labels)})" if labels else ""
    return f"sum{by} ({expression})"


def rate(selector: str, *labels: str) -> str:
    """How much a counter rises in a second."""
    return total(f"rate({selector}[{RATE_INTERVAL}])", *labels)


def rise(selector: str, *labels: str) -> str:
    """How much a counter has risen in the time that the dashboard shows."""
    return total(f"increase({selector}[{RANGE}])", *labels)


def quantile(share: float, buckets: str, *labels: str, over: str = RATE_INTERVAL) -> str:
    """A quantile of a histogram's recent values."""
    rises = total(f"rate({buckets}[{over}])", "le", *labels)
    return f"histogram_quantile({share}, {rises})"


def best_of_first_objective(scope: Scope) -> str:
    """The best value of each experiment's first objective."""
    best = once(scope.of("kubenas_experiment_best_value"), "metric")
    first = f'label_replace({scope.of("kubenas_experiment_info")}, "metric", "$1", "objective", "(.+)")'
    return f"{best} and on (namespace, experiment, metric) {first}"


def numbered(expression: str) -> str:
    """Series of trials with their number in the label `number`."""
    return f'label_replace({expression}, "number", "$1", "trial", ".*-([0-9]+)")'


def last_reported(scope: Scope, metric: str) -> str:
    """What each trial last reported of a metric."""
    return f"max by (trial) (last_over_time({scope.of('kubenas_trial_value', metric, window=RANGE)}))"


def front_values(scope: Scope, metric: str) -> str:
    """Values of the Pareto front; a trial of several candidates may have several on it."""
    return once(scope.of("kubenas_experiment_front_value", metric), "trial", "candidate")


def top_values(scope: Scope, metric: str) -> str:
    """Values of the best trials by the first objective, each with its best candidate's."""
    return once(scope.of("kubenas_experiment_top_value", metric), "trial")


def of_devices(scope: Scope, metric: str, window: str = "") -> str:
    """A metric of the NVIDIA DCGM exporter, for the devices of trials' pods.

    Where Prometheus was not told to honor the exporter's labels, the pod that uses a device is in `exported_pod`.

    Args:
        scope: whose devices.
        metric: its name, or with `window` a counter whose rise in that long is wanted.
        window: as PromQL says it.
    """
    own, exported = (f'{metric}{{exported_pod{match}""}}' for match in ("=", "!="))
    if window:
        own, exported = f"increase({own}[{window}])", f"increase({exported}[{window}])"
    # Without the exporter's own pod two exporters, or one after the other, may tell of a device by the same labels.
    exported = f"{'sum' if window else 'avg'} without (namespace, pod) ({exported})"
    for label in ("namespace", "pod"):
        exported = f'label_replace({exported}, "{label}", "$1", "exported_{label}", "(.+)")'
    found = f"({exported} or {own})"
    seen = scope.of("kubenas_trial_step", window=window)
    pods = f"group by (namespace, pod, experiment, trial) ({f'last_over_time({seen})' if window else seen})"
    return f"{found} * on (namespace, pod) group_left (experiment, trial) {pods}"


def joules(scope: Scope, *labels: str) -> str:
    """Energy that trials' devices have used in the time that the dashboard shows; the exporter counts millijoules."""
    return f"{total(of_devices(scope, 'DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION', RANGE), *labels)} / 1000"


def joules_per_point(scope: Scope) -> str:
    """That energy for each hundredth of the chosen metric."""
    return f"{joules(scope, 'trial')} / on (trial) (100 * {last_reported(scope, CHOSEN_METRIC)})"


def condition_states(scope: Scope) -> str:
    """Each condition as a number: 1 True, 0 False, -1 Unknown."""

    def states() -> Iterator[str]:
        for status, value in (("True", 1), ("False", 0), ("Unknown", -1)):
            selector = scope.of("kubenas_experiment_condition", f'status="{status}"')
            yield f"{value} * {once(selector, 'condition')}"

    return " or ".join(states())
