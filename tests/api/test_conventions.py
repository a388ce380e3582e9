"""The CRDs keep to the Kubernetes API conventions.

https://github.com/kubernetes/community/blob/master/contributors/devel/sig-architecture/api-conventions.md
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from kubenas.api.crds import custom_resource_definitions

CRDS = {crd["spec"]["names"]["kind"]: crd for crd in custom_resource_definitions()}
VERSIONS = {kind: crd["spec"]["versions"][0] for kind, crd in CRDS.items()}

# Maps of names that KubeNAS does not choose: labels and annotations, as ObjectMeta has them.
# Lists of objects that are replaced as a whole: no one field tells them apart, or there may be a thousand.
WHOLE = {
    "spec.objectives[].measuredOn.tolerations",
    "spec.searchSpace.costs[].terms[].values",
    "spec.candidates",
    "status.results",
    "status.failedCandidates",
}
MAPS = {
    "spec.budget.deviceShares",
    "spec.objectives[].measuredOn.nodeSelector",
    "spec.budget.prices",
    "spec.trialTemplate.metadata.labels",
    "spec.trialTemplate.metadata.annotations",
    "spec.trialTemplate.alternatives[].metadata.labels",
    "spec.trialTemplate.alternatives[].metadata.annotations",
}
# What others define: the trainer's settings, a PodSpec, an architecture of any space.
FREE = {
    "NASExperiment": {
        "spec.objectives[].measuredOn.resources",
        "spec.objectives[].measuredOn.tolerations[]",
        "spec.task.settings",
        "spec.search.settings",
        "spec.trialTemplate.spec",
        "spec.trialTemplate.alternatives[].spec",
        "status.best.architecture",
        "status.paretoFront[].architecture",
        "status.finalists[].architecture",
        "status.warmStart[].results[].architecture",
        "spec.stages[].search.settings",
    },
    "NASTrial": {"spec.candidates[].architecture", "status.results[].architecture"},
}
EVALUATIONS = ("spec.evaluation", "spec.stages[].evaluation")
EVALUATION_TERMS = ("method", "combine", "input", "rule", "sampler", "order", "perturbation")
# Words of the field rather than of the API, spelt as the papers and frameworks do.
TERMS = {
    "spec.objectives[].goal",
    "spec.searchSpace.preset",
    "spec.searchSpace.cell.operationsOn",
    "spec.searchSpace.parameters[].type",
    "spec.searchSpace.parameters[].scale",
    "spec.search.algorithm",
    "spec.stages[].search.algorithm",
    *(f"{at}.{field}" for at in EVALUATIONS for field in EVALUATION_TERMS),
    *(f"{at}.{field}" for at in ("spec.fidelity", "spec.stages[].fidelity") for field in ("scheduler", "mode")),
    "spec.storage.keep",
}
# As Job and CronJob have it; one of the ways to keep candidates; parts of a method that are there or not.
BOOLEANS = {
    "spec.suspend",
    "spec.stages[].keep.front",
    *(f"{at}.{field}" for at in EVALUATIONS for field in ("inherit", "complexityAwareRate", "pruning")),
}


@dataclass(frozen=True)
class Node:
    """One schema within a resource's."""

    kind: str
    path: str
    schema: dict[str, Any]

    @property
    def name(self) -> str:
        return self.path.rpartition(".")[2]


def nodes(kind: str, path: str, schema: dict[str, Any]) -> Iterator[Node]:
    yield Node(kind, path, schema)
    for name, field in schema.get("properties", {}).items():
        if path or name in {"spec", "status"}:  # the rest of the root is every resource's
            yield from nodes(kind, f"{path}.{name}" if path else name, field)
    if "items" in schema:
        yield from nodes(kind, f"{path}[]", schema["items"])
    if "additionalProperties" in schema:
        yield from nodes(kind, f"{path}{{}}", schema["additionalProperties"])


NODES = [node for kind in VERSIONS for node in nodes(kind, "", VERSIONS[kind]["schema"]["openAPIV3Schema"])]


def of_type(name: str) -> list[Node]:
    found = [node for node in NODES if node.schema["type"] == name]
    assert found
    return found


def faults(*nodes: Node) -> list[str]:
    return [f"{node.kind}.{node.path}" for node in nodes]


def test_every_field_has_a_description_that_is_a_sentence() -> None:
    described = [node for node in NODES if not node.path.endswith(("[]", "{}"))]
    assert not faults(*(n for n in described if not re.fullmatch(r"\S.{3,}\.", n.schema.get("description", ""))))


def test_names_are_camel_case() -> None:
    named = [node for node in NODES if node.path and not node.path.endswith(("[]", "{}"))]
    assert not faults(*(n for n in named if not re.fullmatch(r"[a-z][a-zA-Z0-9]*", n.name)))


def test_enums_are_camel_case_or_terms() -> None:
    enums = [node for node in NODES if "enum" in node.schema]
    assert {node.path for node in enums} >= TERMS
    assert not faults(
        *(
            node
            for node in enums
            if node.path not in TERMS
            and not all(re.fullmatch(r"[A-Z][a-zA-Z0-9]*", value) for value in node.schema["enum"])
        )
    )


def test_strings_have_a_longest_length() -> None:
    assert not faults(*(n for n in of_type("string") if not {"maxLength", "enum"} & n.schema.keys()))


def test_lists_have_a_greatest_length() -> None:
    assert not faults(*(n for n in of_type("array") if "maxItems" not in n.schema))


def test_lists_say_how_they_are_merged() -> None:
    for node in of_type("array"):
        if node.schema["items"]["type"] != "object" or node.path in WHOLE:
            assert node.schema["x-kubernetes-list-type"] in {"set", "atomic"}, node.path
            continue
        keys = node.schema["x-kubernetes-list-map-keys"]
        assert node.schema["x-kubernetes-list-type"] == "map", node.path
        assert set(keys) <= set(node.schema["items"]["required"]), f"{node.path}: keys must be required"


def test_maps_are_few_and_bounded() -> None:
    maps = [node for node in of_type("object") if "additionalProperties" in node.schema]
    assert {node.path for node in maps} == MAPS
    assert not faults(*(node for node in maps if "maxProperties" not in node.schema))


@pytest.mark.parametrize("kind", VERSIONS)
def test_free_objects_are_those_that_others_define(kind: str) -> None:
    free = {n.path for n in NODES if n.kind == kind and n.schema.get("x-kubernetes-preserve-unknown-fields")}
    assert free == FREE[kind]
    empty = {
        n.path
        for n in of_type("object")
        if n.kind == kind and not n.schema.keys() & {"properties", "additionalProperties"}
    }
    assert empty == free


def test_numbers_have_a_format() -> None:
    assert not faults(*(n for n in of_type("integer") if n.schema.get("format") not in {"int32", "int64"}))
    assert not faults(*(n for n in of_type("number") if n.schema.get("format") != "double"))


def test_integers_have_bounds() -> None:
    assert not faults(*(n for n in of_type("integer") if "minimum" not in n.schema))
    wanted = [n for n in of_type("integer") if n.path.startswith("spec.")]
    assert not faults(*(n for n in wanted if "maximum" not in n.schema))


def test_times_are_date_times() -> None:
    times = [node for node in NODES if node.name == "time" or node.name.endswith("Time")]
    assert times
    assert not faults(*(n for n in times if n.schema.get("format") != "date-time"))


def test_booleans_are_few() -> None:
    assert {node.path for node in of_type("boolean")} == BOOLEANS


def test_absent_is_the_only_null() -> None:
    assert not faults(*(node for node in NODES if "nullable" in node.schema))


def test_a_required_field_has_no_default() -> None:
    for node in of_type("object"):
        fields = node.schema.get("properties", {})
        assert not [f"{node.path}.{name}" for name in node.schema.get("required", ()) if "default" in fields[name]]


def test_every_rule_tells_the_user_what_is_wrong() -> None:
    rules = [(node, rule) for node in NODES for rule in node.schema.get("x-kubernetes-validations", ())]
    assert rules
    assert not faults(*(node for node, rule in rules if not rule.get("message")))


@pytest.mark.parametrize("kind", VERSIONS)
def test_conditions_are_the_standard_ones(kind: str) -> None:
    conditions = VERSIONS[kind]["schema"]["openAPIV3Schema"]["properties"]["status"]["properties"]["conditions"]
    assert conditions["x-kubernetes-list-type"] == "map"
    assert conditions["x-kubernetes-list-map-keys"] == ["type"]
    item = conditions["items"]
    assert set(item["properties"]) == {
        "type",
        "status",
        "reason",
        "message",
        "observedGeneration",
        "lastTransitionTime",
    }
    assert {"type", "status", "reason", "message", "lastTransitionTime"} <= set(item["required"])
    assert item["properties"]["status"]["enum"] == ["True", "False", "Unknown"]


@pytest.mark.parametrize("kind", VERSIONS)
def test_spec_is_required_and_status_is_a_subresource(kind: str) -> None:
    schema = VERSIONS[kind]["schema"]["openAPIV3Schema"]
    assert schema["required"] == ["spec"]
    assert "default" not in schema["properties"]["status"]
    assert VERSIONS[kind]["subresources"]["status"] == {}


@pytest.mark.parametrize("kind", CRDS)
def test_names_of_the_definition(kind: str) -> None:
    spec = CRDS[kind]["spec"]
    names = spec["names"]
    assert (names["singular"], names["plural"], names["listKind"]) == (kind.lower(), f"{kind.lower()}s", f"{kind}List")
    assert CRDS[kind]["metadata"]["name"] == f"{names['plural']}.{spec['group']}"
    assert VERSIONS[kind]["additionalPrinterColumns"][-1]["name"] == "Age"
    assert all(column["description"] for column in VERSIONS[kind]["additionalPrinterColumns"])
