"""Objects that nobody means well with: whoever may write in a namespace can make the apiserver take each of them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tests.operator.harness import experiment

if TYPE_CHECKING:
    from random import Random

    from tests.operator.api import Object

API_VERSION = "kubenas.io/v1alpha1"
DEPTH = 2000

QUANTITIES = ("1k", "1e3", "1E", "9223372036854775807", "500m", "0", "1Ki", "16Ei", "1e18")
TIMES = ("0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59Z", "2026-02-28T00:00:00Z", None)
PHASES = ("Pending", "Running", "Succeeded", "Failed", "Unknown", "Nonsense", "")
NUMBERS = ("x", "-1", "00", "1.5", "99999999999999999999", "", "0-1")


def nested(depth: int) -> Object:
    """An object of so many levels."""
    found: Object = {}
    for _ in range(depth):
        found = {"x": found}
    return found


def pod(rng: Random, index: int, victim: Object, trial: Object | None) -> tuple[Object, Object]:
    """A pod that is like one of the victim's trials, and the status that it gets."""
    name, uid = victim["metadata"]["name"], victim["metadata"]["uid"]
    number = rng.choice([*NUMBERS, "0", "1", "2", "3"])
    labels: dict[str, str] = {"kubenas.io/trial": f"{name}-{number}".strip("-.")}
    if rng.random() < 0.7:
        labels["kubenas.io/experiment"] = rng.choice([name, name, "none", ""])
    if rng.random() < 0.7:
        labels["kubenas.io/experiment-uid"] = rng.choice([uid, uid, "none", ""])
    owners = [
        [],
        [owner("NASTrial", "nobody", "00000000-0000-0000-0000-000000000000")],
        [owner("NASExperiment", name, uid)],
        [owner("NASTrial", name, uid)],
    ]
    if trial is not None:
        owners.append([owner("NASTrial", trial["metadata"]["name"], trial["metadata"]["uid"])])
    limits = {"nvidia.com/gpu": rng.choice(QUANTITIES), "cpu": rng.choice(QUANTITIES)}
    manifest = {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "name": rng.choice([f"hostile-{index}", f"{name}-{rng.randrange(60)}-2"]),
            "labels": labels,
            "annotations": {"note": "y" * rng.choice([0, 10, 200_000])},
            "ownerReferences": rng.choice(owners),
        },
        "spec": {
            "schedulerName": "nobody",
            "containers": [
                {"name": rng.choice(["trainer", "x"]), "image": "x", "resources": {"limits": limits}} for _ in range(1)
            ],
        },
    }
    return manifest, _pod_status(rng)


def _pod_status(rng: Random) -> Object:
    terminated = {
        "exitCode": rng.choice([0, 1, 137, -1, 2**31 - 1]),
        "reason": rng.choice(["OOMKilled", "", "\x07"]),
        "message": rng.choice(["", "{", '{"results": [1e999]}', "{" * 3000, '{"results": {"candidate": []}}']),
        "startedAt": rng.choice(TIMES),
        "finishedAt": rng.choice(TIMES),
    }
    state = rng.choice([{}, {"terminated": terminated}, {"running": {"startedAt": rng.choice(TIMES)}}, {"waiting": {}}])
    container = {"name": "trainer", "image": "x", "imageID": "", "ready": False, "restartCount": 0, "state": state}
    condition = {
        "type": rng.choice(["PodScheduled", "DisruptionTarget", "TerminationTarget"]),
        "status": rng.choice(["True", "False", "Unknown"]),
        "reason": rng.choice(["", "Unschedulable", "SchedulingGated", "x" * 1024]),
        "lastTransitionTime": rng.choice(TIMES),
    }
    return {
        "phase": rng.choice(PHASES),
        "podIP": rng.choice(["", "192.0.2.1", "::1"]),
        "conditions": rng.choice([[], [condition]]),
        "containerStatuses": rng.choice([[], [container]]),
    }


def trial(rng: Random, index: int, victim: Object) -> Object:
    """A trial that says it is the victim's."""
    name, uid = victim["metadata"]["name"], victim["metadata"]["uid"]
    candidate: Object = {
        "id": "0",
        "name": "z" * rng.choice([0, 4096]),
        "architecture": rng.choice([{}, {"0-1": "nonsense"}, {"0-1": None}, nested(DEPTH), {"0-1": ["x"]}]),
        "epochs": rng.choice([1, 1_000_000]),
    }
    return {
        "apiVersion": API_VERSION,
        "kind": "NASTrial",
        "metadata": {
            "name": rng.choice([f"hostile-{index}", f"{name}-x{index}"]),
            "labels": rng.choice(
                [
                    {},
                    {"kubenas.io/experiment": name},
                    {"kubenas.io/experiment": name, "kubenas.io/experiment-uid": uid},
                    {"kubenas.io/experiment": "none"},
                ]
            ),
            "ownerReferences": rng.choice([[], [owner("NASExperiment", name, uid)], [owner("Pod", name, uid)]]),
        },
        "spec": {
            "number": rng.choice([0, 1, 1_000_000]),
            "resultsSeen": rng.choice([0, 1_000_000]),
            "stage": rng.choice([None, "none"]),
            "candidates": [candidate],
        },
    }


def some_experiment(rng: Random, index: int) -> Object:
    """An experiment that asks for the absurd."""
    limits = {"nvidia.com/gpu": rng.choice(QUANTITIES), "memory": rng.choice(QUANTITIES)}
    spec: dict[str, Any] = rng.choice(
        [
            {"trialTemplate": {"spec": {"schedulerName": "nobody", "affinity": nested(DEPTH)}}},
            {"trialTemplate": {"spec": nested(rng.choice([50, 200, 900, DEPTH]))}},
            {"task": {"name": "image-classification", "settings": nested(DEPTH)}},
            {"trialTemplate": {"spec": {"containers": [{"name": "trainer", "resources": {"limits": limits}}]}}},
            {"trialTemplate": {"spec": {"containers": [{"name": "trainer", "args": ["a" * 600_000]}]}}},
            {"trialTemplate": {"spec": {"containers": rng.choice([{}, "x", 1, [1], [None], [[]]])}}},
            {"trialTemplate": {"spec": {"nodeName": 1, "volumes": "x", "restartPolicy": []}}},
            {
                "searchSpace": {
                    "parameters": [{"name": f"p{i}", "type": "float", "min": -1e308, "max": 1e308} for i in range(64)]
                }
            },
            {"searchSpace": {"parameters": [{"name": "x", "type": "int", "min": -(2**53), "max": 2**53}]}},
            {"searchSpace": {"parameters": [{"name": "x", "type": "choice", "values": ["b" * 4000, "c" * 4000]}]}},
            {
                "searchSpace": {
                    "parameters": [{"name": "x", "type": "int", "min": 0, "max": 9}],
                    "constraints": [rng.choice(["x / 0 == 1", "[1].all(y, y", "x < 1 && x > 2", "'a' * 1000 == ''"])],
                }
            },
            {"objectives": [{"metric": "accuracy", "target": 1e308}, {"metric": "x", "limit": -1e308}]},
            {"budget": {"gpuHours": 1e-300, "wallClock": "1s"}},
            {"stages": [{"name": f"s{i}", "evaluation": {"epochs": 1_000_000}, "keep": {"top": 1}} for i in range(4)]},
            {"search": {"algorithm": "predictor", "seed": 2**31 - 1, "settings": {"x": nested(100)}}},
        ]
    )
    document = experiment(f"hostile-{index}", **spec)
    document["spec"].setdefault("trials", {"max": 1, "retries": 0})
    return document


def owner(kind: str, name: str, uid: str) -> Object:
    """A controller reference."""
    return {"apiVersion": API_VERSION, "kind": kind, "name": name, "uid": uid, "controller": True}
