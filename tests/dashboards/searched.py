"""A search that a real Prometheus has scraped: a real apiserver, the real operator, trials as processes.

What is not real is said: the pods run as processes of this machine (`node`), whose GPUs are made up (`devices`), since
there are neither nodes nor GPUs here. Prometheus scrapes trials by the job of deploy/, the operator and the devices by
jobs like those that the chart and the GPU operator make.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import yaml

from kubenas.local.trainer import free_port
from tests.cluster.conditions import until
from tests.cluster.control_plane import REPOSITORY
from tests.cluster.prometheus_server import prometheus as started
from tests.dashboards.asked import ask
from tests.operator import hostile
from tests.operator.harness import Workspace, experiment, temporary_workspace

if TYPE_CHECKING:
    from tests.cluster.control_plane import ControlPlane

SEARCH = "digits"
PARAMETERS = [
    {"name": "units", "type": "ordinal", "numbers": [4, 8, 16, 32, 64, 128, 192]},
    {"name": "layers", "type": "int", "min": 1, "max": 3},
    {"name": "learningRate", "type": "float", "min": 0.0002, "max": 0.02, "scale": "log"},
]

# Candidates of a trial that does not train them.
BATCH = 8


@dataclass(frozen=True)
class Pace:
    """How long it takes.

    Attributes:
        trials: of the search.
        epochs: of each.
        epoch: seconds that one takes at least.
        interval: seconds between scrapes.
    """

    trials: int
    epochs: int
    epoch: float
    interval: float


@dataclass(frozen=True)
class Scraped:
    """What has been scraped: where it is, of which namespace and from when."""

    url: str
    namespace: str
    since: float

    @property
    def wanted(self) -> dict[str, str]:
        """What is chosen on dashboards."""
        return {"namespace": self.namespace, "experiment": SEARCH}


def search(pace: Pace) -> dict[str, Any]:
    """The experiment that the dashboards show."""
    return experiment(
        SEARCH,
        objectives=[
            {"metric": "accuracy", "goal": "maximize", "target": 0.999, "reference": 0},
            {"metric": "params", "goal": "minimize", "reference": 200_000},
            {"metric": "loss", "goal": "minimize", "limit": 3},
            {"metric": "board_ms", "goal": "minimize", "limit": 3, "measuredOn": {"nodeSelector": {"board": "any"}}},
        ],
        searchSpace={"parameters": PARAMETERS},
        stages=[
            {
                "name": "screen",
                "search": {"algorithm": "random", "seed": 1},
                "evaluation": {"method": "zero-cost", "proxies": ["l2_norm", "plain"]},
                "trials": {"max": -(-2 * pace.trials // BATCH), "candidatesPerTrial": BATCH},
                "keep": {"top": 2 * pace.trials},
            },
            {
                "name": "shared",
                "evaluation": {"method": "supernet"},
                "trials": {"candidatesPerTrial": BATCH},
                "keep": {"top": pace.trials},
            },
            {
                "name": "train",
                "search": {"algorithm": "nsga2", "seed": 1},
                "evaluation": {"epochs": pace.epochs},
                # Half of them are trained to the end, so that the other panels have all that they show.
                "fidelity": {"scheduler": "asha", "mode": "promotion", "eta": 2, "minEpochs": pace.epochs // 2},
            },
        ],
        storage={"volumeClaim": "artifacts"},
        metrics={"source": "Prometheus", "interval": "1s"},
        trials={"max": pace.trials, "parallelism": 3, "retries": 0, "maxFailures": pace.trials},
        budget={"gpuHours": 1, "cost": 10, "prices": {"default": 2.5}},
    )


@contextmanager
def prometheus(control_plane: ControlPlane, pace: Pace, targets: Mapping[str, int]) -> Iterator[str]:
    """The URL of a Prometheus that scrapes trials and other jobs on ports of this machine."""
    config = yaml.safe_load((REPOSITORY / "deploy/prometheus/prometheus.yaml").read_text())
    (trials,) = [job for job in config["scrape_configs"] if job["job_name"] == "kubenas-trials"]
    trials["kubernetes_sd_configs"][0]["kubeconfig_file"] = str(control_plane.kubeconfig)
    jobs = [trials]
    for name, port in targets.items():
        # As by the GPU operator's ServiceMonitor, a pod's own labels give way to those of the exporter's pod.
        own = {"namespace": "gpu-operator", "pod": "nvidia-dcgm-exporter-x7k2p"} if name == "dcgm-exporter" else {}
        jobs.append(
            {
                "job_name": name,
                "honor_labels": name == "kubenas-operator",
                "static_configs": [{"targets": [f"127.0.0.1:{port}"], "labels": own}],
            }
        )
    interval = f"{round(1000 * pace.interval)}ms"
    for job in jobs:
        job |= {"scrape_interval": interval, "scrape_timeout": interval}
    with started(control_plane, {"scrape_configs": jobs}, "dashboards-prometheus") as url:
        yield url


@contextmanager
def searched(control_plane: ControlPlane, pace: Pace, namespace: str | None = None) -> Iterator[Scraped]:
    """Search beside one experiment that is refused, one that cannot be read and one that goes on.

    Ready once Prometheus has all of the search.
    """
    ports = {name: free_port() for name in ("kubenas-operator", "dcgm-exporter")}
    since = time.time()
    control_plane.kubectl("apply", "--server-side", "--kustomize", str(REPOSITORY / "crds"))
    control_plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    with (
        temporary_workspace(control_plane, namespace) as workspace,
        prometheus(control_plane, pace, ports) as url,
        node(control_plane, pace, ports["dcgm-exporter"]),
    ):
        flags = [f"--port={ports['kubenas-operator']}", f"--prometheus-url={url}"]
        workspace.operator(*flags, fresh=True).start().wait_ready()
        workspace.apply(search(pace))
        workspace.apply(experiment("unreadable", trialTemplate={"spec": {"affinity": hostile.nested(150)}}))
        empty = {"parameters": PARAMETERS, "constraints": ["units > 1000"]}
        workspace.apply(experiment("refused", searchSpace=empty))
        few = {"max": 1000, "parallelism": 1, "retries": 0, "maxFailures": 1000}
        ongoing = {
            "stages": [],
            "objectives": [{"metric": "accuracy"}],
            "search": {"algorithm": "regularized-evolution"},
            "trials": few,
        }
        workspace.apply(experiment("ongoing", **{**search(pace)["spec"], **ongoing}))

        def succeeded() -> bool:
            failed = workspace.condition("Failed", SEARCH)
            assert failed["status"] != "True", failed["message"]
            return bool(workspace.condition("Succeeded", SEARCH)["status"] == "True")

        until(succeeded, 900)
        scraped = Scraped(url, workspace.namespace, since)
        wait_scraped(workspace, scraped)
        yield scraped


@contextmanager
def node(control_plane: ControlPlane, pace: Pace, devices: int) -> Iterator[None]:
    """Something that runs the trials' pods."""
    command = ["env", f"PYTHONPATH={REPOSITORY}", "OMP_NUM_THREADS=1", sys.executable, "-m", "tests.dashboards.node"]
    command += [f"--kubeconfig={control_plane.kubeconfig}", f"--epoch={pace.epoch}", f"--devices={devices}"]
    control_plane.start("dashboards-node", command)
    try:
        yield
    finally:
        control_plane.stop("dashboards-node")


def wait_scraped(workspace: Workspace, scraped: Scraped) -> None:
    """Wait until Prometheus has the last of the search, and a trial of the one that goes on."""

    def has(query: str) -> bool:
        answer = ask(scraped.url, "query", query=query)["result"]
        return bool(answer)

    where = f'namespace="{workspace.namespace}"'
    until(lambda: has(f'kubenas_experiment_phase{{{where}, experiment="{SEARCH}", phase="Succeeded"}} == 1'))
    until(lambda: has(f'kubenas_trial_step{{{where}, experiment="ongoing"}} >= 2'))


def best_trial(scraped: Scraped) -> str:
    """The best of the search's trials that were scraped: Prometheus finds pods every five seconds, some too late."""
    where = f'namespace="{scraped.namespace}", experiment="{SEARCH}"'
    seen = f"count_over_time(kubenas_trial_step{{{where}}}[1h]) > 3"
    found = ask(scraped.url, "query", query=f"kubenas_experiment_top_value{{{where}}} and on (trial) ({seen})")
    best = min((one["metric"] for one in found["result"]), key=lambda labels: int(labels["rank"]))
    trial: str = best["trial"]
    return trial
