"""The whole of it: install, `kubectl apply` examples, and check every number against its source."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import yaml

from kubenas.space.presets.nasbench201 import NASBench201
from tests.cluster.cluster import Cluster
from tests.cluster.conditions import until
from tests.cluster.control_plane import REPOSITORY
from tests.cluster.images import OWN_TRAINER
from tests.cluster.installed import get, samples, search_namespace, shared_claim
from tests.trial.process import unpacked

pytestmark = pytest.mark.node

NAMESPACE = "search"
TRIALS = 8


@pytest.fixture(scope="module")
def kubenas(installed_cluster: Cluster) -> Iterator[Cluster]:
    search_namespace(installed_cluster, NAMESPACE)
    yield installed_cluster
    installed_cluster.kubectl("delete", "namespace", NAMESPACE, "--wait=false")


@contextmanager
def watched_pods(cluster: Cluster) -> Iterator[dict[str, dict[str, Any]]]:
    """The last state of each pod, by name, that a watch has shown: ended ones do not stay for long."""
    seen: dict[str, dict[str, Any]] = {}
    command = cluster.entering(
        ["kubectl", "get", "pods", f"--namespace={NAMESPACE}", "--watch", "--output=json", "--output-watch-events"]
    )
    with subprocess.Popen(
        command, env=cluster.environment, stdout=subprocess.PIPE, text=True, start_new_session=True
    ) as watch:

        def read() -> None:
            assert watch.stdout is not None
            decoder, text = json.JSONDecoder(), ""
            for line in watch.stdout:
                text += line
                try:
                    event, end = decoder.raw_decode(text)
                except ValueError:
                    continue
                text = text[end:].lstrip()
                if event["type"] != "DELETED":
                    seen[event["object"]["metadata"]["name"]] = event["object"]

        reader = threading.Thread(target=read)
        reader.start()
        try:
            yield seen
        finally:
            os.killpg(watch.pid, signal.SIGTERM)  # the one that enters the cluster and the one inside
            reader.join()


def curve_in_prometheus(cluster: Cluster, trial: str) -> dict[int, dict[str, float]]:
    """Step by step the objective that Prometheus holds of a trial, put together by the time of scrape."""
    labels = f'{{namespace="{NAMESPACE}",experiment="digits",trial="{trial}",candidate="0"}}'
    step_at: dict[float, int] = {}
    for series in samples(cluster, f"kubenas_trial_step{labels}"):
        step_at |= {time: int(float(step)) for time, step in series["values"]}
    curve: dict[int, dict[str, float]] = {}
    for series in samples(cluster, f"kubenas_trial_value{labels}"):
        for time, value in series["values"]:
            if series["metric"]["metric"] == "accuracy":
                curve[step_at[time]] = {"accuracy": float(value)}
    return curve


def metrics(of: dict[str, Any]) -> dict[str, float]:
    return {metric["name"]: metric["value"] for metric in of["metrics"]}


def test_the_image_writes_an_experiment_to_begin_with(kubenas: Cluster) -> None:
    written = kubenas.kubectl(
        "exec",
        "--namespace=kubenas-system",
        "deployment/kubenas-operator",
        "--",
        "kubenas",
        "init",
        "--task=translation",
    )
    assert yaml.safe_load(written) == yaml.safe_load((REPOSITORY / "examples" / "translation.yaml").read_text())


def test_digits_from_apply_to_the_best_architecture(kubenas: Cluster) -> None:
    example = str(REPOSITORY / "examples" / "digits.yaml")
    with watched_pods(kubenas) as pods:
        kubenas.kubectl("apply", f"--namespace={NAMESPACE}", f"--filename={example}")
        kubenas.kubectl("wait", f"--namespace={NAMESPACE}", "--for=condition=Succeeded", "nas/digits", "--timeout=900s")
        experiment = get(kubenas, "nas/digits", f"--namespace={NAMESPACE}")
        trials = get(kubenas, "nastrials", f"--namespace={NAMESPACE}")["items"]
        until(lambda: all(f"digits-{number}-1" in pods for number in range(TRIALS)))
        messages = {
            name: pod["status"]["containerStatuses"][0]["state"]["terminated"]["message"] for name, pod in pods.items()
        }

    status = experiment["status"]
    assert status["phase"] == "Succeeded"
    assert status["progress"] == f"{TRIALS}/{TRIALS}"
    assert sorted(trial["spec"]["number"] for trial in trials) == list(range(TRIALS))
    assert next(c for c in status["conditions"] if c["type"] == "MetricsAvailable")["status"] == "True"

    accuracies = {}
    for trial in trials:
        name, ended = trial["metadata"]["name"], trial["status"]
        assert ended["phase"] == "Succeeded", ended
        message = unpacked(messages[ended["pod"]])["results"][0]
        (result,) = ended["results"]
        assert result["source"] == "TerminationMessage"
        assert (result["step"], metrics(result)) == (message["step"], message["metrics"])
        assert {p["step"]: metrics(p) for p in ended["curve"]} == curve_in_prometheus(kubenas, name)
        last = max(ended["curve"], key=lambda point: point["step"])
        assert last["step"] == result["step"]
        assert metrics(last).items() <= metrics(result).items()
        accuracies[name] = metrics(result)["accuracy"]
        assert ended["gpuSeconds"] > 0

    best = status["best"]
    assert best["value"] == max(accuracies.values()) >= 0.9
    assert accuracies[best["trial"]] == best["value"]
    assert NASBench201().name(NASBench201().parse(best["architecture"])) == best["name"]
    assert 0.8 <= metrics(best)["test_accuracy"] <= 1

    # One pod a trial, each with one GPU, no more than two at a time, and none of them left.
    assert len(pods) == TRIALS
    for pod in pods.values():
        assert pod["spec"]["containers"][0]["resources"]["limits"]["nvidia.com/gpu"] == "1"
        assert pod["spec"]["automountServiceAccountToken"] is False
    until(lambda: get(kubenas, "pods", f"--namespace={NAMESPACE}")["items"] == [])

    kubenas.kubectl("delete", f"--namespace={NAMESPACE}", "nas/digits", "--timeout=60s")
    until(lambda: get(kubenas, "nastrials,pods", f"--namespace={NAMESPACE}")["items"] == [])


# Preset, and a decision with the value that a constraint demands.
TASKS = {
    "text-classification": ("bert-encoder", "depth", 2),
    "node-classification": ("gnn", "links", "0012"),
}


def beats(one: tuple[float, float], other: tuple[float, float]) -> bool:
    return one != other and all(a >= b for a, b in zip(one, other, strict=True))


@pytest.mark.parametrize("task", TASKS)
def test_a_task_is_searched_within_a_constraint_for_two_objectives(kubenas: Cluster, task: str) -> None:
    example = yaml.safe_load((REPOSITORY / "examples" / f"{task}.yaml").read_text())
    preset, decision, value = TASKS[task]
    assert example["spec"]["searchSpace"] == {"preset": preset}
    example["metadata"]["name"] = task
    example["spec"]["searchSpace"]["constraints"] = [f"{decision} == {value!r}"]
    example["spec"]["objectives"].append({"metric": "params", "goal": "minimize"})
    example["spec"]["evaluation"]["epochs"] = 2
    example["spec"]["trials"] |= {"max": 3, "parallelism": 2}
    where = f"--namespace={NAMESPACE}"
    kubenas.kubectl("apply", where, "--filename=-", stdin=json.dumps(example))
    kubenas.kubectl("wait", where, "--for=condition=Succeeded", f"nas/{task}", "--timeout=900s")

    status = get(kubenas, f"nas/{task}", where)["status"]
    trials = get(kubenas, "nastrials", where, f"--selector=kubenas.io/experiment={task}")["items"]
    points = {}
    for trial in trials:
        assert [candidate["architecture"][decision] for candidate in trial["spec"]["candidates"]] == [value]
        (result,) = trial["status"]["results"]
        points[trial["metadata"]["name"]] = (metrics(result)["accuracy"], -metrics(result)["params"])
        assert 0 <= metrics(result)["test_accuracy"] <= 1
    assert len(points) == 3
    front = {name for name, point in points.items() if not any(beats(other, point) for other in points.values())}
    assert {each["trial"] for each in status["paretoFront"]} <= front
    assert len({points[each["trial"]] for each in status["paretoFront"]}) == len({points[name] for name in front})
    kubenas.kubectl("delete", where, f"nas/{task}", "--timeout=60s")


def test_a_trainer_of_ones_own_is_searched_as_its_example_says(kubenas: Cluster) -> None:
    example = yaml.safe_load((REPOSITORY / "examples" / "own-trainer" / "experiment.yaml").read_text())
    (container,) = example["spec"]["trialTemplate"]["spec"]["containers"]
    container["image"] = OWN_TRAINER.name
    example["spec"]["trials"]["max"] = 2
    where = f"--namespace={NAMESPACE}"
    kubenas.kubectl("apply", where, "--filename=-", stdin=json.dumps(example))
    kubenas.kubectl("wait", where, "--for=condition=Succeeded", "nas/own-trainer", "--timeout=300s")
    trials = get(kubenas, "nastrials", where, "--selector=kubenas.io/experiment=own-trainer")["items"]
    results = [trial["status"]["results"][0] for trial in trials]
    assert [result["step"] for result in results] == [10, 10]
    assert all(set(metrics(result)) == {"accuracy", "loss"} for result in results)
    kubenas.kubectl("delete", where, "nas/own-trainer", "--timeout=60s")


# What the kubelet would expand, in a decision's value and in a setting.
DOLLARS = "$(HOME) $$ $(KUBENAS_TRIAL"
SCRIPT = """
import json, os, pathlib, sys
text = "D(HOME) DD D(KUBENAS_TRIAL".replace("D", chr(36))
trial = json.loads(os.environ["KUBENAS_TRIAL"])
right = trial["task"]["settings"]["note"] == text and sys.argv[1][:-1] == text
folder = pathlib.Path(os.environ["KUBENAS_CHECKPOINT_DIR"])
seen = len(list(folder.parent.iterdir()))
folder.mkdir()
(folder / "weights").touch()
result = {"candidate": "0", "step": 1, "metrics": {"right": int(right), "seen": seen}}
pathlib.Path("/dev/termination-log").write_text(json.dumps({"results": [result]}))
"""


@pytest.fixture
def claim(kubenas: Cluster) -> Iterator[str]:
    """A claim whose volume every node has, and that the kubelet gives to nobody."""
    with shared_claim(kubenas, NAMESPACE) as name:
        yield name


def test_trials_get_their_experiments_files_and_words_alone(kubenas: Cluster, claim: str) -> None:
    """The second experiment has the name of the first, which has left its files on the claim."""
    example = {
        "apiVersion": "kubenas.io/v1alpha1",
        "kind": "NASExperiment",
        "metadata": {"name": "words"},
        "spec": {
            "objectives": [{"metric": "right"}],
            "task": {"name": "words", "settings": {"note": DOLLARS}},
            "searchSpace": {
                "parameters": [{"name": "word", "type": "choice", "values": [f"{DOLLARS}{n}" for n in range(4)]}]
            },
            "search": {"algorithm": "random"},
            "trials": {"max": 2, "parallelism": 1},
            "storage": {"volumeClaim": claim},
            "trialTemplate": {
                "spec": {
                    "containers": [
                        {"name": "trainer", "command": ["python", "-c", SCRIPT], "args": ["$(kubenas.word)"]}
                    ]
                }
            },
        },
    }
    where = f"--namespace={NAMESPACE}"
    for _ in range(2):
        kubenas.kubectl("apply", where, "--filename=-", stdin=json.dumps(example))
        kubenas.kubectl("wait", where, "--for=condition=Succeeded", "nas/words", "--timeout=300s")
        trials = get(kubenas, "nastrials", where, "--selector=kubenas.io/experiment=words")["items"]
        found = {trial["spec"]["number"]: metrics(trial["status"]["results"][0]) for trial in trials}
        assert found == {0: {"right": 1, "seen": 0}, 1: {"right": 1, "seen": 1}}
        kubenas.kubectl("delete", where, "nas/words", "--timeout=60s")
    folders = sorted((kubenas.folder / claim).iterdir())
    assert len(folders) == 2
    for folder in folders:
        assert {file.relative_to(folder).as_posix() for file in folder.rglob("weights")} == {
            "words-0/weights",
            "words-1/weights",
        }
