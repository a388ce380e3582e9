"""What the benchmarks read of processes and of the apiserver's audit log."""

from __future__ import annotations

import json
import os
import time
from collections import Counter
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.request import urlopen

from prometheus_client.parser import text_string_to_metric_families

if TYPE_CHECKING:
    from tests.cluster.control_plane import ControlPlane

_TICKS = os.sysconf("SC_CLK_TCK")


def cpu_seconds(pid: int) -> float:
    """CPU time that a process has used, in user and system mode."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / _TICKS


def apiserver_cpu_seconds(running: ControlPlane) -> float:
    """CPU time that the apiserver has used, by its own metrics."""
    exposition = running.kubectl("get", "--raw=/metrics")
    (used,) = (line.split()[1] for line in exposition.splitlines() if line.startswith("process_cpu_seconds_total "))
    return float(used)


def peak_memory_mb(pid: int) -> float:
    """Most resident memory that a process has had, in MB (10^6 bytes)."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) * 1024 / 1e6
    raise ValueError(f"process {pid} has no VmHWM")


def event_loop_lag(port: int) -> tuple[float, float]:
    """The longest lag of an operator's event loop since its start, and the 99th percentile, in seconds.

    The percentile lies between bounds of the histogram, and is taken to lie evenly between them, as Prometheus does.
    """
    with urlopen(f"http://127.0.0.1:{port}/metrics") as answer:
        families = {family.name: family for family in text_string_to_metric_families(answer.read().decode())}
    (longest,) = families["kubenas_event_loop_longest_lag_seconds"].samples
    buckets = [
        (float(sample.labels["le"]), sample.value)
        for sample in families["kubenas_event_loop_lag_seconds"].samples
        if sample.name.endswith("_bucket")
    ]
    wanted, low, below = 0.99 * buckets[-1][1], 0.0, 0.0
    for bound, count in buckets:
        if count >= wanted:
            high = min(bound, longest.value)
            return longest.value, low + (high - low) * (wanted - below) / (count - below)
        low, below = bound, count
    raise ValueError("nothing was measured")


def requests(audit_log: Path, user: str) -> Counter[str]:
    """Requests that the apiserver has answered to a user, by verb and resource."""
    counted: Counter[str] = Counter()
    with audit_log.open() as lines:
        for line in lines:
            event = json.loads(line)
            if event["user"]["username"] == user and event["stage"] == "ResponseComplete":
                reference = event.get("objectRef", {})
                counted[f"{event['verb']} {reference.get('resource', event['requestURI'])}"] += 1
    return counted


def lasted(audit_log: Path, experiment: str) -> float:
    """Seconds from the apiserver's receipt of an experiment to its answer to the last write of the status."""
    received, answered = "", ""
    with audit_log.open() as lines:
        for line in lines:
            event = json.loads(line)
            reference = event.get("objectRef", {})
            if event["stage"] != "ResponseComplete" or reference.get("resource") != "nasexperiments":
                continue
            if reference.get("name") != experiment:
                continue
            if event["verb"] in ("create", "patch") and "subresource" not in reference and not received:
                received = event["requestReceivedTimestamp"]
            if event["verb"] == "update" and reference.get("subresource") == "status":
                answered = event["stageTimestamp"]
    return (datetime.fromisoformat(answered) - datetime.fromisoformat(received)).total_seconds()


def wait_until(condition: Callable[[], bool], what: str, seconds: float = 600) -> None:
    """Wait for `condition`.

    Raises:
        TimeoutError: it did not come about.
    """
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            raise TimeoutError(what)
        time.sleep(0.05)
