"""The manifests of deploy/ on a real apiserver."""

from __future__ import annotations

import json
import os
import re
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from pydantic.alias_generators import to_camel

from kubenas.cluster.names import TRIAL_LABEL
from kubenas.experiment.contract import METRICS_PORT
from kubenas.metrics.exposition import LARGEST, MOST_SAMPLES
from kubenas.metrics.prometheus import JOB

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.cluster.control_plane import ControlPlane

pytestmark = pytest.mark.control_plane

DEPLOY = Path(__file__).parents[2] / "deploy"
OPERATOR = "system:serviceaccount:{}:kubenas-operator"

# All that the operator may do, and where.
RIGHTS = {
    ("get", "nasexperiments.kubenas.io"),
    ("list", "nasexperiments.kubenas.io"),
    ("watch", "nasexperiments.kubenas.io"),
    ("delete", "nasexperiments.kubenas.io"),
    ("update", "nasexperiments.kubenas.io/status"),
    ("get", "nastrials.kubenas.io"),
    ("list", "nastrials.kubenas.io"),
    ("create", "nastrials.kubenas.io"),
    ("update", "nastrials.kubenas.io/status"),
    ("get", "pods"),
    ("list", "pods"),
    ("watch", "pods"),
    ("create", "pods"),
    ("delete", "pods"),
    ("create", "events"),
    ("get", "resourceclaims.resource.k8s.io"),
}
LEASE_RIGHTS = {
    ("create", "leases.coordination.k8s.io"),
    ("get", "leases.coordination.k8s.io"),
    ("update", "leases.coordination.k8s.io"),
    ("patch", "leases.coordination.k8s.io"),
}


def rendered(control_plane: ControlPlane, path: str) -> list[dict[str, Any]]:
    """The objects of a file of deploy/, or of a folder with a kustomization."""
    place = DEPLOY / path
    return list(
        yaml.safe_load_all(place.read_text() if place.is_file() else control_plane.kubectl("kustomize", str(place)))
    )


@contextmanager
def applied(control_plane: ControlPlane, path: str) -> Iterator[list[dict[str, Any]]]:
    """What a file or folder of deploy/ holds, on the cluster for a while; the CRDs stay."""
    objects = rendered(control_plane, path)
    control_plane.kubectl("apply", "--server-side", "--filename=-", stdin=yaml.safe_dump_all(objects))
    yield objects
    mortal = [one for one in objects if one["kind"] != "CustomResourceDefinition"]
    control_plane.kubectl("delete", "--wait", "--ignore-not-found", "--filename=-", stdin=yaml.safe_dump_all(mortal))


@pytest.fixture(scope="module")
def operator(control_plane: ControlPlane) -> Iterator[list[dict[str, Any]]]:
    with applied(control_plane, "install.yaml") as objects:
        yield objects


@pytest.fixture(scope="module")
def namespaced_operator(control_plane: ControlPlane) -> Iterator[list[dict[str, Any]]]:
    with applied(control_plane, "install-namespaced.yaml") as objects:
        yield objects


@pytest.fixture(scope="module")
def prometheus(control_plane: ControlPlane) -> Iterator[list[dict[str, Any]]]:
    with applied(control_plane, "prometheus") as objects:
        yield objects


def rights(control_plane: ControlPlane, user: str, namespace: str) -> set[tuple[str, str]]:
    """(verb, resource) of all that a service account may do in a namespace beyond what every other may."""
    return _rights(control_plane, user, namespace) - _rights(control_plane, OPERATOR.format("default"), namespace)


def _rights(control_plane: ControlPlane, user: str, namespace: str) -> set[tuple[str, str]]:
    review = {
        "apiVersion": "authorization.k8s.io/v1",
        "kind": "SelfSubjectRulesReview",
        "spec": {"namespace": namespace},
    }
    answer = json.loads(
        control_plane.kubectl(
            "create", "--validate=false", f"--as={user}", "--output=json", "--filename=-", stdin=json.dumps(review)
        )
    )
    return {
        (verb, f"{resource.partition('/')[0]}.{group}{_subresource(resource)}" if group else resource)
        for rule in answer["status"]["resourceRules"]
        for group in rule["apiGroups"]
        for resource in rule["resources"]
        for verb in rule["verbs"]
    }


def _subresource(resource: str) -> str:
    _, slash, rest = resource.partition("/")
    return slash + rest


@pytest.mark.usefixtures("operator")
def test_the_operator_may_do_what_it_must_and_nothing_else(control_plane: ControlPlane) -> None:
    assert rights(control_plane, OPERATOR.format("kubenas-system"), "default") == RIGHTS
    assert rights(control_plane, OPERATOR.format("kubenas-system"), "kubenas-system") == RIGHTS | LEASE_RIGHTS


def test_the_namespaced_operator_may_do_so_in_its_namespace_only(
    namespaced_operator: list[dict[str, Any]], control_plane: ControlPlane
) -> None:
    assert rights(control_plane, OPERATOR.format("kubenas"), "kubenas") == RIGHTS | LEASE_RIGHTS
    assert rights(control_plane, OPERATOR.format("kubenas"), "default") == set()
    assert not [one for one in namespaced_operator if one["kind"] == "ClusterRoleBinding"]
    (deployment,) = [one for one in namespaced_operator if one["kind"] == "Deployment"]
    environment = deployment["spec"]["template"]["spec"]["containers"][0]["env"]
    own = {"name": "KUBENAS_NAMESPACE", "valueFrom": {"fieldRef": {"fieldPath": "metadata.namespace"}}}
    assert own in environment
    assert len(environment) > 1


@pytest.mark.usefixtures("prometheus")
def test_prometheus_may_find_pods(control_plane: ControlPlane) -> None:
    user = "system:serviceaccount:monitoring:prometheus"
    assert rights(control_plane, user, "default") == {("list", "pods"), ("watch", "pods")}


@pytest.mark.parametrize("folder", ["operator", "namespaced_operator", "prometheus"])
def test_pods_meet_the_restricted_profile(
    folder: str, request: pytest.FixtureRequest, control_plane: ControlPlane, namespace: str
) -> None:
    (deployment,) = [one for one in request.getfixturevalue(folder) if one["kind"] == "Deployment"]
    control_plane.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "one"},
        "spec": {**deployment["spec"]["template"]["spec"], "serviceAccountName": "default"},
    }
    control_plane.kubectl(
        "create", f"--namespace={namespace}", "--dry-run=server", "--filename=-", stdin=json.dumps(pod)
    )


@pytest.mark.usefixtures("operator")
@pytest.mark.parametrize(
    ("role", "verb", "resource", "allowed"),
    [
        ("edit", "create", "nasexperiments", True),
        ("edit", "get", "nasexperiments", True),
        ("edit", "patch", "nasexperiments/scale", True),
        ("edit", "patch", "nasexperiments/status", False),
        ("edit", "get", "nastrials", True),
        ("edit", "delete", "nastrials", True),
        ("edit", "create", "nastrials", False),
        ("edit", "patch", "nastrials/status", False),
        ("admin", "create", "nasexperiments", True),
        ("view", "watch", "nasexperiments", True),
        ("view", "list", "nastrials", True),
        ("view", "delete", "nasexperiments", False),
    ],
)
def test_users_get_their_rights_with_the_standard_roles(
    role: str, verb: str, resource: str, allowed: bool, control_plane: ControlPlane
) -> None:
    """The controller manager adds the rules to the standard roles a moment after they are applied."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        rules = _rules_on_kubenas(control_plane, role)
        found = any(resource in rule["resources"] and verb in rule["verbs"] for rule in rules)
        if found or (rules and not allowed):
            break
        time.sleep(0.1)
    assert found == allowed, rules


def _rules_on_kubenas(control_plane: ControlPlane, role: str) -> list[dict[str, Any]]:
    rules = json.loads(control_plane.kubectl("get", "clusterrole", role, "--output=json"))["rules"] or []
    return [rule for rule in rules if "kubenas.io" in rule.get("apiGroups", ())]


def ingress(objects: list[dict[str, Any]]) -> tuple[dict[str, Any], dict[str, Any]]:
    """The policy on what reaches the pods of a deployment, and the deployment, which it is checked to select."""
    (policy,) = [one for one in objects if one["kind"] == "NetworkPolicy"]
    (deployment,) = [one for one in objects if one["kind"] == "Deployment"]
    assert policy["metadata"]["namespace"] == deployment["metadata"]["namespace"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert policy["spec"]["policyTypes"] == ["Ingress"]
    return policy, deployment


@pytest.mark.parametrize("folder", ["operator", "namespaced_operator"])
def test_only_the_monitoring_reaches_the_operator(
    folder: str, request: pytest.FixtureRequest, prometheus: list[dict[str, Any]]
) -> None:
    policy, deployment = ingress(request.getfixturevalue(folder))
    (rule,) = policy["spec"]["ingress"]
    _, monitoring = ingress(prometheus)
    namespace = monitoring["metadata"]["namespace"]
    expression = {"key": "kubernetes.io/metadata.name", "operator": "In", "values": [namespace]}
    assert rule["from"] == [{"namespaceSelector": {"matchExpressions": [expression]}}]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert [port["port"] for port in rule["ports"]] == [container["ports"][0]["containerPort"]]


def test_only_the_operator_reaches_prometheus(operator: list[dict[str, Any]], prometheus: list[dict[str, Any]]) -> None:
    policy, deployment = ingress(prometheus)
    _, asking = ingress(operator)
    (rule,) = policy["spec"]["ingress"]
    (place,) = rule["from"]
    assert place["namespaceSelector"]["matchLabels"] == {"kubernetes.io/metadata.name": asking["metadata"]["namespace"]}
    (expression,) = place["podSelector"]["matchExpressions"]
    assert asking["spec"]["template"]["metadata"]["labels"][expression["key"]] in expression["values"]
    assert "matchLabels" not in place["podSelector"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert [port["port"] for port in rule["ports"]] == [container["ports"][0]["containerPort"]]


def test_the_policy_for_trials_lets_through_their_metrics_and_nothing_out_but_names(
    operator: list[dict[str, Any]], prometheus: list[dict[str, Any]], control_plane: ControlPlane, namespace: str
) -> None:
    command = ["create", f"--namespace={namespace}", "--dry-run=server", "--output=json"]
    policy = json.loads(control_plane.kubectl(*command, f"--filename={DEPLOY / 'trials/network_policy.yaml'}"))
    spec = policy["spec"]
    assert spec["podSelector"] == {"matchExpressions": [{"key": TRIAL_LABEL, "operator": "Exists"}]}
    assert set(spec["policyTypes"]) == {"Ingress", "Egress"}
    (rule,) = spec["ingress"]
    ((place,),) = (one["namespaceSelector"]["matchExpressions"] for one in rule["from"])
    reading = {one["metadata"]["namespace"] for one in (*operator, *prometheus) if one["kind"] == "Deployment"}
    assert set(place["values"]) == reading
    assert [port["port"] for port in rule["ports"]] == [METRICS_PORT]
    (dns,) = spec["egress"]
    assert {port["port"] for port in dns["ports"]} == {53}


DIGEST = "sha256:" + "0123456789abcdef" * 4


def test_images_can_be_named_by_digest(control_plane: ControlPlane, tmp_path: Path, namespace: str) -> None:
    """As docs/security.md shows it for those who install without Helm."""
    own = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(DEPLOY / path, tmp_path) for path in ("install.yaml", "prometheus")],
        "images": [
            {
                "name": "ghcr.io/kubenas/kubenas-operator",
                "newName": "registry.example/kubenas-operator",
                "digest": DIGEST,
            },
            {"name": "quay.io/prometheus/prometheus", "digest": DIGEST},
        ],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(own))
    kustomize = ["kustomize", "--load-restrictor=LoadRestrictionsNone", str(tmp_path)]
    objects = list(yaml.safe_load_all(control_plane.kubectl(*kustomize)))
    images = {}
    for deployment in (one for one in objects if one["kind"] == "Deployment"):
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        images[deployment["metadata"]["name"]] = container["image"]
        spec = {"containers": [container], "volumes": deployment["spec"]["template"]["spec"]["volumes"]}
        document = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": spec}
        create = ["create", f"--namespace={namespace}", "--dry-run=server", "--filename=-"]
        control_plane.kubectl(*create, stdin=json.dumps(document))
    assert images == {
        "kubenas-operator": f"registry.example/kubenas-operator@{DIGEST}",
        "prometheus": f"quay.io/prometheus/prometheus@{DIGEST}",
    }


def test_the_kustomization_of_the_docs_sets_images_and_prometheus(control_plane: ControlPlane, tmp_path: Path) -> None:
    text = (DEPLOY.parent / "docs/install.md").read_text()
    (own,) = re.findall(r"```yaml\n(# kustomization.yaml\n(?:.|\n)*?)```", text)
    path = os.path.relpath(DEPLOY / "install.yaml", tmp_path)
    (tmp_path / "kustomization.yaml").write_text(own.replace("deploy/install.yaml", path))
    kustomize = ["kustomize", "--load-restrictor=LoadRestrictionsNone", str(tmp_path)]
    objects = list(yaml.safe_load_all(control_plane.kubectl(*kustomize)))
    (deployment,) = [one for one in objects if one["kind"] == "Deployment"]
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    assert container["image"] == "REGISTRY/kubenas-operator:v0.1.0"
    environment = {one["name"]: one.get("value") for one in container["env"]}
    assert environment["KUBENAS_TRIAL_IMAGE"] == "REGISTRY/kubenas-trial:v0.1.0"
    assert environment["KUBENAS_PROMETHEUS_URL"] == "http://prometheus.monitoring.svc:9090"
    assert environment["KUBENAS_LOG_FORMAT"] == "json"


def test_prometheus_runs_with_the_scrape_jobs_and_rules_of_the_files(prometheus: list[dict[str, Any]]) -> None:
    (config,) = [one for one in prometheus if one["kind"] == "ConfigMap"]
    names = ("prometheus.yaml", "rules.yaml")
    assert config["data"] == {name: (DEPLOY / "prometheus" / name).read_text() for name in names}


def scrape_job(name: str) -> dict[str, Any]:
    """A job of the Prometheus in deploy/prometheus."""
    jobs = yaml.safe_load((DEPLOY / "prometheus/prometheus.yaml").read_text())["scrape_configs"]
    (job,) = [one for one in jobs if one["job_name"] == name]
    return dict(job)


def monitoring() -> list[dict[str, Any]]:
    return [one for one in yaml.safe_load_all((DEPLOY / "monitoring.yaml").read_text()) if one]


def test_the_pod_monitor_says_the_same_as_the_scrape_job() -> None:
    job = scrape_job("kubenas-trials")
    (monitor,) = [one["spec"] for one in monitoring() if one["kind"] == "PodMonitor"]
    (endpoint,) = monitor["podMetricsEndpoints"]
    assert (endpoint["interval"], endpoint["scrapeTimeout"]) == (job["scrape_interval"], job["scrape_timeout"])
    assert (endpoint["port"], "keep") == (job["relabel_configs"][0]["regex"], job["relabel_configs"][0]["action"])
    assert monitor["selector"]["matchExpressions"] == [
        {"key": job["kubernetes_sd_configs"][0]["selectors"][0]["label"], "operator": "Exists"}
    ]
    assert job["body_size_limit"] == f"{LARGEST // 1024}KB"
    assert job["sample_limit"] == MOST_SAMPLES
    for limit in ("body_size", "sample", "label", "label_name_length", "label_value_length"):
        assert monitor[f"{to_camel(limit)}Limit"] == job[f"{limit}_limit"]
    # What the Prometheus operator does by itself, and the job's name, which it would make of the monitor's.
    by_itself = ({"metrics"}, {"Succeeded|Failed"}, {"namespace"}, {"pod"})
    assert endpoint["relabelings"] == [
        {"targetLabel": "job", "replacement": job["job_name"]},
        *(
            {to_camel(key): value for key, value in one.items()}
            for one in job["relabel_configs"]
            if {one.get("target_label", one.get("regex"))} not in by_itself
        ),
    ]
    assert job["job_name"] == JOB
    (kept,) = endpoint["metricRelabelings"]
    (wanted,) = job["metric_relabel_configs"]
    assert (kept["sourceLabels"], kept["regex"], kept["action"]) == (
        wanted["source_labels"],
        wanted["regex"],
        wanted["action"],
    )


def test_the_operator_alone_is_scraped_with_its_own_labels_of_namespaces(operator: list[dict[str, Any]]) -> None:
    """Both by the scrape job, and by the monitor of the Service."""
    job = scrape_job("kubenas-operator")
    (monitor,) = [one["spec"] for one in monitoring() if one["kind"] == "ServiceMonitor"]
    (endpoint,) = monitor["endpoints"]
    assert job["honor_labels"]
    assert endpoint["honorLabels"]
    (deployment,) = [one for one in operator if one["kind"] == "Deployment"]
    (service,) = [one for one in operator if one["kind"] == "Service"]
    (discovery,) = job["kubernetes_sd_configs"]
    place = [deployment["metadata"]["namespace"]]
    assert (discovery["namespaces"]["names"], monitor["namespaceSelector"]) == (place, {"matchNames": place})
    key, _, value = discovery["selectors"][0]["label"].partition("=")
    assert monitor["selector"]["matchLabels"] == {key: value}
    for labelled in (deployment["spec"]["template"], service):
        assert labelled["metadata"]["labels"][key] == value
    (container,) = deployment["spec"]["template"]["spec"]["containers"]
    (port,) = service["spec"]["ports"]
    assert port["name"] == endpoint["port"]
    assert [port["targetPort"]] == [one["name"] for one in container["ports"]] == [job["relabel_configs"][0]["regex"]]
    assert endpoint["relabelings"] == [{"targetLabel": "job", "replacement": job["job_name"]}]
    assert (endpoint["interval"], job["job_name"]) == (job["scrape_interval"], "kubenas-operator")
