"""`kubenas status` and `kubenas trials` against a real apiserver."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from kubenas.experiment.plan import plan
from kubenas.experiment.state import Trial
from tests.cluster.control_plane import ControlPlane
from tests.experiment.builders import NOW, candidate, experiment, observed, succeeded, trial

pytestmark = pytest.mark.control_plane
CRDS = Path(__file__).parents[2] / "crds"


def ask(control_plane: ControlPlane, *arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "kubenas.cli", *arguments, "--kubeconfig", str(control_plane.kubeconfig)]
    return subprocess.run(control_plane.entering(command), capture_output=True, text=True, check=False, timeout=120)


def put(control_plane: ControlPlane, document: dict[str, Any], namespace: str) -> None:
    made = json.loads(
        control_plane.kubectl("create", "-f-", "-n", namespace, "-o", "json", stdin=yaml.safe_dump(document))
    )
    if "status" in document:
        made["status"] = document["status"]
        control_plane.kubectl("replace", "--subresource=status", "-f-", "-n", namespace, stdin=json.dumps(made))


def document(of: Trial) -> dict[str, Any]:
    return {
        "apiVersion": "kubenas.io/v1alpha1",
        "kind": "NASTrial",
        "metadata": {"name": of.name, "labels": {"kubenas.io/experiment": "nas"}},
        "spec": {"number": of.number, "resultsSeen": 0, "candidates": [candidate().dump()]},
        "status": of.status.dump(),
    }


def test_what_a_cluster_says(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.kubectl("apply", "--server-side", "--kustomize", str(CRDS))
    control_plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    nothing = ask(control_plane, "status", "-n", namespace)
    assert (nothing.returncode, nothing.stdout) == (0, "There is no experiment here.\n"), nothing.stderr

    known = [succeeded(0, 1, 0.75), succeeded(1, 2, 0.5), trial(2)]
    of = experiment(trials={"max": 9})
    status = plan(observed(of, known), NOW).status
    assert status is not None
    shown = of.model_copy(update={"status": status}).dump() | {"metadata": {"name": "nas"}}
    put(control_plane, shown, namespace)
    for each in known:
        put(control_plane, document(replace(each, name=f"nas-{each.number}")), namespace)

    everything = ask(control_plane, "status", "-n", namespace)
    assert re.search(r"^nas +Running +2/9 +0 +0\.75", everything.stdout, re.M), everything.stderr
    one = ask(control_plane, "status", "nas", "-n", namespace)
    assert one.stdout.startswith("nas: Running, 2/9 trials\n1 pending, 0 running, 2 succeeded")
    assert "Accepted=True  Valid: The specification is valid." in one.stdout
    assert "Best architecture: accuracy 0.75, of trial nas-0" in one.stdout
    trials = ask(control_plane, "trials", "nas", "-n", namespace)
    assert re.search(r"^nas-0 +Succeeded +1 +0\.75", trials.stdout, re.M), trials.stderr
    assert re.search(r"^nas-2 +Pending +1 ", trials.stdout, re.M)
    missing = ask(control_plane, "status", "other", "-n", namespace)
    assert (missing.returncode, missing.stderr) == (
        1,
        'NotFound: nasexperiments.kubenas.io "other" not found\n',
    )


def test_no_cluster(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "kubenas.cli", "status", "--kubeconfig", str(tmp_path / "none")]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=120)
    assert (answer.returncode, answer.stdout) == (1, "")
    assert answer.stderr.startswith("NoConfiguration: there is no kubeconfig file ")
