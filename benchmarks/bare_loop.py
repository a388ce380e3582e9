"""The least that any operator for pods must do, as the peer that KubeNAS is measured against.

A kopf event handler that keeps a number of trials running: for each it creates a NASTrial and a pod, patches the
trial's status once the pod has ended, and deletes the pod. No search, no status of an experiment, no metrics, no
safety: what this costs is kopf, the client and the apiserver.

    python -m benchmarks.bare_loop NAMESPACE TRIALS PARALLELISM IMAGE
"""

from __future__ import annotations

import asyncio
import sys
from typing import Any

import kopf

from kubenas.api.trial import TrialSpec
from kubenas.cluster.client import Client, connect
from kubenas.cluster.names import TRIAL_LABEL, pods, trials
from kubenas.cluster.watch import connection


async def run(namespace: str, count: int, parallelism: int) -> None:
    """Run `count` trials, then end."""
    api = await connect(None)
    client = Client(api)
    numbers = iter(range(count))
    left = count
    done = asyncio.Event()
    registry = kopf.OperatorRegistry()
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    settings.scanning.disabled = True
    settings.watching.label_selectors["pods"] = TRIAL_LABEL
    ended: set[str] = set()
    made: dict[str, Any] = {}

    async def start() -> None:
        number = next(numbers, None)
        if number is None:
            return
        name = f"bare-{number}"
        made[name] = (await client.create(trials(namespace), _trial(name, number)))["metadata"]
        await client.create(pods(namespace), _pod(name))

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return await connection(api)

    @kopf.on.event("", "v1", "pods", registry=registry)
    async def pod(event: kopf.RawEvent, name: str, **_: Any) -> None:
        nonlocal left
        document: Any = event["object"]
        if event["type"] == "DELETED" or document.get("status", {}).get("phase") != "Succeeded" or name in ended:
            return
        ended.add(name)
        trial = document["metadata"]["labels"][TRIAL_LABEL]
        ending = {**_trial(trial, 0), "metadata": made.pop(trial), "status": {"phase": "Succeeded"}}
        await client.update(f"{trials(namespace, trial)}/status", ending)
        await client.delete(pods(namespace, name))
        left -= 1
        if left == 0:
            done.set()
        await start()

    ready = asyncio.Event()
    operator = asyncio.create_task(
        kopf.operator(
            registry=registry,
            settings=settings,
            standalone=True,
            namespaces=[namespace],
            ready_flag=ready,
            stop_flag=done,
        )
    )
    await ready.wait()
    await asyncio.gather(*(start() for _ in range(parallelism)))
    await done.wait()
    operator.cancel()
    await asyncio.gather(operator, return_exceptions=True)
    await api.close()


def _trial(name: str, number: int) -> dict[str, Any]:
    cell = dict.fromkeys(("0-1", "0-2", "0-3", "1-2", "1-3", "2-3"), "nor_conv_3x3")
    candidate = {"id": "0", "name": "cell", "architecture": cell, "epochs": 1}
    spec = TrialSpec.model_validate({"number": number, "resultsSeen": 0, "candidates": [candidate]})
    return {"apiVersion": "kubenas.io/v1alpha1", "kind": "NASTrial", "metadata": {"name": name}, "spec": spec.dump()}


def _pod(name: str) -> dict[str, Any]:
    document = '{"candidates":[{"id":"0","architecture":{},"epochs":1}]}'
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name, "labels": {TRIAL_LABEL: name}},
        "spec": {
            "restartPolicy": "Never",
            "schedulerName": "nobody",
            "containers": [{"name": "trainer", "image": "none", "env": [{"name": "KUBENAS_TRIAL", "value": document}]}],
        },
    }


if __name__ == "__main__":
    asyncio.run(run(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
