"""The pod that removes checkpoints, without a cluster."""

from __future__ import annotations

from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from kubenas.cluster.pods import PodDefaults
from kubenas.cluster.removal import ranges, removal_manifest
from kubenas.experiment.actions import Removal
from tests.cluster.control_plane import REPOSITORY
from tests.operator.test_pods import experiment

IMAGE = "registry.example/trial:1"


def manifest(storage: dict[str, Any], **spec: Any) -> dict[str, Any]:
    of = experiment(storage={**storage, "keep": "best"}, **spec)
    return removal_manifest(of, Removal((0, 1, 2, 5), 0), PodDefaults(IMAGE))


def test_it_sees_the_experiments_own_folder_alone() -> None:
    made = manifest({"volumeClaim": "artifacts"})
    assert made["metadata"]["name"] == "nas-checkpoints-4"
    (container,) = made["spec"]["containers"]
    assert container["args"] == ["/checkpoints", "nas", "0-2,5"]
    (mount,) = container["volumeMounts"]
    assert mount["subPath"] == "nas-4f1c6a52"
    assert made["spec"]["volumes"] == [{"name": "checkpoints", "persistentVolumeClaim": {"claimName": "artifacts"}}]
    assert "envFrom" not in container


def test_it_reaches_a_bucket_by_the_secret() -> None:
    (container,) = manifest({"url": "s3://artifacts/nas", "secret": "bucket"})["spec"]["containers"]
    assert container["args"][0] == "s3://artifacts/nas/nas-4f1c6a52"
    assert container["envFrom"] == [{"secretRef": {"name": "bucket"}}]


def test_of_the_template_it_takes_who_runs_it_and_not_what_runs() -> None:
    template = {
        "spec": {
            "serviceAccountName": "trainer",
            "imagePullSecrets": [{"name": "registry"}],
            "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists"}],
            "nodeSelector": {"pool": "gpu"},
            "hostNetwork": True,
            "securityContext": {"runAsUser": 1000},
            "initContainers": [{"name": "fetch", "image": "any"}],
            "volumes": [{"name": "data", "hostPath": {"path": "/"}}],
            "containers": [
                {
                    "name": "trainer",
                    "image": "own",
                    "command": ["sh"],
                    "args": ["-c", "x"],
                    "securityContext": {"runAsUser": 7},
                },
                {"name": "proxy", "image": "any"},
            ],
        }
    }
    spec = manifest({"volumeClaim": "artifacts"}, trialTemplate=template)["spec"]
    assert (spec["serviceAccountName"], spec["imagePullSecrets"]) == ("trainer", [{"name": "registry"}])
    assert spec["tolerations"] == template["spec"]["tolerations"]
    assert spec["securityContext"]["runAsUser"] == 1000
    assert spec["securityContext"]["runAsNonRoot"] is True
    assert not {"nodeSelector", "hostNetwork", "initContainers"} & spec.keys()
    (container,) = spec["containers"]
    assert (container["image"], container["command"][0], container["args"][0]) == (IMAGE, "python", "/checkpoints")
    assert container["securityContext"]["runAsUser"] == 7
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert [volume["name"] for volume in spec["volumes"]] == ["checkpoints"]
    assert "nvidia.com/gpu" not in container["resources"]["limits"]


@given(st.sets(st.integers(0, 60), min_size=1))
def test_ranges_say_the_same_numbers(numbers: set[int]) -> None:
    said = set()
    for one in ranges(sorted(numbers)).split(","):
        first, _, last = one.partition("-")
        said |= {*range(int(first), int(last or first) + 1)}
    assert said == numbers


def test_the_operator_has_no_client_for_buckets() -> None:
    """A tenant writes the URL, and could have it ask whatever the operator can reach."""
    locked = (REPOSITORY / "deploy/requirements.txt").read_text()
    assert "pydantic==" in locked
    assert not {"obstore", "fsspec", "boto3", "botocore", "s3fs", "google-cloud-storage"} & {
        line.partition("==")[0] for line in locked.splitlines()
    }
