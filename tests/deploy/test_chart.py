"""The chart: what it renders, as the apiserver takes it, and which values it refuses."""

from __future__ import annotations

import json
import re
import shlex
import subprocess
import tomllib
from typing import TYPE_CHECKING, Any

import pytest
import yaml

from kubenas import __version__
from kubenas.cluster.names import TRIAL_LABEL
from kubenas.experiment.contract import METRICS_PORT
from tests.cluster import programs
from tests.cluster.charts import CHART
from tests.cluster.control_plane import REPOSITORY, ControlPlane
from tests.deploy.render import helm

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

pytestmark = pytest.mark.control_plane

NAMESPACE = "kubenas-system"
VALUES = sorted((CHART / "ci").glob("*-values.yaml"))
DIGEST = "sha256:" + "0123456789abcdef" * 4
each_values_file = pytest.mark.parametrize("values", VALUES, ids=lambda path: path.stem)


def rendered(*arguments: str, release: str = "kubenas", namespace: str = NAMESPACE) -> list[dict[str, Any]]:
    text = helm("template", release, str(CHART), f"--namespace={namespace}", *arguments)
    return [one for one in yaml.safe_load_all(text) if one]


def the(kind: str, objects: list[dict[str, Any]], name: str | None = None) -> dict[str, Any]:
    (found,) = [one for one in objects if one["kind"] == kind and name in (None, one["metadata"]["name"])]
    return found


def paths(tree: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """The paths of a tree's leaves; an empty object is one."""
    if isinstance(tree, dict) and tree:
        for key, below in tree.items():
            yield from paths(below, (*path, key))
    else:
        yield path


def values_of_the_chart() -> dict[str, Any]:
    values: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
    return values


@pytest.fixture(scope="module")
def kinds(control_plane: ControlPlane) -> ControlPlane:
    """An apiserver that knows the kinds of KubeNAS and of the Prometheus operator."""
    names = ("podmonitors", "servicemonitors", "prometheusrules")
    files = [programs.prometheus_operator() / "crds" / f"monitoring.coreos.com_{name}.yaml" for name in names]
    flags = [f"--filename={path}" for path in (*files, REPOSITORY / "deploy" / "install.yaml")]
    control_plane.kubectl("apply", "--server-side", "--force-conflicts", *flags)
    control_plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    return control_plane


@each_values_file
def test_helm_finds_no_mistake(values: Path) -> None:
    assert "0 chart(s) failed" in helm("lint", "--strict", str(CHART), f"--values={values}")


@each_values_file
def test_the_apiserver_takes_what_is_rendered(values: Path, kinds: ControlPlane) -> None:
    objects = rendered(f"--values={values}")
    namespaces = {one["metadata"].get("namespace") for one in objects} - {None}
    made = [{"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name}} for name in namespaces]
    kinds.kubectl("apply", "--server-side", "--filename=-", stdin=yaml.safe_dump_all(made))
    command = ["apply", "--server-side", "--force-conflicts", "--dry-run=server", "--validate=strict", "--filename=-"]
    kinds.kubectl(*command, stdin=yaml.safe_dump_all(objects))


@each_values_file
@pytest.mark.parametrize("name", ["1234", "null", "yes"])
def test_names_of_release_and_namespace_stay_strings(name: str, values: Path) -> None:
    """Such as YAML would read as something else."""
    objects = rendered(f"--values={values}", release=name, namespace=name)
    texts = {one["metadata"]["labels"]["app.kubernetes.io/instance"] for one in objects}
    texts |= {one["metadata"]["namespace"] for one in objects if "namespace" in one["metadata"]}
    texts |= {subject["namespace"] for one in objects for subject in one.get("subjects", ())}
    monitors = [one["spec"]["namespaceSelector"] for one in objects if one["kind"] == "ServiceMonitor"]
    texts |= {text for selector in monitors for text in selector["matchNames"]}
    assert name in texts
    assert all(isinstance(text, str) for text in texts)


def test_every_value_is_tried() -> None:
    tried = {path for file in VALUES for path in paths(yaml.safe_load(file.read_text()))}
    untried = {path for path in paths(values_of_the_chart()) if not any(one[: len(path)] == path for one in tried)}
    # What only another value stands in for, and what is rendered with its default.
    assert untried == {("image", "tag"), ("trialImage", "digest")}


@each_values_file
def test_pods_meet_the_restricted_profile(values: Path, control_plane: ControlPlane, namespace: str) -> None:
    control_plane.kubectl("label", "namespace", namespace, "pod-security.kubernetes.io/enforce=restricted")
    template = the("Deployment", rendered(f"--values={values}"))["spec"]["template"]
    pod = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": "one", "labels": template["metadata"]["labels"]},
        "spec": {**template["spec"], "serviceAccountName": "default"},
    }
    control_plane.kubectl(
        "create", f"--namespace={namespace}", "--dry-run=server", "--filename=-", stdin=json.dumps(pod)
    )


@each_values_file
def test_no_rule_has_a_wildcard(values: Path) -> None:
    rules = [rule for one in rendered(f"--values={values}") for rule in one.get("rules") or () if "verbs" in rule]
    assert rules
    assert not [rule for rule in rules if "*" in (*rule["apiGroups"], *rule["resources"], *rule["verbs"])]


@pytest.mark.parametrize(
    ("wrong", "named"),
    [
        ("replica=3", "'replica'"),
        ("image.digset=sha256:1", "'digset'"),
        ("image.digest=0123", "/image/digest"),
        ("image.pullPolicy=Sometimes", "/image/pullPolicy"),
        ("image.repository=registry.example/kubenas-operator:v1", "/image/repository"),
        ("image.repository=https://registry.example/kubenas-operator", "/image/repository"),
        ("trialImage.repository=registry.example/KubeNAS", "/trialImage/repository"),
        ("prometheus.url=prometheus:9090", "/prometheus/url"),
        ("prometheus.url=http://prometheus:9090 /", "/prometheus/url"),
        ("replicas=0", "/replicas"),
        ("replicas=two", "/replicas"),
        ("watchNamespace=Team_A", "/watchNamespace"),
        ("logFormat=xml", "/logFormat"),
        ("crds.enable=false", "'enable'"),
        ("policies.enabled=maybe", "/policies/enabled"),
        ("networkPolicy.metricsFrom={}", "/networkPolicy/metricsFrom"),
        ("networkPolicy.egress.enabled=true", "/networkPolicy/egress/apiServer"),
        ("networkPolicy.egress.apiServer={192.0.2.1}", "/networkPolicy/egress/apiServer/0"),
        ("monitoring.podMonitors.enabled=true", "'podMonitors'"),
        ("monitoring.serviceMonitor.interval=often", "/monitoring/serviceMonitor/interval"),
        ("extraEnv[0].value=1", "'name'"),
        ("resources.limit.memory=1Gi", "'limit'"),
    ],
)
def test_a_wrong_value_is_refused_by_name(wrong: str, named: str) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refused:
        rendered("--set", wrong)
    assert named in refused.value.stderr


def test_the_schema_knows_the_values_and_no_others() -> None:
    def described(schema: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        for key, below in schema.get("properties", {}).items():
            yield (*path, key)
            yield from described(below, (*path, key))

    def there(tree: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
        for key, below in tree.items():
            yield (*path, key)
            if isinstance(below, dict):
                yield from there(below, (*path, key))

    schema = json.loads((CHART / "values.schema.json").read_text())
    known, values = set(described(schema)), set(there(values_of_the_chart()))
    of_kubernetes = {("affinity",), ("resources",)}
    assert {path for path in values if path[:1] not in of_kubernetes} <= known
    assert {path for path in known - values if path[:1] not in of_kubernetes} == {("global",)}


def test_the_chart_is_of_this_version() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]["version"] == __version__
    assert (chart["version"], chart["appVersion"]) == (__version__, f"v{__version__}")


def annotation(name: str) -> list[dict[str, Any]]:
    """What the chart tells Artifact Hub."""
    annotations = yaml.safe_load((CHART / "Chart.yaml").read_text())["annotations"]
    found: list[dict[str, Any]] = yaml.safe_load(annotations[f"artifacthub.io/{name}"])
    return found


def test_artifact_hub_is_told_what_the_chart_holds(kinds: ControlPlane, namespace: str) -> None:
    crds = [one for one in rendered() if one["kind"] == "CustomResourceDefinition"]
    assert {(one["kind"], one["version"], one["name"]) for one in annotation("crds")} == {
        (one["spec"]["names"]["kind"], one["spec"]["versions"][0]["name"], one["metadata"]["name"]) for one in crds
    }
    images = {operator_container()["image"], environment()["KUBENAS_TRIAL_IMAGE"]}
    assert {one["image"] for one in annotation("images")} == images
    command = ["create", "--dry-run=server", "--validate=strict", f"--namespace={namespace}", "--filename=-"]
    kinds.kubectl(*command, stdin=yaml.safe_dump_all(annotation("crdsExamples")))


def operator_container(*arguments: str) -> dict[str, Any]:
    (container,) = the("Deployment", rendered(*arguments))["spec"]["template"]["spec"]["containers"]
    return dict(container)


def environment(*arguments: str) -> dict[str, Any]:
    return {one["name"]: one.get("value", one.get("valueFrom")) for one in operator_container(*arguments)["env"]}


def test_a_digest_goes_before_a_tag() -> None:
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert operator_container()["image"] == f"ghcr.io/kubenas/kubenas-operator:{chart['appVersion']}"
    assert operator_container("--set=image.tag=v9")["image"] == "ghcr.io/kubenas/kubenas-operator:v9"
    by_digest = f"--set=image.tag=v9,image.digest={DIGEST},trialImage.digest={DIGEST}"
    assert operator_container(by_digest)["image"] == f"ghcr.io/kubenas/kubenas-operator@{DIGEST}"
    assert environment(by_digest)["KUBENAS_TRIAL_IMAGE"] == f"ghcr.io/kubenas/kubenas-trial@{DIGEST}"


def test_one_namespace_gets_a_role_and_no_more() -> None:
    objects = rendered("--set=watchNamespace=team-a,crds.enabled=false,policies.enabled=false,userRoles.enabled=false")
    assert not [one for one in objects if "namespace" not in one["metadata"]]
    roles = {one["metadata"]["namespace"] for one in objects if one["metadata"]["name"] == "kubenas-operator"}
    assert roles == {NAMESPACE, "team-a"}
    assert the("RoleBinding", objects, "kubenas-operator")["metadata"]["namespace"] == "team-a"
    assert environment("--set=watchNamespace=team-a")["KUBENAS_NAMESPACE"] == "team-a"
    assert "KUBENAS_NAMESPACE" not in environment()


def test_crds_are_kept_unless_they_are_to_go() -> None:
    def kept(*arguments: str) -> list[bool]:
        crds = [one for one in rendered(*arguments) if one["kind"] == "CustomResourceDefinition"]
        return [one["metadata"].get("annotations", {}).get("helm.sh/resource-policy") == "keep" for one in crds]

    assert kept() == [True, True]
    assert kept("--set=crds.keep=false") == [False, False]
    assert kept("--set=crds.enabled=false") == []


def egress(*arguments: str) -> dict[str, Any]:
    switch = "--set=networkPolicy.egress.enabled=true,networkPolicy.egress.apiServer={192.0.2.1/32}"
    return the("NetworkPolicy", rendered(switch, *arguments), "kubenas-operator-egress")


def test_the_egress_policy_is_the_operators() -> None:
    policy = egress()
    labels = the("Deployment", rendered())["spec"]["template"]["metadata"]["labels"]
    assert policy["metadata"]["namespace"] == NAMESPACE
    assert policy["spec"]["podSelector"]["matchLabels"].items() <= labels.items()
    assert policy["spec"]["policyTypes"] == ["Egress"]


def test_the_egress_policy_lets_through_what_the_operator_needs() -> None:
    """And nothing that users could name: no rule is without a destination and ports."""
    rules = egress()["spec"]["egress"]
    assert all(rule["to"] and rule["ports"] for rule in rules)
    apiserver, dns, scraped, trials = rules
    assert apiserver["to"] == [{"ipBlock": {"cidr": "192.0.2.1/32"}}]
    assert {port["port"] for port in dns["ports"]} == {53}
    (place,) = scraped["to"]
    namespace = place["namespaceSelector"]["matchLabels"]["kubernetes.io/metadata.name"]
    assert environment()["KUBENAS_PROMETHEUS_URL"].endswith(f".{namespace}.svc:{scraped['ports'][0]['port']}")
    (place,) = trials["to"]
    assert place["namespaceSelector"] == {}
    assert place["podSelector"]["matchExpressions"] == [{"key": TRIAL_LABEL, "operator": "Exists"}]
    assert [port["port"] for port in trials["ports"]] == [METRICS_PORT]
    *_, (place,) = [rule["to"] for rule in egress("--set=watchNamespace=team-a")["spec"]["egress"]]
    assert place["namespaceSelector"] == {"matchLabels": {"kubernetes.io/metadata.name": "team-a"}}


def test_dashboards_reach_grafana_as_they_are() -> None:
    """Their queries hold braces, which are no templates of Helm's."""
    maps = [one for one in rendered("--set=monitoring.dashboards.enabled=true") if one["kind"] == "ConfigMap"]
    files = {f"kubenas-{path.name}": json.loads(path.read_text()) for path in CHART.glob("files/dashboards/*.json")}
    assert {name: json.loads(text) for one in maps for name, text in one["data"].items()} == files
    assert all(one["metadata"]["labels"]["grafana_dashboard"] == "1" for one in maps)


def test_rules_reach_prometheus_with_the_operators_namespace() -> None:
    """Else a tenant's series of the same names would fire or silence the alerts of the operator."""
    rules = the("PrometheusRule", rendered("--set=monitoring.rules.enabled=true"))
    file = (CHART / "files/rules.yaml").read_text()
    job = 'job="kubenas-operator"'
    assert rules["spec"] == yaml.safe_load(file.replace(job, f'{job}, namespace="{NAMESPACE}"'))
    (group,) = [one for one in rules["spec"]["groups"] if one["name"] == "kubenas-operator"]
    for rule in group["rules"]:
        selectors = re.findall(r"\b(?:up|kubenas_\w+)(?![\w(])(\{[^}]*\})?", rule["expr"])
        assert set(selectors) == {f'{{{job}, namespace="{NAMESPACE}"}}'}, rule["expr"]


def test_what_readme_installs_is_what_kube_prometheus_stack_takes_up() -> None:
    readme = (REPOSITORY / "README.md").read_text()
    (command,) = re.findall(r"helm install kubenas deploy/helm/kubenas ((?:.|\n)*?)\n *```", readme)
    arguments = [
        one for one in shlex.split(command.replace("\\\n", " ")) if one not in ("--wait", "--create-namespace")
    ]
    objects = [one for one in yaml.safe_load_all(helm("template", "kubenas", str(CHART), *arguments)) if one]
    for kind in ("PodMonitor", "ServiceMonitor", "PrometheusRule"):
        assert the(kind, objects)["metadata"]["labels"]["release"] == "kube-prometheus-stack"
    assert [one for one in objects if one["kind"] == "ConfigMap"]
    (container,) = the("Deployment", objects)["spec"]["template"]["spec"]["containers"]
    chart = yaml.safe_load((CHART / "Chart.yaml").read_text())
    assert container["image"] == f"REGISTRY/kubenas-operator:{chart['appVersion']}"
    assert f"docker push {container['image']}" in readme


def test_workloads_of_queues_are_read_only_where_that_is_wanted() -> None:
    def rules(*arguments: str) -> list[dict[str, Any]]:
        role = the("ClusterRole", rendered(*arguments), "kubenas-operator")
        return [rule for rule in role["rules"] if rule["apiGroups"] == ["kueue.x-k8s.io"]]

    assert rules() == []
    wanted = {"apiGroups": ["kueue.x-k8s.io"], "resources": ["workloads"], "verbs": ["get", "list"]}
    assert rules("--set=kueue.enabled=true") == [wanted]
