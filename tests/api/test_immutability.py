"""What past trials depend on cannot be changed, added, removed or put in another order; all else can."""

from __future__ import annotations

import json
import subprocess
from typing import TYPE_CHECKING, Any

import pytest

from tests.api.manifests import VALID

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.api.conftest import Api

pytestmark = pytest.mark.control_plane

SPEC: dict[str, Any] = VALID["spec"]
PARAMETERS = SPEC["searchSpace"]["parameters"]

REORDERED = [{**SPEC["stages"][1], "keep": {"top": 3}}, {"name": "search", "evaluation": {"epochs": 4}}]

FROZEN = [
    ("objectives: goal", "/spec/objectives/0/goal", "minimize", "objectives"),
    ("objectives: limit added", "/spec/objectives/0/limit", 0.5, "objectives"),
    ("objectives: target removed", "/spec/objectives/0/target", None, "objectives"),
    ("objectives: one more", "/spec/objectives/-", {"metric": "loss"}, "objectives"),
    ("objectives: order", "/spec/objectives", SPEC["objectives"][::-1], "objectives"),
    ("task: name", "/spec/task/name", "language-modelling", "task"),
    ("task: dataset removed", "/spec/task/dataset", None, "task"),
    ("space: preset instead", "/spec/searchSpace", {"preset": "nasbench201"}, "searchSpace"),
    (
        "space: one more",
        "/spec/searchSpace/parameters/-",
        {"name": "x", "type": "int", "min": 0, "max": 1},
        "searchSpace",
    ),
    ("space: one fewer", "/spec/searchSpace/parameters/0", None, "searchSpace"),
    ("space: order", "/spec/searchSpace/parameters", PARAMETERS[::-1], "parameters"),
    ("space: order of values", "/spec/searchSpace/parameters/0/values", ["gelu", "relu"], "values"),
    ("space: bound", "/spec/searchSpace/parameters/1/max", 9, "searchSpace"),
    ("seed: another", "/spec/search/seed", 2, "spec.search.seed"),
    ("seed: another, with all of search", "/spec/search", {"algorithm": "random", "seed": 2}, "spec.search.seed"),
    ("evaluation: epochs", "/spec/evaluation/epochs", 13, "evaluation"),
    ("evaluation: all of it", "/spec/evaluation", {"epochs": 13}, "evaluation"),
    ("fidelity: another", "/spec/fidelity", {"scheduler": "asha"}, "fidelity"),
    ("stages: epochs", "/spec/stages/0/evaluation/epochs", 5, "stages"),
    ("stages: none", "/spec/stages", None, "stages"),
    ("stages: order", "/spec/stages", REORDERED, "stages"),
]
FREE = [
    ("trials.max", "/spec/trials/max", 200),
    ("parallelism", "/spec/trials/parallelism", 0),
    ("gpuHours", "/spec/budget", {"gpuHours": 10}),
    ("suspend", "/spec/suspend", True),
    ("ttl", "/spec/ttlSecondsAfterFinished", 60),
    ("template", "/spec/trialTemplate/spec", {"nodeSelector": {"gpu": "a100"}}),
    ("search removed, its seed being the default", "/spec/search", None),
    ("storage added", "/spec/storage", {"volumeClaim": "artifacts"}),
]


@pytest.fixture(scope="module")
def experiment(api: Api) -> Iterator[str]:
    """The valid experiment, in the default namespace."""
    api.create(VALID, "default")
    yield str(VALID["metadata"]["name"])
    api.kubectl("delete", "nasexperiments", VALID["metadata"]["name"])


def _patch(api: Api, experiment: str, path: str, value: Any) -> None:
    operation = {"op": "remove", "path": path} if value is None else {"op": "add", "path": path, "value": value}
    api.kubectl("patch", "nas", experiment, "--type=json", "--dry-run=server", f"--patch={json.dumps([operation])}")


@pytest.mark.parametrize(("path", "value", "field"), [case[1:] for case in FROZEN], ids=[case[0] for case in FROZEN])
def test_frozen(path: str, value: Any, field: str, experiment: str, api: Api) -> None:
    with pytest.raises(subprocess.CalledProcessError) as refusal:
        _patch(api, experiment, path, value)
    assert field in refusal.value.stderr
    assert "is immutable" in refusal.value.stderr


@pytest.mark.parametrize(("path", "value"), [case[1:] for case in FREE], ids=[case[0] for case in FREE])
def test_free(path: str, value: Any, experiment: str, api: Api) -> None:
    _patch(api, experiment, path, value)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param({}, {"stages": [{"name": "only"}]}, id="stages added"),
        pytest.param({}, {"search": {"seed": 1}}, id="seed added"),
        pytest.param({"search": {"seed": 1}}, {}, id="seed removed with search"),
        pytest.param({"search": {"seed": 1}}, {"search": None}, id="seed removed by null"),
        pytest.param({"evaluation": {"epochs": 3}}, {}, id="evaluation removed"),
        pytest.param({}, {"task": {"name": "t", "dataset": {"name": "digits"}}}, id="dataset added"),
        pytest.param({"storage": {"volumeClaim": "a"}}, {"storage": {"volumeClaim": "b"}}, id="another claim"),
        pytest.param({"storage": {"volumeClaim": "a"}}, {"storage": {"url": "s3://artifacts"}}, id="a bucket instead"),
        pytest.param({"storage": {"url": "s3://one"}}, {"storage": {"url": "s3://two"}}, id="another bucket"),
    ],
)
def test_what_is_left_out_is_frozen_too(
    before: dict[str, Any], after: dict[str, Any], namespace: str, api: Api
) -> None:
    spec = {"objectives": [{"metric": "accuracy"}], "task": {"name": "t"}, "searchSpace": {"preset": "nasbench201"}}
    document = {**VALID, "metadata": {"name": "bare"}, "spec": spec | before}
    api.create(document, namespace)
    document["spec"] = spec | after
    with pytest.raises(subprocess.CalledProcessError) as refusal:
        api.kubectl("replace", f"--namespace={namespace}", "--filename=-", stdin=json.dumps(document))
    assert "is immutable" in refusal.value.stderr


def test_what_is_kept_and_how_it_is_reached_can_be_changed(namespace: str, api: Api) -> None:
    document = {**VALID, "metadata": {"name": "stored"}, "spec": {**SPEC, "storage": {"url": "s3://artifacts"}}}
    api.create(document, namespace)
    change = {"spec": {"storage": {"secret": "bucket", "keep": "best", "checkpointEvery": "5m"}}}
    api.kubectl("patch", "nas/stored", f"--namespace={namespace}", "--type=merge", f"--patch={json.dumps(change)}")


def test_a_trial_is_never_changed(namespace: str, api: Api) -> None:
    candidate = {"id": "0", "name": "one", "architecture": {"depth": 1}, "epochs": 1}
    trial = {
        "apiVersion": "kubenas.io/v1alpha1",
        "kind": "NASTrial",
        "metadata": {"name": "digits-0"},
        "spec": {"number": 0, "resultsSeen": 0, "candidates": [candidate]},
    }
    api.create(trial, namespace)
    patches: list[dict[str, Any]] = [{"number": 1}, {"stage": "final"}, {"candidates": [candidate | {"epochs": 2}]}]
    for patch in patches:
        change = json.dumps({"spec": patch})
        with pytest.raises(subprocess.CalledProcessError) as refusal:
            api.kubectl("patch", "nastrial/digits-0", f"--namespace={namespace}", "--type=merge", f"--patch={change}")
        assert "spec is immutable" in refusal.value.stderr
