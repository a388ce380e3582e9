"""The manifests of deploy/ on a real apiserver."""

from __future__ import annotations

import json
import os
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
}
LEASE_RIGHTS = {
    ("create", "leases.coordination.k8s.io"),
    ("get", "leases.coordination.k8s.io"),
    ("update", "leases.coordination.k8s.io"),
    ("patch", "leases.coordination.k8s.io"),
}


def rendered(control_plane: ControlPlane, folder: str) -> list[dict[str, Any]]:
    return list(yaml.safe_load_all(control_plane.kubectl("kustomize", str(DEPLOY / folder))))


@contextmanager
def applied(control_plane: ControlPlane, folder: str) -> Iterator[list[dict[str, Any]]]:
    """The objects of a folder of deploy/, on the cluster for a while; the CRDs stay."""
    objects = rendered(control_plane, folder)
    control_plane.kubectl("apply", "--server-side", "--filename=-", stdin=yaml.safe_dump_all(objects))
    yield objects
    mortal = [one for one in objects if one["kind"] != "CustomResourceDefinition"]
    control_plane.kubectl("delete", "--wait", "--ignore-not-found", "--filename=-", stdin=yaml.safe_dump_all(mortal))


@pytest.fixture(scope="module")
def operator(control_plane: ControlPlane) -> Iterator[list[dict[str, Any]]]:
    with applied(control_plane, "operator") as objects:
        yield objects


@pytest.fixture(scope="module")
def namespaced_operator(control_plane: ControlPlane) -> Iterator[list[dict[str, Any]]]:
    control_plane.kubectl("create", "namespace", "kubenas")
    control_plane.kubectl("label", "namespace", "kubenas", "pod-security.kubernetes.io/enforce=restricted")
    with applied(control_plane, "operator-namespaced") as objects:
        yield objects
    control_plane.kubectl("delete", "namespace", "kubenas")


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
    assert not [one["kind"] for one in namespaced_operator if one["kind"].startswith("Cluster")]
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
        ("edit", "delete", "nastrials", False),
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


@pytest.fixture
def policy(operator: list[dict[str, Any]], control_plane: ControlPlane, tmp_path: Path) -> dict[str, Any]:
    """The policy of deploy/egress in a kustomization of a user's own, as the apiserver takes it."""
    own = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(DEPLOY / "operator", tmp_path)],
        "components": [os.path.relpath(DEPLOY / "egress", tmp_path)],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(own))
    objects = list(yaml.safe_load_all(control_plane.kubectl("kustomize", str(tmp_path))))
    (policy,) = [one for one in objects if one["kind"] == "NetworkPolicy" and one not in operator]
    assert [one for one in objects if one is not policy] == operator
    command = ["create", "--dry-run=server", "--output=json", "--filename=-"]
    taken: dict[str, Any] = json.loads(control_plane.kubectl(*command, stdin=json.dumps(policy)))
    return taken


def test_the_egress_policy_is_the_operators(policy: dict[str, Any], operator: list[dict[str, Any]]) -> None:
    (deployment,) = [one for one in operator if one["kind"] == "Deployment"]
    assert policy["metadata"]["namespace"] == deployment["metadata"]["namespace"]
    labels = deployment["spec"]["template"]["metadata"]["labels"]
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert policy["spec"]["policyTypes"] == ["Egress"]


def test_the_egress_policy_lets_through_what_the_operator_needs(
    policy: dict[str, Any], operator: list[dict[str, Any]], prometheus: list[dict[str, Any]]
) -> None:
    """And nothing that users could name: no rule is without a destination and ports."""
    rules = policy["spec"]["egress"]
    assert all(rule["to"] and rule["ports"] for rule in rules)
    apiserver, dns, scraped, trials = rules
    assert [list(place) for place in apiserver["to"]] == [["ipBlock"]]
    assert {port["port"] for port in dns["ports"]} == {53}
    (deployment,) = [one for one in prometheus if one["kind"] == "Deployment"]
    (place,) = scraped["to"]
    assert place["namespaceSelector"]["matchLabels"] == {
        "kubernetes.io/metadata.name": deployment["metadata"]["namespace"]
    }
    assert place["podSelector"]["matchLabels"].items() <= deployment["spec"]["template"]["metadata"]["labels"].items()
    (container,) = next(one for one in operator if one["kind"] == "Deployment")["spec"]["template"]["spec"][
        "containers"
    ]
    (address,) = [one["value"] for one in container["env"] if one["name"] == "KUBENAS_PROMETHEUS_URL"]
    assert address == f"http://prometheus.{deployment['metadata']['namespace']}.svc:{scraped['ports'][0]['port']}"
    (place,) = trials["to"]
    assert place["podSelector"]["matchExpressions"] == [{"key": TRIAL_LABEL, "operator": "Exists"}]
    assert [port["port"] for port in trials["ports"]] == [METRICS_PORT]


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
    assert rule["from"] == [{"namespaceSelector": {"matchLabels": {"kubernetes.io/metadata.name": namespace}}}]
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
    """As README shows it: the operator's and Prometheus' by kustomize, the trials' by the variable."""
    trial = f"registry.example/kubenas-trial@{DIGEST}"
    variable = {"name": "KUBENAS_TRIAL_IMAGE", "value": trial}
    patch = {
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": {"name": "kubenas-operator"},
        "spec": {"template": {"spec": {"containers": [{"name": "operator", "env": [variable]}]}}},
    }
    own = {
        "apiVersion": "kustomize.config.k8s.io/v1beta1",
        "kind": "Kustomization",
        "resources": [os.path.relpath(DEPLOY / folder, tmp_path) for folder in ("operator", "prometheus")],
        "images": [
            {
                "name": "ghcr.io/kubenas/kubenas-operator",
                "newName": "registry.example/kubenas-operator",
                "digest": DIGEST,
            },
            {"name": "quay.io/prometheus/prometheus", "digest": DIGEST},
        ],
        "patches": [
            {"target": {"kind": "Deployment", "name": "kubenas-operator"}, "patch": yaml.safe_dump(patch)},
        ],
    }
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(own))
    objects = list(yaml.safe_load_all(control_plane.kubectl("kustomize", str(tmp_path))))
    images = {}
    for deployment in (one for one in objects if one["kind"] == "Deployment"):
        (container,) = deployment["spec"]["template"]["spec"]["containers"]
        images[deployment["metadata"]["name"]] = container["image"]
        environment = {one["name"]: one.get("value") for one in container.get("env", ())}
        assert environment.get("KUBENAS_TRIAL_IMAGE", trial) == trial
        spec = {"containers": [container], "volumes": deployment["spec"]["template"]["spec"]["volumes"]}
        document = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "one"}, "spec": spec}
        create = ["create", f"--namespace={namespace}", "--dry-run=server", "--filename=-"]
        control_plane.kubectl(*create, stdin=json.dumps(document))
    assert images == {
        "kubenas-operator": f"registry.example/kubenas-operator@{DIGEST}",
        "prometheus": f"quay.io/prometheus/prometheus@{DIGEST}",
    }


def test_prometheus_runs_with_the_scrape_jobs_of_the_file(
    prometheus: list[dict[str, Any]],
) -> None:
    (config,) = [one for one in prometheus if one["kind"] == "ConfigMap"]
    assert config["data"] == {"prometheus.yaml": (DEPLOY / "prometheus/prometheus.yaml").read_text()}


def scrape_jobs() -> list[dict[str, Any]]:
    jobs: list[dict[str, Any]] = yaml.safe_load((DEPLOY / "prometheus/prometheus.yaml").read_text())["scrape_configs"]
    return jobs


def test_the_pod_monitor_says_the_same_as_the_scrape_job() -> None:
    job, _ = scrape_jobs()
    monitor = yaml.safe_load((DEPLOY / "prometheus/podmonitor.yaml").read_text())["spec"]
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
    _, job = scrape_jobs()
    monitor = yaml.safe_load((DEPLOY / "prometheus/servicemonitor.yaml").read_text())["spec"]
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
