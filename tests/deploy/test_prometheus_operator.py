"""The chart's monitors and rules, as the real Prometheus operator turns them into a configuration of Prometheus."""

from __future__ import annotations

import base64
import gzip
import json
import re
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from tests.cluster import programs
from tests.cluster.charts import CHART, Release
from tests.cluster.conditions import until
from tests.cluster.control_plane import REPOSITORY
from tests.cluster.prometheus_server import prometheus as started
from tests.deploy.test_scraping import CURVE, POD, TRIAL_LABELS, ask, curves, operator_metrics, run_operator, run_pod

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.control_plane import ControlPlane

pytestmark = pytest.mark.control_plane

MONITORING = "monitoring"
# Endpoints of a Service cannot be on the loopback, where all that plays a pod here listens: an address for documents.
ADDRESS = "192.0.2.1"
LABELS = {"release": "kube-prometheus-stack"}
# As kube-prometheus-stack makes it: of all namespaces, what has the label of its release.
PROMETHEUS: dict[str, Any] = {
    "apiVersion": "monitoring.coreos.com/v1",
    "kind": "Prometheus",
    "metadata": {"name": "stack", "namespace": MONITORING},
    "spec": {
        f"{kind}{part}": {"matchLabels": LABELS} if part == "Selector" else {}
        for kind in ("podMonitor", "serviceMonitor", "rule")
        for part in ("Selector", "NamespaceSelector")
    },
}


def enforced() -> dict[str, Any]:
    """What docs/security.md says for a Prometheus that takes monitors of tenants."""
    text = (REPOSITORY / "docs/security.md").read_text()
    (block,) = re.findall(r"```yaml\n([^`]*enforcedNamespaceLabel[^`]*)```", text)
    found: dict[str, Any] = yaml.safe_load(block)
    return found


@pytest.fixture(params=[{}, enforced()], ids=["as it is", "with an enforced namespace"])
def monitored(request: pytest.FixtureRequest, empty_control_plane: ControlPlane) -> ControlPlane:
    """A control plane with the Prometheus operator, one Prometheus, and the release that README installs."""
    control_plane = empty_control_plane
    control_plane.kubectl("apply", "--server-side", f"--filename={programs.prometheus_operator() / 'crds'}")
    control_plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    for namespace in (MONITORING, "kubenas-system"):
        control_plane.kubectl("create", "namespace", namespace)
    identity = control_plane.identity("prometheus-operator", ["system:masters"])
    authority = control_plane.folder / "identities" / "ca.crt"
    control_plane.start(
        "prometheus-operator",
        [
            str(programs.prometheus_operator() / "prometheus-operator"),
            f"-apiserver={control_plane.server}",
            f"-ca-file={authority}",
            f"-cert-file={identity.with_suffix('.crt')}",
            f"-key-file={identity.with_suffix('.key')}",
            "-web.listen-address=127.0.0.1:0",
        ],
    )
    prometheus = {**PROMETHEUS, "spec": {**PROMETHEUS["spec"], **request.param}}
    control_plane.kubectl("apply", "--server-side", "--filename=-", stdin=json.dumps(prometheus))
    Release(control_plane, "kubenas-system").install(
        f"--set=monitoring.labels.release={LABELS['release']}",
        *(f"--set=monitoring.{part}.enabled=true" for part in ("podMonitor", "serviceMonitor", "rules", "dashboards")),
    )
    return control_plane


@pytest.fixture
def configuration(monitored: ControlPlane) -> dict[str, Any]:
    """What the Prometheus operator makes of the monitors."""

    def written() -> dict[str, Any] | None:
        secret = monitored.kubectl(
            "get", "secret", "prometheus-stack", f"--namespace={MONITORING}", "--ignore-not-found", "--output=json"
        )
        if not secret:
            return None
        packed = json.loads(secret)["data"]["prometheus.yaml.gz"]
        # The pod's config reloader puts the shard's number in.
        text = gzip.decompress(base64.b64decode(packed)).decode().replace("$(SHARD)", "0")
        found: dict[str, Any] = yaml.safe_load(text)
        return found if len(found["scrape_configs"]) == 2 else None

    config: dict[str, Any] = until(written)
    return config


@pytest.fixture
def prometheus(configuration: dict[str, Any], monitored: ControlPlane) -> Iterator[str]:
    """The URL of a Prometheus with these scrape jobs."""
    jobs = configuration["scrape_configs"]
    for job in jobs:
        (discovery,) = job["kubernetes_sd_configs"]
        discovery["kubeconfig_file"] = str(monitored.kubeconfig)
        here = {"source_labels": ["__address__"], "regex": f"{ADDRESS}(:.+)", "replacement": "127.0.0.1$1"}
        job["relabel_configs"].append({**here, "target_label": "__address__"})
    with started(monitored, {"scrape_configs": jobs}) as url:
        yield url


def test_from_the_pod_by_the_monitors_to_the_curve(monitored: ControlPlane, trainer: int, prometheus: str) -> None:
    """From the operator's Service to its metrics too, and from the rules' file to the file that Prometheus reads."""
    monitored.kubectl("wait", "--for=condition=Established", "crd/nastrials.kubenas.io", "--timeout=60s")
    run_pod(monitored, "default", POD, TRIAL_LABELS, trainer)
    run_pod(monitored, "default", "other", {"app": "other"}, trainer)
    assert until(lambda: curves(prometheus, "default")) == CURVE
    names = {one for one in ask(prometheus, "label/__name__/values") if not re.match(r"up$|scrape_", one)}
    assert names == {"kubenas_trial_value", "kubenas_trial_step"}

    with operator_metrics() as port:
        # Pods without a node are no endpoints.
        node = {"apiVersion": "v1", "kind": "Node", "metadata": {"name": "machine"}}
        monitored.kubectl("create", "--filename=-", stdin=json.dumps(node))
        run_operator(monitored, "kubenas-system", port, ADDRESS, "machine")
        (leader,) = until(lambda: ask(prometheus, "query", query="kubenas_leader")["result"])
        assert leader["metric"]["job"] == "kubenas-operator"
        assert (leader["metric"]["namespace"], leader["metric"]["pod"]) == ("kubenas-system", "operator-0")
        (front,) = ask(prometheus, "query", query="kubenas_experiment_front_size")["result"]
        assert (front["metric"]["namespace"], front["metric"]["experiment"]) == ("team", "digits")

    def rules() -> str:
        return monitored.kubectl(
            "get",
            "configmap",
            "prometheus-stack-rulefiles-0",
            f"--namespace={MONITORING}",
            "--output=json",
            check=False,
        )

    (text,) = until(lambda: json.loads(rules() or "{}").get("data", {})).values()
    written = yaml.safe_load(text)["groups"]
    of_the_file = yaml.safe_load((CHART / "files/rules.yaml").read_text())["groups"]
    assert [group["name"] for group in written] == [group["name"] for group in of_the_file]
    alerts = [rule["alert"] for group in of_the_file for rule in group["rules"] if "alert" in rule]
    assert [rule["alert"] for group in written for rule in group["rules"] if "alert" in rule] == alerts
    job = 'job="kubenas-operator"'
    narrowed = f'{job}, namespace="kubenas-system"'
    expressions = [rule["expr"].replace(job, narrowed) for group in of_the_file for rule in group["rules"]]
    assert [rule["expr"] for group in written for rule in group["rules"]] == expressions
