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

from kubenas.api.status import Rung
from kubenas.api.trial import ClassSeconds
from kubenas.experiment.plan import plan
from kubenas.experiment.state import Trial
from tests.cluster.control_plane import ControlPlane
from tests.experiment.builders import NOW, candidate, experiment, held, observed, succeeded, trial

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


def paid(of: Trial, price_class: str) -> Trial:
    """The trial once it has run for one and a half hours."""
    took = [ClassSeconds(price_class=price_class, seconds=5400.0)]
    return replace(of, status=of.status.model_copy(update={"gpu_seconds": 5400.0, "class_seconds": took}))


def test_what_a_cluster_says(control_plane: ControlPlane, namespace: str) -> None:
    control_plane.kubectl("apply", "--server-side", "--kustomize", str(CRDS))
    control_plane.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")
    nothing = ask(control_plane, "status", "-n", namespace)
    assert (nothing.returncode, nothing.stdout) == (0, "There is no experiment here.\n"), nothing.stderr

    spot, on_demand = paid(succeeded(0, 1, 0.75), "spot"), paid(succeeded(1, 2, 0.5), "on-demand")
    known = [spot, on_demand, trial(2), trial(3)]
    of = experiment(
        trials={"max": 9},
        queueName="gpus",
        budget={"prices": {"spot": 0.5, "on-demand": 2.0}},
        trialTemplate={"priceClass": "spot", "alternatives": [{"afterDisruptions": 2, "priceClass": "on-demand"}]},
    )
    status = plan(observed(of, known, [held(2)]), NOW).status
    assert status is not None
    # Where candidates are promoted from rung to rung.
    rungs = [Rung(epochs=1, reached=2, paused=2), Rung(epochs=3, reached=0, paused=0)]
    assert status.counts is not None
    counts = status.counts.model_copy(update={"paused": 2})
    status = status.model_copy(update={"rungs": rungs, "counts": counts})
    shown = of.model_copy(update={"status": status}).dump() | {"metadata": {"name": "nas"}}
    put(control_plane, shown, namespace)
    for each in known:
        put(control_plane, document(replace(each, name=f"nas-{each.number}")), namespace)

    everything = ask(control_plane, "status", "-n", namespace)
    assert re.search(r"^nas +Running +2/9 +0 +1 +3 +3\.75 +0\.75", everything.stdout, re.M), everything.stderr
    one = ask(control_plane, "status", "nas", "-n", namespace)
    assert one.stdout.startswith(
        "nas: Running, 2/9 trials\n2 pending (1 queued), 0 running, 2 succeeded (2 paused), 0 pruned, 0 failed; "
        "3 GPU hours, 3.75 spent (1.5 h on-demand, 1.5 h spot)\n"
    ), one.stdout
    assert "TrialsAdmitted=False  Queued: Pod nas-2-1 waits in queue gpus: " in one.stdout
    assert "after 1 epoch: 2 candidates, 2 of them paused until they are among the best there\n" in one.stdout
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
