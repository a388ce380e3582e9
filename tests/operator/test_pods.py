"""The pod of an attempt, without a cluster."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenas.api.experiment import NASExperiment
from kubenas.api.trial import Candidate
from kubenas.cluster.pods import PodDefaults, pod_manifest
from kubenas.experiment.contract import trial_document
from kubenas.experiment.resolution import resolve
from kubenas.experiment.state import Trial
from tests.cluster.fake_pods import expanded
from tests.experiment import builders

UID = "4f1c6a52-0000-4000-8000-000000000000"


def experiment(uid: str = UID, **spec: Any) -> NASExperiment:
    of = builders.experiment(**spec)
    return of.model_copy(update={"metadata": of.metadata.model_copy(update={"uid": uid})})


def manifest(of: NASExperiment, trial: Trial) -> dict[str, Any]:
    defaults = PodDefaults("registry.example/trial@sha256:" + "0" * 64)
    return pod_manifest(of, resolve(of.spec)[0], trial, defaults, "t")


def pod(of: NASExperiment, trial: Trial) -> dict[str, Any]:
    spec: dict[str, Any] = manifest(of, trial)["spec"]
    return spec


def trainer(spec: dict[str, Any]) -> dict[str, Any]:
    found: list[dict[str, Any]] = [one for one in spec["containers"] if one["name"] == "trainer"]
    return found[0]


def started(spec: dict[str, Any]) -> tuple[list[str], dict[str, str]]:
    """Arguments and environment as the kubelet starts the trainer with them."""
    container = trainer(spec)
    environment: dict[str, str] = {}
    for variable in container["env"]:
        environment[variable["name"]] = expanded(variable["value"], environment)
    return [expanded(one, environment) for one in container.get("args", [])], environment


def trial_of(value: str, resume_from: str | None = None) -> Trial:
    trial = builders.trial()
    candidate = Candidate(id="0", name="x", architecture={"act": value}, epochs=1, resume_from=resume_from)
    return Trial(**{**{name: getattr(trial, name) for name in trial.__slots__}, "candidates": (candidate,)})


# What the kubelet's rules are about, and anything else.
TEXTS = st.lists(st.sampled_from(["$", "$$", "(", ")", "$(", "HOME", "$(HOME)", "$(KUBENAS_TRIAL)"]) | st.text()).map(
    "".join
)


@given(TEXTS, TEXTS)
def test_a_trial_reads_its_document_as_it_was_written(setting: str, value: str) -> None:
    of = experiment(task={"name": "image-classification", "settings": {"note": setting}})
    trial = trial_of(value)
    _, environment = started(pod(of, trial))
    assert environment["KUBENAS_TRIAL"] == trial_document("nas", of.spec, resolve(of.spec)[0], trial, "/checkpoints")
    read = json.loads(environment["KUBENAS_TRIAL"])
    assert read["task"]["settings"] == {"note": setting}
    assert read["candidates"][0]["architecture"] == {"act": value}


@given(TEXTS)
def test_a_decisions_value_reaches_the_trainer_as_it_is(value: str) -> None:
    """What the template's author wrote beside it is still expanded."""
    container = {
        "name": "trainer",
        "args": ["--act=$(kubenas.act)", "$(HOME) $$(HOME)"],
        "env": [{"name": "ACT", "value": "$(kubenas.act) $(HOME)"}],
    }
    of = experiment(trialTemplate={"spec": {"containers": [container]}})
    arguments, environment = started(pod(of, trial_of(value)))
    assert arguments == [f"--act={value}", "/tmp $(HOME)"]
    assert environment["ACT"] == f"{value} /tmp"


def mount(spec: dict[str, Any]) -> dict[str, Any]:
    found: list[dict[str, Any]] = [one for one in trainer(spec)["volumeMounts"] if one["name"] == "checkpoints"]
    return found[0]


def test_a_trial_sees_of_a_claim_the_files_of_its_experiment_alone() -> None:
    """A deleted experiment of the same name has left other ones; trials of one experiment go on from each other's."""
    storage = {"volumeClaim": "artifacts"}
    spec = pod(experiment(storage=storage), trial_of("relu", "nas-7/0.safetensors"))
    assert mount(spec) == {"name": "checkpoints", "mountPath": "/checkpoints", "subPath": "nas-4f1c6a52"}
    _, environment = started(spec)
    assert environment["KUBENAS_CHECKPOINT_DIR"] == "/checkpoints/nas-0"
    (candidate,) = json.loads(environment["KUBENAS_TRIAL"])["candidates"]
    assert candidate["resumeFrom"] == "/checkpoints/nas-7/0.safetensors"
    namesake = pod(experiment("99999999-0000-4000-8000-000000000000", storage=storage), trial_of("relu"))
    assert mount(namesake)["subPath"] == "nas-99999999"


def test_a_trial_finds_its_checkpoints_in_a_bucket_by_the_secret_alone() -> None:
    storage = {"url": "s3://artifacts/nas", "secret": "bucket", "checkpointEvery": "10m"}
    spec = pod(experiment(storage=storage), trial_of("relu", "nas-7/0.safetensors"))
    _, environment = started(spec)
    own = "s3://artifacts/nas/nas-4f1c6a52"
    assert environment["KUBENAS_CHECKPOINT_DIR"] == f"{own}/nas-0"
    document = json.loads(environment["KUBENAS_TRIAL"])
    assert document["candidates"][0]["resumeFrom"] == f"{own}/nas-7/0.safetensors"
    assert document["checkpointEvery"] == 600
    assert trainer(spec)["envFrom"] == [{"secretRef": {"name": "bucket"}}]
    assert "bucket" not in json.dumps(document)
    assert {"name": "checkpoints", "emptyDir": {}} in spec["volumes"]
    assert "envFrom" not in trainer(pod(experiment(storage={"url": "gs://artifacts"}), trial_of("relu")))


def test_without_a_claim_the_files_are_the_pods_own() -> None:
    spec = pod(experiment(), trial_of("relu"))
    assert mount(spec) == {"name": "checkpoints", "mountPath": "/checkpoints"}
    assert {"name": "checkpoints", "emptyDir": {}} in spec["volumes"]


@pytest.mark.parametrize("image", [None, "registry.example/own@sha256:" + "1" * 64])
def test_images_are_named_by_digest_where_they_are_given_so(image: str | None) -> None:
    container = {"name": "trainer", **({"image": image} if image else {})}
    spec = pod(experiment(trialTemplate={"spec": {"containers": [container]}}), trial_of("relu"))
    assert trainer(spec)["image"] == (image or "registry.example/trial@sha256:" + "0" * 64)


def test_processes_of_a_trial_have_shared_memory_to_exchange_what_they_read() -> None:
    spec = pod(experiment(), builders.trial(0))
    assert {"name": "shm", "mountPath": "/dev/shm"} in trainer(spec)["volumeMounts"]
    [volume] = [each for each in spec["volumes"] if each["name"] == "shm"]
    assert volume["emptyDir"] == {"medium": "Memory", "sizeLimit": "8Gi"}


def test_a_template_changes_the_shared_memory() -> None:
    template = {"spec": {"volumes": [{"name": "shm", "emptyDir": {"sizeLimit": "32Gi"}}]}}
    spec = pod(experiment(trialTemplate=template), builders.trial(0))
    [volume] = [each for each in spec["volumes"] if each["name"] == "shm"]
    assert volume["emptyDir"] == {"medium": "Memory", "sizeLimit": "32Gi"}

    mine = {"containers": [{"name": "trainer", "volumeMounts": [{"name": "mine", "mountPath": "/dev/shm"}]}]}
    spec = pod(experiment(trialTemplate={"spec": mine}), builders.trial(0))
    there = [each["name"] for each in trainer(spec)["volumeMounts"] if each["mountPath"] == "/dev/shm"]
    assert there == ["mine"]


SPOT = {
    "priceClass": "spot",
    "metadata": {"labels": {"team": "vision"}},
    "spec": {
        "nodeSelector": {"karpenter.sh/capacity-type": "spot", "gpu": "l4"},
        "containers": [{"name": "trainer", "resources": {"limits": {"memory": "16Gi"}}}],
    },
    "alternatives": [
        {"afterDisruptions": 5, "priceClass": "reserved"},
        {
            "afterDisruptions": 2,
            "priceClass": "on-demand",
            "queueName": "on-demand",
            "spec": {"nodeSelector": {"karpenter.sh/capacity-type": "on-demand"}},
        },
    ],
}


@pytest.mark.parametrize(
    ("disruptions", "price_class", "capacity", "queue"),
    [
        (0, "spot", "spot", "spot"),
        (1, "spot", "spot", "spot"),
        (2, "on-demand", "on-demand", "on-demand"),
        (4, "on-demand", "on-demand", "on-demand"),
        (5, "reserved", "spot", "spot"),
    ],
)
def test_an_alternative_is_merged_over_the_template(
    disruptions: int, price_class: str, capacity: str, queue: str
) -> None:
    made = manifest(experiment(queueName="spot", trialTemplate=SPOT), builders.trial(0, disruptions=disruptions))
    labels = made["metadata"]["labels"]
    assert labels["kubenas.io/price-class"] == price_class
    assert (labels["kueue.x-k8s.io/queue-name"], labels["team"]) == (queue, "vision")
    assert made["metadata"]["annotations"]["kubenas.io/queue"] == queue
    assert made["spec"]["nodeSelector"] == {"karpenter.sh/capacity-type": capacity, "gpu": "l4"}
    assert trainer(made["spec"])["resources"]["limits"]["memory"] == "16Gi"


def test_a_pod_of_a_queue_is_held_until_it_is_admitted() -> None:
    """By its labels Kueue knows it, whatever a template says."""
    template = {
        "metadata": {"labels": {"team": "vision"}, "annotations": {"kubenas.io/queue": "another"}},
        "alternatives": [{"afterDisruptions": 1, "queueName": "others"}],
    }
    of = experiment(queueName="gpus", workloadPriorityClass="high", trialTemplate=template)
    made = pod_manifest(of, resolve(of.spec)[0], builders.trial(), PodDefaults("image"), "t")
    labels = made["metadata"]["labels"]
    assert (labels["kueue.x-k8s.io/queue-name"], labels["kueue.x-k8s.io/priority-class"]) == ("gpus", "high")
    assert labels["team"] == "vision"
    assert made["metadata"]["annotations"]["kubenas.io/queue"] == "gpus/high"
    assert made["spec"]["schedulingGates"] == [{"name": "kueue.x-k8s.io/admission"}]
    only_later = experiment(workloadPriorityClass="high", trialTemplate=template)
    first, later = (manifest(only_later, builders.trial(disruptions=number)) for number in (0, 1))
    assert "schedulingGates" not in first["spec"]
    assert not [label for label in first["metadata"]["labels"] if "kueue" in label]
    assert later["spec"]["schedulingGates"] == [{"name": "kueue.x-k8s.io/admission"}]
    assert later["metadata"]["annotations"]["kubenas.io/queue"] == "others/high"
