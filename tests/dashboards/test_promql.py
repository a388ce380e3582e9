"""Every query as Prometheus' own parser reads it, and the joins that queries are made of on series made up for them."""

from __future__ import annotations

import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from dashboards.queries import EXPERIMENT, FLEET, TRIAL, joules, joules_per_point, of_devices, once, total
from tests.cluster import programs
from tests.dashboards.asked import interpolated
from tests.dashboards.classic import queries

pytestmark = pytest.mark.control_plane

CHOSEN: dict[str, str | list[str]] = {
    "namespace": "ns",
    "experiment": "nas",
    "trial": "nas-0",
    "metric": "accuracy",
}


def trial_series() -> dict[str, str]:
    """Two trials that run, at a half and at four fifths."""
    found = {}
    for trial, accuracy in (("nas-0", "0.5"), ("nas-1", "0.8")):
        labels = f'namespace="ns", experiment="nas", trial="{trial}", pod="{trial}-1", candidate="0"'
        found[f"kubenas_trial_step{{{labels}}}"] = "1+1x10"
        found[f'kubenas_trial_value{{{labels}, metric="accuracy"}}'] = f"{accuracy}x10"
    return found


TRIALS = trial_series()


def promtool(folder: Path, document: dict[str, Any], *command: str) -> subprocess.CompletedProcess[str]:
    file = folder / "checked.yaml"
    file.write_text(yaml.safe_dump(document))
    return subprocess.run(
        [str(programs.promtool()), *command, str(file)], check=False, capture_output=True, text=True, cwd=folder
    )


def parsed(folder: Path, expressions: list[str]) -> subprocess.CompletedProcess[str]:
    rules = [{"record": f"query:{number}", "expr": expression} for number, expression in enumerate(expressions)]
    return promtool(folder, {"groups": [{"name": "dashboards", "rules": rules}]}, "check", "rules", "--lint=none")


def test_queries_are_promql(tmp_path: Path) -> None:
    found = parsed(tmp_path, [interpolated(query["expr"], {}) for _, _, query in queries()])
    assert found.returncode == 0, found.stdout + found.stderr
    assert parsed(tmp_path, ["sum by (x (y)"]).returncode != 0


def expect(folder: Path, series: dict[str, str], expression: str, answer: dict[str, float]) -> None:
    """Ask after ten minutes, of series with a sample a minute."""
    asked = {
        "expr": interpolated(expression, CHOSEN, seconds=600),
        "eval_time": "10m",
        "exp_samples": [{"labels": labels, "value": value} for labels, value in answer.items()],
    }
    given = [{"series": labels, "values": values} for labels, values in series.items()]
    tests = [{"interval": "1m", "input_series": given, "promql_expr_test": [asked]}]
    found = promtool(folder, {"rule_files": [], "tests": tests}, "test", "rules")
    assert found.returncode == 0, found.stdout + found.stderr


def devices(metric: str, value: str, *, honored: bool) -> dict[str, str]:
    """Two trials' devices, one that nobody uses and one of another pod, as Prometheus has them by its configuration."""
    own = 'namespace="gpu-operator", pod="dcgm-exporter-x"'
    found = {}
    for gpu, namespace, pod in ((0, "ns", "nas-0-1"), (1, "ns", "nas-1-1"), (2, "", ""), (3, "ns", "notebook")):
        labels = f'namespace="{namespace}", pod="{pod}"'
        if not honored:
            labels = f'{own}, exported_namespace="{namespace}", exported_pod="{pod}"'
        found[f'{metric}{{gpu="{gpu}", {labels}}}'] = value
    return found


@pytest.mark.parametrize("honored", [True, False])
def test_devices_are_those_of_the_trials_pods(honored: bool, tmp_path: Path) -> None:
    power = devices("DCGM_FI_DEV_POWER_USAGE", "70x10", honored=honored)
    drawn = of_devices(EXPERIMENT, "DCGM_FI_DEV_POWER_USAGE")
    expect(tmp_path, power | TRIALS, total(drawn, "trial"), {'{trial="nas-0"}': 70, '{trial="nas-1"}': 70})
    drawn = of_devices(TRIAL, "DCGM_FI_DEV_POWER_USAGE")
    expect(tmp_path, power | TRIALS, total(drawn, "gpu"), {'{gpu="0"}': 70})


@pytest.mark.parametrize("honored", [True, False])
def test_energy_is_what_the_counter_has_risen_while_the_trial_ran(honored: bool, tmp_path: Path) -> None:
    """70 W for ten minutes, after whatever the device had used before."""
    energy = devices("DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "9000000+4200000x10", honored=honored)
    expect(tmp_path, energy | TRIALS, joules(FLEET, "namespace"), {'{namespace="ns"}': 84_000})
    points = {'{trial="nas-0"}': 42_000 / 50, '{trial="nas-1"}': 42_000 / 80}
    expect(tmp_path, energy | TRIALS, joules_per_point(EXPERIMENT), points)


def test_an_exporter_may_be_replaced_by_another(tmp_path: Path) -> None:
    """At the same address, so that but for its own pod the labels are the same."""
    counted: dict[str, str] = {}
    for pod, values in (("exporter-1", "0+4200000x5 stale"), ("exporter-2", "_x5 0+4200000x4")):
        labels = 'namespace="gpus", exported_namespace="ns", exported_pod="nas-0-1", gpu="0"'
        counted[f'DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION{{{labels}, pod="{pod}"}}'] = values
        counted[f'DCGM_FI_DEV_POWER_USAGE{{{labels}, pod="{pod}"}}'] = "70x10"
    drawn = of_devices(EXPERIMENT, "DCGM_FI_DEV_POWER_USAGE")
    expect(tmp_path, counted | TRIALS, total(drawn, "trial"), {'{trial="nas-0"}': 70})
    used = of_devices(EXPERIMENT, "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION", "10m")
    expect(tmp_path, counted | TRIALS, f"count({used})", {"{}": 1})


def test_replicas_that_export_the_same_series_count_once(tmp_path: Path) -> None:
    trials = {}
    for pod in ("a", "b"):
        for stage, count in (("screen", "3x10"), ("final", "2x10")):
            labels = f'namespace="ns", experiment="nas", stage="{stage}", phase="Failed", instance="{pod}"'
            trials[f"kubenas_experiment_trials{{{labels}}}"] = count
    failed = once(EXPERIMENT.of("kubenas_experiment_trials"), "stage", "phase")
    expect(tmp_path, trials, total(failed, "phase"), {'{phase="Failed"}': 5})
