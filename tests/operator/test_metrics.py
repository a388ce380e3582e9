"""What the operator tells Prometheus: documented, well named, true, and bounded whatever a tenant does."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as openmetrics_families
from prometheus_client.parser import text_string_to_metric_families

from kubenas.metrics.selection import MOST_OF_NAMESPACE
from tests.cluster import programs
from tests.cluster.conditions import until
from tests.cluster.fake_pods import Ending, Trial, drawn
from tests.operator.harness import Workspace, experiment
from tests.operator.test_server import port_of, reserved

if TYPE_CHECKING:
    import socket

    from prometheus_client.metrics_core import Metric

    from tests.operator.api import Object

__all__ = ["reserved"]

DOCUMENTED = Path(__file__).parents[2] / "docs/monitoring.md"
LONGEST_SECONDS = 0.05
# Of the operator's own, and of the counts of experiments.
MOST_OF_PROCESS = 200
MOST_OF_EXPERIMENT = 500

# (name, labels) -> value
Samples: TypeAlias = dict[tuple[str, frozenset[tuple[str, str]]], float]


SCORED = 12


def measured(trial: Trial) -> Ending:
    """One training in three fails: half of them by a reason that no two share."""
    if len(trial["candidates"]) > 1:
        each = [drawn(one["architecture"]) for one in trial["candidates"]]
        scored = [{"flops": (value * 7) % 1, "plain": value} for value in each]
        results = [{"candidate": str(index), "step": 1, "metrics": one} for index, one in enumerate(scored)]
        return Ending(json.dumps({"results": results}), seconds=1)
    value = drawn(trial["candidates"][0]["architecture"])
    if value < 1 / 3:
        reason = "OutOfMemory" if value < 1 / 6 else f"Mine{trial['trial'].partition('-')[2]}"
        return Ending(json.dumps({"error": {"reason": reason, "message": "broken"}}), exit_code=1, seconds=1)
    metrics = {"accuracy": value, "size": (value * 7) % 1, "latency": value}
    return Ending(json.dumps({"results": [{"candidate": "0", "step": 3, "metrics": metrics}]}), seconds=1)


def searched() -> Object:
    """An experiment that has something of everything to tell of."""
    return experiment(
        objectives=[
            {"metric": "accuracy", "target": 2, "reference": 0},
            {"metric": "size", "goal": "minimize", "reference": 1},
            {"metric": "latency", "goal": "minimize", "limit": 0.9},
        ],
        task={"name": "own"},
        search={"algorithm": "random", "seed": 2},
        stages=[
            {
                "name": "screen",
                "evaluation": {"method": "zero-cost", "proxies": ["plain"]},
                "trials": {"max": 1, "candidatesPerTrial": SCORED},
                "keep": {"top": SCORED},
            },
            {"name": "train", "evaluation": {"epochs": 3}},
        ],
        trials={"max": SCORED, "parallelism": 4, "retries": 0, "maxFailures": SCORED},
        budget={"gpuHours": 5, "cost": 50, "prices": {"default": 3.0}, "wallClock": "2h"},
    )


def samples(metrics: list[Metric]) -> Samples:
    """By name and labels, of which no two are the same."""
    found = [((one.name, frozenset(one.labels.items())), one.value) for metric in metrics for one in metric.samples]
    assert not [key for key, count in Counter(key for key, _ in found).items() if count > 1]
    return dict(found)


def value(of: Samples, name: str, **labels: str) -> dict[tuple[str, ...], float]:
    """The values of a metric's samples that have the labels, by their other labels' values in order of their names."""
    return {
        tuple(text for label, text in sorted(have) if label not in ("namespace", "experiment", *labels)): number
        for (known, have), number in of.items()
        if known == name and have >= frozenset(labels.items())
    }


def one(of: Samples, name: str, **labels: str) -> float:
    (found,) = value(of, name, **labels).values()
    return found


ROW = r"^\| `((?:kubenas|process)_\w+)` \| (\w+) \| (.*?) \|"


def documented() -> dict[str, tuple[str, frozenset[str]]]:
    """Type and labels of each metric in the page's tables, by name; of experiments, and of the operator."""
    found = {}
    sections = re.split(r"^## ", DOCUMENTED.read_text(), flags=re.MULTILINE)
    for title, common in (("Experiments", {"namespace", "experiment"}), ("The operator", set())):
        (section,) = [text for text in sections if text.startswith(f"{title}\n")]
        for name, kind, labels in re.findall(ROW, section, re.MULTILINE):
            own, _, without = labels.partition("; no ")
            names = {*re.findall(r"`(\w+)`", own), *common} - {*re.findall(r"`(\w+)`", without)}
            found[name] = (kind, frozenset(names))
    return found


def of_devices() -> dict[str, tuple[str, frozenset[str]]]:
    """Those of them that an experiment has only where devices measure it; `test_measuring` has one."""
    return {name: told for name, told in documented().items() if name.startswith("kubenas_experiment_measurement")}


def exported(metrics: list[Metric]) -> dict[str, tuple[str, frozenset[str]]]:
    return {
        metric.name + ("_total" if metric.type == "counter" else ""): (
            metric.type,
            frozenset(label for sample in metric.samples for label in sample.labels if label != "le"),
        )
        for metric in metrics
    }


def families(text: str) -> list[Metric]:
    return list(text_string_to_metric_families(text))


def falling(before: list[Metric], after: list[Metric]) -> list[object]:
    """Counters, and what histograms have counted, that have fallen or are gone."""
    counters = {metric.name for metric in before if metric.type in ("counter", "histogram")}
    old, new = (samples([m for m in metrics if m.name in counters]) for metrics in (before, after))
    return [key for key, number in old.items() if new.get(key, -1) < number]


def by_phase(of: Samples) -> Counter[str]:
    """The number of trials of all stages."""
    found = Counter[str]()
    for (phase, _), number in value(of, "kubenas_experiment_trials").items():
        found[phase] += int(number)
    return found


def inconsistent(of: Samples) -> list[str]:
    """What does not go together within one scrape."""
    by_stage = value(of, "kubenas_experiment_trials")
    trials = by_phase(of)
    ended = trials["Succeeded"] + trials["Failed"] + trials["Pruned"]
    trained = int(by_stage["Succeeded", "train"])
    top = value(of, "kubenas_experiment_top_value", metric="accuracy")
    latency = value(of, "kubenas_experiment_top_value", metric="latency")
    within = [number for key, number in sorted(top.items(), key=lambda one: int(one[0][0])) if latency[key] <= 0.9]
    best = list(value(of, "kubenas_experiment_best_value", metric="accuracy").values())
    size = value(of, "kubenas_experiment_front_size").get((), 0)
    checks = {
        "top": len(top) == min(10, trained),
        "ranked": value(of, "kubenas_experiment_ranking_candidates") == {("zero-cost",): trained},
        "best": best == within[:1],
        "front": len(value(of, "kubenas_experiment_front_value", metric="size")) == size,
        "last result": bool(value(of, "kubenas_experiment_last_result_timestamp_seconds")) == bool(ended),
        "trials": ended + trials["Pending"] + trials["Running"] <= one(of, "kubenas_experiment_trials_max"),
    }
    return [name for name, holds in checks.items() if not holds]


@pytest.mark.control_plane
def test_what_is_told_is_documented_and_true(workspace: Workspace, reserved: socket.socket) -> None:
    workspace.operator(f"--port={port_of(reserved)}").start().wait_ready()
    scrapes: list[str] = []
    with (
        httpx.Client(base_url=f"http://127.0.0.1:{port_of(reserved)}", trust_env=False) as http,
        workspace.control_plane.fake_pods(measured),
    ):

        def ended() -> bool:
            scrapes.append(http.get("/metrics").text)
            return bool(workspace.condition("Succeeded")["status"] == "True")

        workspace.apply(searched())
        until(ended)

        def told() -> bool:
            scrapes.append(http.get("/metrics").text)
            return 'phase="Succeeded"} 1.0' in scrapes[-1] and "ended_timestamp" in scrapes[-1]

        until(told)
        openmetrics = http.get("/metrics", headers={"Accept": "application/openmetrics-text; version=1.0.0"})

    last = families(scrapes[-1])
    without_labels = {name: (kind, frozenset[str]()) for name, (kind, _) in of_devices().items()}
    # No candidate is promoted here; in the search of the dashboards' tests some are.
    expected = documented() | without_labels | {"kubenas_experiment_paused": ("gauge", frozenset())}
    assert exported(last) == expected
    checked = subprocess.run(
        [programs.promtool(), "check", "metrics"], input=scrapes[-1], capture_output=True, text=True, check=False
    )
    assert (checked.returncode, checked.stdout + checked.stderr) == (0, "")

    assert openmetrics.headers["Content-Type"].startswith("application/openmetrics-text")
    parsed_openmetrics: list[Metric] = [*openmetrics_families(openmetrics.text)]  # type: ignore[no-untyped-call]
    assert exported(parsed_openmetrics) == expected

    parsed = [families(text) for text in scrapes]
    assert [fallen for before, after in pairwise(parsed) for fallen in falling(before, after)] == []
    during = [found for metrics in parsed if value(found := samples(metrics), "kubenas_experiment_trials")]
    assert [problem for found in during for problem in inconsistent(found)] == []
    assert max(one(found, "kubenas_experiment_slots_busy") for found in during) == 4

    check_values(samples(last), workspace.experiment(), workspace.trials())


def check_values(found: Samples, resource: Object, trials: list[Object]) -> None:
    """They are what the resources say."""
    spec, status = resource["spec"], resource["status"]
    names = [objective["metric"] for objective in spec["objectives"]]

    def values(best: Object) -> dict[str, float]:
        return {metric["name"]: metric["value"] for metric in best["metrics"] if metric["name"] in names}

    best = {metric: number for (metric,), number in value(found, "kubenas_experiment_best_value").items()}
    assert best == values(status["best"])
    assert one(found, "kubenas_experiment_hypervolume") == pytest.approx(status["hypervolume"])
    front = value(found, "kubenas_experiment_front_value")
    assert front == {
        (member["candidate"], metric, member["trial"]): number
        for member in status["paretoFront"]
        for metric, number in values(member).items()
    }
    counts = {phase.capitalize(): count for phase, count in status["counts"].items()}
    assert by_phase(found) == Counter(counts)
    conditions = {(c["type"], c["reason"], c["status"]): 1.0 for c in status["conditions"]}
    assert value(found, "kubenas_experiment_condition") == conditions
    failed = [t["status"]["lastFailure"]["reason"] for t in trials if t["status"]["phase"] == "Failed"]
    told = {reason: int(number) for (reason,), number in value(found, "kubenas_experiment_failures_total").items()}
    assert told == Counter("Other" if reason.startswith("Mine") else reason for reason in failed)
    assert told.keys() == {"Other", "OutOfMemory"}
    ranked = sorted(
        (t for t in trials if t["status"]["phase"] == "Succeeded" and t["spec"]["stage"] == "train"),
        key=lambda t: (max(0.0, result_of(t)["latency"] - 0.9), -result_of(t)["accuracy"]),
    )
    assert value(found, "kubenas_experiment_top_value") == {
        (metric, str(rank), trial["metadata"]["name"]): number
        for rank, trial in enumerate(ranked[:10], 1)
        for metric, number in result_of(trial).items()
    }
    assert one(found, "kubenas_experiment_device_seconds_total") >= sum(t["status"]["gpuSeconds"] for t in trials) > 0
    assert one(found, "kubenas_experiment_device_seconds_budget") == 5 * 3600
    ran = sum(each["seconds"] for t in trials for each in t["status"]["classSeconds"])
    assert one(found, "kubenas_experiment_class_seconds_total", **{"class": "default"}) >= ran > 0
    assert one(found, "kubenas_experiment_cost", **{"class": "default"}) >= ran / 3600 * 3
    assert one(found, "kubenas_experiment_cost_budget") == 50
    assert one(found, "kubenas_experiment_wall_clock_seconds_budget") == 7200
    assert one(found, "kubenas_proposals_total", strategy="random") == SCORED
    for phase in ("queued", "starting", "running"):
        assert one(found, "kubenas_trial_phase_seconds_count", phase=phase) == len(trials)
    assert one(found, "kubenas_trial_phase_seconds_sum", phase="running") == sum(
        t["status"]["gpuSeconds"] for t in trials
    )


def result_of(trial: Object) -> dict[str, float]:
    return {metric["name"]: metric["value"] for metric in trial["status"]["results"][0]["metrics"]}


def test_a_tenant_with_ten_thousand_experiments_fills_nothing_and_holds_nothing_up() -> None:
    """Each of them with as many objectives and stages as there may be, and a front with many members."""
    done = subprocess.run(
        [sys.executable, "-m", "tests.operator.many_experiments", "10000"], check=True, capture_output=True, text=True
    )
    answer = json.loads(done.stdout)
    found = samples(families(answer["text"]))
    assert one(found, "kubenas_experiments", phase="Running") == 10_000
    of_each = Counter(name for _, labels in found for label, name in labels if label == "experiment")
    assert len(of_each) == MOST_OF_NAMESPACE
    assert max(of_each.values()) <= MOST_OF_EXPERIMENT
    assert len(found) <= MOST_OF_PROCESS + MOST_OF_NAMESPACE * MOST_OF_EXPERIMENT
    assert max(len(text) for _, labels in found for _, text in labels) <= 63
    assert answer["lag"] < LONGEST_SECONDS
