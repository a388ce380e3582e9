"""The alerts of deploy/prometheus/rules.yaml: each fires for each of its causes, and not beside them."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.prometheus_rules import RULES, alerts, metrics_of, rules

MONITORING = RULES.parents[2] / "docs/monitoring.md"
CASES = Path(__file__).parent / "rules"
FILES = sorted(CASES.glob("*.yaml"))
# What others export: Prometheus itself, and NVIDIA's exporter in its own default set of counters.
OTHERS = {"up", "DCGM_FI_DEV_GPU_UTIL"}
# `CAUSE fires: …` or `CAUSE does not fire: …`
NAME = re.compile(r"([a-z-]+) (fires|does not fire): .+")


def cases() -> list[dict[str, Any]]:
    return [case for file in FILES for case in yaml.safe_load(file.read_text())["tests"]]


def run(promtool: Path, *arguments: str) -> None:
    done = subprocess.run([promtool, *arguments], check=False, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.control_plane
def test_promtool_has_nothing_to_say_of_the_rules(promtool: Path) -> None:
    run(promtool, "check", "rules", "--lint=all", "--lint-fatal", str(RULES))


@pytest.mark.control_plane
@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_each_alert_fires_for_its_causes_and_not_beside_them(file: Path, promtool: Path) -> None:
    run(promtool, "test", "rules", str(file))


def test_each_cause_of_each_alert_is_tested_both_ways() -> None:
    found: set[tuple[str, str, bool]] = set()
    for case in cases():
        match = NAME.fullmatch(case["name"])
        assert match, case["name"]
        cause, fires = match[1], match[2] == "fires"
        told = [one for test in case["alert_rule_test"] for one in test["exp_alerts"]]
        assert {one["exp_labels"]["cause"] for one in told} == ({cause} if fires else set()), case["name"]
        (name,) = {test["alertname"] for test in case["alert_rule_test"]}
        found.add((name, cause, fires))
    assert found == {(alert.name, alert.cause, fires) for alert in alerts() for fires in (True, False)}


def test_each_alert_says_how_grave_it_is_what_it_means_and_where_to_read_on() -> None:
    for alert in alerts():
        rule = alert.rule
        assert rule["labels"]["severity"] in {"info", "warning", "critical"}
        assert set(rule["annotations"]) == {"summary", "description", "runbook_url"}
        assert "for" in rule, f"{alert.name} would tell of a moment"


@pytest.mark.parametrize(
    ("expression", "metrics"),
    [
        ('sum by (a, b) (rate(kubenas_x_total{phase="up"}[5m])) > 3', {"kubenas_x_total"}),
        ("a:b:c * 0 - (last_over_time(a:b:c[6h] offset 6h) or d unless on (namespace) e)", {"a:b:c", "d", "e"}),
        ('label_replace(DCGM_X{pod!=""}, "pod", "$1", "other", "(.+)")', {"DCGM_X"}),
        ('absent(up{job="x"} == 1) and histogram_quantile(0.99, count(f_bucket))', {"up", "f_bucket"}),
    ],
)
def test_an_expressions_metrics_are_found(expression: str, metrics: set[str]) -> None:
    assert metrics_of(expression) == metrics


def test_what_is_recorded_is_used() -> None:
    recorded = {rule["record"] for rule in rules() if "record" in rule}
    used = {name for rule in rules() for name in metrics_of(rule["expr"])}
    assert recorded <= used
    assert {name for name in used if ":" in name} <= recorded


def test_each_metric_is_one_that_docs_monitoring_tells_of() -> None:
    found = re.findall(r"^\| `(kubenas_\w+)` \| (\w+) \|", MONITORING.read_text(), re.MULTILINE)
    documented = {name for name, kind in found if kind != "histogram"}
    documented |= {
        f"{name}_{part}" for name, kind in found if kind == "histogram" for part in ("bucket", "count", "sum")
    }
    selected = {name for rule in rules() for name in metrics_of(rule["expr"]) if ":" not in name}
    assert len(selected) > 10
    assert selected <= documented | OTHERS


def test_docs_monitoring_lists_each_alert_with_its_severity() -> None:
    listed = re.findall(r"^\| `(KubeNAS\w+)` \| (\w+) \|", MONITORING.read_text(), re.MULTILINE)
    assert sorted(listed) == sorted({(alert.name, alert.rule["labels"]["severity"]) for alert in alerts()})
