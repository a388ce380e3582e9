"""The merge of a template is the one that kubectl and the apiserver do."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubenas.experiment.merge import MERGE_KEYS, merged

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy

    from tests.cluster.control_plane import ControlPlane

BASE: dict[str, Any] = {
    "restartPolicy": "Never",
    "nodeSelector": {"zone": "a", "gpu": "t4"},
    "securityContext": {"runAsNonRoot": True, "runAsUser": 1, "seccompProfile": {"type": "RuntimeDefault"}},
    "tolerations": [{"key": "gpu", "operator": "Exists"}],
    "hostAliases": [{"ip": "10.0.0.1", "hostnames": ["a"]}],
    "containers": [
        {
            "name": "trainer",
            "image": "trial:1",
            "args": ["--a", "--b"],
            "env": [{"name": "A", "value": "1"}, {"name": "B", "value": "2"}, {"name": "C", "value": "3"}],
            "ports": [{"name": "metrics", "containerPort": 8080}],
            "resources": {"limits": {"nvidia.com/gpu": 1, "memory": "4Gi"}, "requests": {"cpu": "2"}},
            "volumeMounts": [{"name": "tmp", "mountPath": "/tmp"}, {"name": "data", "mountPath": "/data"}],
        },
        {"name": "proxy", "image": "proxy:1"},
    ],
    "volumes": [{"name": "tmp", "emptyDir": {}}, {"name": "data", "emptyDir": {"medium": "Memory"}}],
}


def keyed(key: str, names: list[Any], fields: SearchStrategy[dict[str, Any]]) -> SearchStrategy[list[dict[str, Any]]]:
    """A list that is merged by `key`: new, changed and deleted items, perhaps in place of all."""
    item = st.builds(lambda name, rest: {key: name} | rest, st.sampled_from(names), fields)
    deleted = st.sampled_from(names).map(lambda name: {key: name, "$patch": "delete"})
    items = st.lists(item | deleted, max_size=3, unique_by=lambda one: one[key])
    return st.one_of(items, items, items.map(lambda listed: [*listed[:1], {"$patch": "replace"}, *listed[1:]]))


def objects(optional: dict[str, SearchStrategy[Any]]) -> SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional={field: value | st.none() for field, value in optional.items()})


def directed(inner: SearchStrategy[dict[str, Any]]) -> SearchStrategy[dict[str, Any]]:
    """An object that perhaps replaces or deletes what is there."""
    return st.one_of(inner, inner.map(lambda fields: {**fields, "$patch": "replace"}), st.just({"$patch": "delete"}))


WORDS = st.sampled_from(["x", "y"])
QUANTITIES = objects({"cpu": WORDS, "memory": WORDS, "nvidia.com/gpu": WORDS})
CLAIM = {"persistentVolumeClaim": {"claimName": "c"}}
VOLUMES = keyed(
    "name",
    ["tmp", "data", "more"],
    st.sampled_from(
        [{"emptyDir": {}}, {"emptyDir": {"sizeLimit": "1Gi"}}, CLAIM, {"$retainKeys": ["name", *CLAIM], **CLAIM}]
    ),
)
TRAINER = objects(
    {
        "image": WORDS,
        "args": st.lists(WORDS, max_size=2),
        "env": keyed(
            "name", ["A", "B", "Z"], st.sampled_from([{"value": "9"}, {"value": None, "valueFrom": {"fieldRef": {}}}])
        ),
        "ports": keyed("containerPort", [8080, 9090], st.sampled_from([{}, {"name": "more"}])),
        "volumeMounts": keyed(
            "mountPath", ["/tmp", "/more"], st.sampled_from([{"name": "tmp"}, {"name": "m", "subPath": "s"}])
        ),
        # In what is replaced as a whole, kubectl leaves further directives as they are.
        "resources": directed(objects({"limits": QUANTITIES, "requests": QUANTITIES}))
        | objects({"limits": directed(QUANTITIES), "requests": QUANTITIES}),
    }
)
# In what it has nothing of yet, kubectl leaves directives as they are, and the apiserver then refuses the pod.
OTHERS = keyed("name", ["trainer", "proxy", "more"], objects({"image": WORDS, "env": st.just([{"name": "A"}])}))
CONTAINERS = OTHERS | TRAINER.map(lambda fields: [{"name": "trainer", **fields}, {"name": "more", "image": "m"}])
PATCHES = objects(
    {
        "restartPolicy": WORDS,
        "nodeSelector": directed(objects({"zone": WORDS, "gpu": WORDS, "new": WORDS})),
        "securityContext": directed(
            objects({"runAsUser": st.integers(0, 9), "seccompProfile": objects({"type": WORDS})})
        ),
        "affinity": objects({"nodeAffinity": objects({"a": WORDS})}),
        "tolerations": st.lists(objects({"key": WORDS}), max_size=2),
        "hostAliases": keyed("ip", ["10.0.0.1", "10.0.0.2"], st.just({"hostnames": ["b"]})),
        "initContainers": st.lists(st.just({"name": "first", "image": "i"}), max_size=1),
        "containers": CONTAINERS,
        "volumes": VOLUMES,
    }
)


def plain(document: Any, field: str = "") -> Any:
    """Without nulls, which the apiserver drops, and with keyed lists in the order of their keys."""
    if isinstance(document, dict):
        return {key: plain(value, key) for key, value in document.items() if value is not None and key != "$retainKeys"}
    if isinstance(document, list):
        items = [plain(item) for item in document]
        return sorted(items, key=lambda item: str(item[MERGE_KEYS[field]])) if field in MERGE_KEYS else items
    return document


@pytest.mark.control_plane
@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])
@given(patch=PATCHES)
def test_it_is_kubectl_s(control_plane: ControlPlane, patch: dict[str, Any]) -> None:
    pod = {"apiVersion": "v1", "kind": "Pod", "metadata": {"name": "p"}, "spec": BASE}
    arguments = (
        "--local",
        "--type=strategic",
        "--filename=-",
        "--output=json",
        f"--patch={json.dumps({'spec': patch})}",
    )
    theirs = json.loads(control_plane.kubectl("patch", *arguments, stdin=json.dumps(pod)))["spec"]
    ours = merged(BASE, patch)
    assert plain(ours) == plain(theirs)
    assert '"$' not in json.dumps(ours)


@pytest.mark.control_plane
def test_the_keys_are_the_apiserver_s(control_plane: ControlPlane) -> None:
    definitions = json.loads(control_plane.kubectl("get", "--raw", "/openapi/v2"))["definitions"]
    found: dict[str, str] = {}
    waiting, seen = ["io.k8s.api.core.v1.PodSpec"], set()
    while waiting:
        name = waiting.pop()
        # The metadata of a claim's template; the operator's own pod has none.
        if name in seen or name.endswith("ObjectMeta"):
            continue
        seen.add(name)
        for field, schema in definitions[name].get("properties", {}).items():
            if "merge" in schema.get("x-kubernetes-patch-strategy", ""):
                found[field] = schema["x-kubernetes-patch-merge-key"]
            parts = (schema, schema.get("items", {}), schema.get("additionalProperties", {}))
            waiting += [part["$ref"].removeprefix("#/definitions/") for part in parts if "$ref" in part]
    assert found == MERGE_KEYS


def test_what_is_new_comes_after_what_is_there() -> None:
    env = merged(BASE, {"containers": [{"name": "trainer", "env": [{"name": "Z"}, {"name": "A", "value": "0"}]}]})
    assert [variable["name"] for variable in env["containers"][0]["env"]] == ["A", "B", "C", "Z"]


def test_an_object_also_replaces_nothing() -> None:
    assert merged({}, {"nodeSelector": {"$patch": "replace", "a": "b"}}) == {"nodeSelector": {"a": "b"}}
    assert merged({}, {"nodeSelector": {"$patch": "delete"}}) == {}


@given(PATCHES)
def test_what_is_merged_stays_as_it_is(patch: dict[str, Any]) -> None:
    base, before = json.loads(json.dumps(BASE)), json.dumps(patch)
    merged(base, patch)
    assert (base, json.dumps(patch)) == (BASE, before)
