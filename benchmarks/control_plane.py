"""The operator's throughput, latency, requests, CPU and memory on a real apiserver with faked instant pods.

Everything runs on this machine: etcd, apiserver, controller manager, the faker of pods and the operator.

    python -m benchmarks.control_plane [CASE …]
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from rich.console import Console
from rich.table import Table

from benchmarks.measure import (
    apiserver_cpu_seconds,
    cpu_seconds,
    event_loop_lag,
    lasted,
    peak_memory_mb,
    requests,
    wait_until,
)
from kubenas.api.experiment import NASExperiment
from kubenas.local.trainer import free_port
from tests.cluster.control_plane import REPOSITORY, ControlPlane
from tests.operator.long_history import LARGE_SPACE, history, store

CRDS = REPOSITORY / "crds"
ACCOUNT = "benchmark"
USER = f"system:serviceaccount:default:{ACCOUNT}"


@dataclass
class Figures:
    """Rows of the printed table: what was measured, the value, what was aimed at."""

    rows: list[tuple[str, str, str]] = field(default_factory=list)

    def add(self, what: str, value: str, aim: str = "") -> None:
        """One more row."""
        self.rows.append((what, value, aim))
        print(f"{what}: {value} ({aim})" if aim else f"{what}: {value}", flush=True)


def experiment(name: str, trials: int, parallelism: int, **spec: object) -> str:
    """A manifest whose pods nobody schedules."""
    return json.dumps(
        {
            "apiVersion": "kubenas.io/v1alpha1",
            "kind": "NASExperiment",
            "metadata": {"name": name},
            "spec": {
                "objectives": [{"metric": "accuracy"}],
                "task": {"name": "image-classification"},
                "searchSpace": {"preset": "nasbench201"},
                "search": {"algorithm": "regularized-evolution", "seed": 1},
                "trials": {"max": trials, "parallelism": parallelism},
                "metrics": {"source": "Pod"},
                "trialTemplate": {"spec": {"schedulerName": "nobody"}},
                **spec,
            },
        }
    )


@contextmanager
def cluster() -> Iterator[ControlPlane]:
    """A fresh control plane with the resources and a user of its own for what is measured."""
    with ControlPlane() as running:
        running.kubectl("apply", "--server-side", f"--kustomize={CRDS}")
        running.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
        # As in a cluster, by a service account's token.
        running.kubectl("create", "serviceaccount", ACCOUNT)
        running.kubectl("create", "clusterrolebinding", ACCOUNT, "--clusterrole=cluster-admin", f"--user={USER}")
        yield running


@contextmanager
def operator(running: ControlPlane, port: int = 0) -> Iterator[int]:
    """The operator as a process; its pid once it is ready.

    Args:
        running: the control plane.
        port: of its metrics; any where 0.
    """
    identity = running.service_account("default", ACCOUNT)
    with tempfile.NamedTemporaryFile(mode="r", suffix=".log") as log:
        command = [str(Path(sys.executable).with_name("kubenas")), "operator", f"--kubeconfig={identity}"]
        with Path(log.name).open("w") as sink:
            process = subprocess.Popen(
                [*command, f"--port={port}", "--lease-namespace=default"], stderr=sink, stdout=sink
            )
        try:
            wait_until(lambda: " ready" in Path(log.name).read_text(), "the operator is not ready", 60)
            yield process.pid
        finally:
            process.terminate()
            process.wait(30)


def timed(running: ControlPlane, name: str, manifest: str) -> float:
    """Seconds from an experiment's arrival to its success, by the apiserver's audit log."""
    running.kubectl("create", "--filename=-", stdin=manifest)
    running.kubectl("wait", "--for=condition=Succeeded", f"nas/{name}", "--timeout=600s")
    return lasted(running.audit_log, name)


def throughput(figures: Figures) -> None:
    """1 experiment of 1,000 trials, 30 at once, and the bare loop beside it."""
    count, parallelism = 1000, 30
    with cluster() as running, running.fake_pods():
        bare_cpu, bare_apiserver, bare_rate = _bare(running, count, parallelism)
        port = free_port()
        with operator(running, port) as pid:
            timed(running, "warm", experiment("warm", 20, 10))
            before, cpu, apiserver = requests(running.audit_log, USER), cpu_seconds(pid), apiserver_cpu_seconds(running)
            seconds = timed(running, "many", experiment("many", count, parallelism))
            wait_until(lambda: not running.kubectl("get", "pods", "--output=name"), "pods are left")
            cpu = (cpu_seconds(pid) - cpu) / count * 1000
            apiserver = (apiserver_cpu_seconds(running) - apiserver) / count * 1000
            made = requests(running.audit_log, USER) - before
            longest, percentile = event_loop_lag(port)
    rate = count / seconds
    figures.add("1 x 1,000, 30 at once: trials/s", f"{rate:.1f}", "≥ 50")
    figures.add("… of a bare kopf loop in the same run", f"{bare_rate:.1f}")
    figures.add("… ratio", f"{rate / bare_rate:.2f}")
    figures.add("… API requests a trial", f"{made.total() / count:.2f}", "≤ 4.5")
    figures.add("… apiserver CPU a trial (ms)", f"{apiserver:.1f}")
    figures.add("… for the bare loop (ms)", f"{bare_apiserver:.1f}")
    figures.add("… operator CPU a trial (ms)", f"{cpu:.1f}", "≤ 8")
    figures.add("… of the bare loop (ms)", f"{bare_cpu:.1f}")
    figures.add("… ratio", f"{cpu / bare_cpu:.2f}")
    figures.add("… event-loop lag, 99th percentile (ms)", f"{percentile * 1000:.1f}")
    figures.add("… event-loop lag, maximum (ms)", f"{longest * 1000:.1f}", "≤ 50")


def _bare(running: ControlPlane, count: int, parallelism: int) -> tuple[float, float, float]:
    """Of the bare loop: its CPU milliseconds a trial, the apiserver's, and trials a second."""
    running.kubectl("create", "namespace", "bare")
    running.wait_for_service_account("bare")
    command = [sys.executable, "-m", "benchmarks.bare_loop", "bare"]
    # An interpreter's start, and that of kopf, is not what is compared.
    short = _children_cpu([*command, "20", str(parallelism)], running)
    running.kubectl("delete", "nastrials", "--all", "--namespace=bare")
    apiserver = apiserver_cpu_seconds(running)
    begin = time.monotonic()
    whole = _children_cpu([*command, str(count), str(parallelism)], running)
    seconds = time.monotonic() - begin - short[1]
    apiserver = (apiserver_cpu_seconds(running) - apiserver) / count * 1000
    return (whole[0] - short[0]) / (count - 20) * 1000, apiserver, (count - 20) / seconds


def _children_cpu(command: list[str], running: ControlPlane) -> tuple[float, float]:
    """CPU seconds and wall seconds of a command."""
    begin = time.monotonic()
    process = subprocess.Popen(
        command,
        env=running.environment | {"KUBECONFIG": str(running.service_account("default", ACCOUNT))},
        stderr=subprocess.DEVNULL,
        cwd=REPOSITORY,
    )
    used = 0.0
    while process.poll() is None:
        used = max(used, cpu_seconds(process.pid))
        time.sleep(0.02)
    if process.returncode != 0:
        raise SystemExit(f"{command} failed")
    return used, time.monotonic() - begin


def latency(figures: Figures) -> None:
    """1 x 300, 100 at once, pods of 2 s: six seconds at least."""
    with cluster() as running, running.fake_pods(seconds=2), operator(running):
        timed(running, "warm", experiment("warm", 20, 20))
        seconds = timed(running, "waves", experiment("waves", 300, 100))
    figures.add("1 x 300, 100 at once, pods of 2 s: seconds", f"{seconds:.1f}", "≤ 8.5")


def memory(figures: Figures) -> None:
    """1 x 5,000, 500 at once: memory, and whether the rate falls."""
    count = 5000
    with cluster() as running, running.fake_pods(), operator(running) as pid:
        running.kubectl("apply", "--filename=-", stdin=experiment("large", count, 500))
        marks: dict[int, float] = {}
        while len(marks) < 6:
            done = running.kubectl("get", "nas/large", "--output=jsonpath={.status.counts.succeeded}") or "0"
            for fifth in range(6):
                if int(done) >= fifth * count / 5 and fifth not in marks:
                    marks[fifth] = time.monotonic()
            time.sleep(0.2)
        peak = peak_memory_mb(pid)
    first, last = marks[2] - marks[1], marks[5] - marks[4]
    figures.add("1 x 5,000, 500 at once: peak memory (MB)", f"{peak:.0f}", "≤ 200")
    figures.add("… trials/s over all", f"{count / (marks[5] - marks[0]):.1f}")
    figures.add("… rate of the last fifth over the second", f"{first / last:.2f}", "≥ 1 or nearly")


def idle(figures: Figures) -> None:
    """200 experiments that have ended: CPU of an operator that has nothing to do."""
    with cluster() as running, running.fake_pods(), operator(running) as pid:
        manifests = "\n---\n".join(experiment(f"idle-{number}", 1, 1) for number in range(200))
        running.kubectl("apply", "--filename=-", stdin=manifests)
        running.kubectl("wait", "--for=condition=Succeeded", "nas", "--all", "--timeout=300s")
        time.sleep(15)
        begin, cpu = time.monotonic(), cpu_seconds(pid)
        time.sleep(60)
        share = (cpu_seconds(pid) - cpu) / (time.monotonic() - begin)
    figures.add("200 idle experiments: % of a core", f"{100 * share:.1f}", "≤ 2")


def restart(figures: Figures) -> None:
    """A new process beside 10,000 ended trials, and kubectl that reads the same."""
    count = 10_000
    with cluster() as running:
        running.kubectl("create", "--filename=-", stdin=experiment("long", count + 1, 1, searchSpace=LARGE_SPACE))
        searched = NASExperiment.model_validate_json(running.kubectl("get", "nas/long", "--output=json"))
        store(running, "default", list(history(searched, count)))
        begin = time.monotonic()
        running.kubectl("get", "nastrials", "--output=json")
        read = time.monotonic() - begin
        begin = time.monotonic()
        with operator(running) as pid:
            ready = time.monotonic() - begin
            os.kill(pid, signal.SIGKILL)
            begin = time.monotonic()
            with operator(running):
                taken_over = time.monotonic() - begin
    figures.add("start beside 10,000 ended trials: seconds until ready", f"{ready:.1f}", "≤ 10")
    figures.add("… kubectl that reads them, in the same run", f"{read:.1f}")
    figures.add("… ratio", f"{ready / read:.2f}")
    figures.add("killed: seconds until another is ready", f"{taken_over:.1f}", "≤ 20")


CASES = {"throughput": throughput, "latency": latency, "memory": memory, "idle": idle, "restart": restart}


def main(names: list[str]) -> None:
    """Measure the named cases, all if none is named, and print the table."""
    figures = Figures()
    for name in names or list(CASES):
        CASES[name](figures)
    table = Table("measured", "value", "aim", title="Control plane")
    for row in figures.rows:
        table.add_row(*row)
    Console(width=100).print(table)


if __name__ == "__main__":
    main(sys.argv[1:])
