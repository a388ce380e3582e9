"""Plays the node for trials' pods on a control plane that has none: makes them run, end, and leave their results.

As a process: ``python -m tests.cluster.fake_pods --kubeconfig FILE [--outcome MODULE:FUNCTION] [--seconds N]
[--on-nodes]``.
What a pod answers is a function of the trial in its environment alone, so that a run can be repeated and checked.
"""

from __future__ import annotations

import argparse
import asyncio
import base64
import hashlib
import importlib
import json
import re
import ssl
import tempfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiohttp
import yaml

SELECTOR = "kubenas.io/trial"
TRIAL_VARIABLE = "KUBENAS_TRIAL"
PATCHES_AT_ONCE = 16


@dataclass(frozen=True)
class Ending:
    """How a pod's container ends.

    Attributes:
        message: the termination message.
        exit_code: zero makes the pod Succeeded, all else Failed.
        reason: as the kubelet gives it: Completed, Error, OOMKilled, ….
        seconds: how long it runs before; at zero the pod is never seen running.
    """

    message: str = ""
    exit_code: int = 0
    reason: str = "Completed"
    seconds: float = 0.0


Trial = dict[str, Any]
Outcome = Callable[[Trial], Ending]


def accuracy(trial: Trial) -> Ending:
    """Each candidate has been trained in full, to an accuracy drawn from its architecture alone."""
    results = [
        {
            "candidate": candidate["id"],
            "step": candidate["epochs"],
            "metrics": {"accuracy": drawn(candidate["architecture"])},
        }
        for candidate in trial["candidates"]
    ]
    return Ending(json.dumps({"results": results}))


def drawn(value: Any) -> float:
    """A number from [0, 1) that a JSON value determines."""
    digest = hashlib.sha256(json.dumps(value, sort_keys=True).encode()).digest()
    return int.from_bytes(digest[:6], "big") / 2**48


def running(pod: dict[str, Any]) -> dict[str, Any]:
    """The status of a pod whose containers run since now."""
    return _status(pod, "Running", {"running": {"startedAt": _now()}})


def ended(pod: dict[str, Any], ending: Ending, started: str | None = None) -> dict[str, Any]:
    """The status of a pod whose containers have just ended, and were started then, or just now too."""
    now = _now()
    state = {
        "exitCode": ending.exit_code,
        "reason": ending.reason,
        "message": ending.message,
        "startedAt": started or now,
        "finishedAt": now,
    }
    return _status(pod, "Succeeded" if ending.exit_code == 0 else "Failed", {"terminated": state})


class FakePods:
    """Watches the pods of trials in all namespaces and drives each to its end.

    Args:
        on_nodes: once a scheduler has given the pod a node, and not before.
    """

    def __init__(
        self, kubeconfig: Path, outcome: Outcome = accuracy, selector: str = SELECTOR, *, on_nodes: bool = False
    ) -> None:
        self._server, self._tls = connection(kubeconfig)
        self._outcome = outcome
        self._selector = {"labelSelector": selector}
        if on_nodes:
            # A pod joins this selection when it gets a node: it then comes as if it were new.
            self._selector["fieldSelector"] = "spec.nodeName!="
        self._driven: dict[str, asyncio.Task[None]] = {}
        # Pods that a scheduling gate holds: no node takes them before it is gone.
        self._held: set[str] = set()
        self._writing = asyncio.Semaphore(PATCHES_AT_ONCE)

    async def run(self) -> None:
        """Go on until cancelled."""
        connector = aiohttp.TCPConnector(ssl=self._tls, limit=0)
        timeout = aiohttp.ClientTimeout(total=None)
        async with (
            aiohttp.ClientSession(self._server, connector=connector, timeout=timeout) as self._session,
            asyncio.TaskGroup() as self._tasks,
        ):
            while True:
                version = await self._list()
                with suppress(aiohttp.ClientPayloadError):
                    await self._watch(version)

    async def _list(self) -> str:
        async with self._session.get("/api/v1/pods", params=self._selector) as response:
            response.raise_for_status()
            pods = await response.json()
        for pod in pods["items"]:
            self._see(pod)
        version: str = pods["metadata"]["resourceVersion"]
        return version

    async def _watch(self, version: str) -> None:
        parameters = {**self._selector, "watch": "1", "resourceVersion": version}
        async with self._session.get("/api/v1/pods", params=parameters, read_bufsize=2**22) as response:
            response.raise_for_status()
            async for line in response.content:
                # most events are of this process's own making: tell them by their first bytes, unparsed
                first = (b'{"type":"ADDED"', b'{"type":"DELETED"', *([b'{"type":"MODIFIED"'] if self._held else []))
                if line.startswith(first):
                    event = json.loads(line)
                    uid = event["object"]["metadata"]["uid"]
                    if event["type"] == "DELETED":
                        self._held.discard(uid)
                        if task := self._driven.get(uid):
                            task.cancel()
                    elif event["type"] == "ADDED" or uid in self._held:
                        self._see(event["object"])
                elif line.startswith(b'{"type":"ERROR"'):
                    return  # too old a version: list again

    def _see(self, pod: dict[str, Any]) -> None:
        uid = pod["metadata"]["uid"]
        if uid in self._driven or pod.get("status", {}).get("phase") in ("Succeeded", "Failed"):
            return
        if pod["spec"].get("schedulingGates"):
            self._held.add(uid)
            return
        self._held.discard(uid)
        task = self._driven[uid] = self._tasks.create_task(self._drive(pod))
        task.add_done_callback(lambda _: self._driven.pop(uid))

    async def _drive(self, pod: dict[str, Any]) -> None:
        try:
            ending = self._outcome(trial_of(pod))
        except ValueError:
            return  # made by no operator
        started = None
        if ending.seconds > 0:
            started = _now()
            await self._patch(pod, running(pod))
            await asyncio.sleep(ending.seconds)
        await self._patch(pod, ended(pod, ending, started))

    async def _patch(self, pod: dict[str, Any], status: dict[str, Any]) -> None:
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{metadata['namespace']}/pods/{metadata['name']}/status"
        # a pod of the same name may have taken this one's place
        body = json.dumps({"metadata": {"uid": metadata["uid"]}, "status": status}).encode()
        headers = {"Content-Type": "application/merge-patch+json"}
        async with self._writing, self._session.patch(path, data=body, headers=headers) as response:
            if response.status not in (200, 404, 409):
                print(f"{path}: {response.status} {await response.text()}", flush=True)


def trial_of(pod: dict[str, Any]) -> Trial:
    """The trial that a pod was made for, from its environment."""
    for container in pod["spec"]["containers"]:
        for variable in container.get("env", ()):
            if variable["name"] == TRIAL_VARIABLE:
                trial: Trial = json.loads(expanded(variable["value"], {}))
                return trial
    raise ValueError(f"pod {pod['metadata']['name']} has no {TRIAL_VARIABLE} in its environment")


def expanded(text: str, environment: Mapping[str, str]) -> str:
    """What the kubelet makes of a variable's value or an argument: `$(NAME)` and `$$`, from left to right."""

    def part(match: re.Match[str]) -> str:
        return "$" if match[0] == "$$" else environment.get(match[1], match[0])

    return re.sub(r"\$\$|\$\(([^)]*)\)", part, text)


def _status(pod: dict[str, Any], phase: str, state: dict[str, Any]) -> dict[str, Any]:
    containers = [
        {
            "name": container["name"],
            "image": container["image"],
            "imageID": "",
            "ready": phase == "Running",
            "started": phase == "Running",
            "restartCount": 0,
            "state": state,
        }
        for container in pod["spec"]["containers"]
    ]
    scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": pod["metadata"]["creationTimestamp"]}
    return {"phase": phase, "conditions": [scheduled], "containerStatuses": containers}


def _now() -> str:
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


def connection(kubeconfig: Path) -> tuple[str, ssl.SSLContext]:
    """The API's address, and TLS with the client certificate that the file holds."""
    config = yaml.safe_load(kubeconfig.read_text())
    cluster, user = config["clusters"][0]["cluster"], config["users"][0]["user"]
    tls = ssl.create_default_context(cadata=base64.b64decode(cluster["certificate-authority-data"]).decode())
    with tempfile.NamedTemporaryFile() as pair:
        pair.write(base64.b64decode(user["client-certificate-data"]))
        pair.write(base64.b64decode(user["client-key-data"]))
        pair.flush()
        tls.load_cert_chain(pair.name)
    return cluster["server"], tls


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.cluster.fake_pods", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument(
        "--outcome", default="tests.cluster.fake_pods:accuracy", help="MODULE:FUNCTION from a trial to its Ending"
    )
    parser.add_argument("--on-nodes", action="store_true", help="only pods that have a node")
    parser.add_argument("--seconds", type=float, help="how long each pod runs, whatever its outcome says")
    arguments = parser.parse_args()
    module, _, function = arguments.outcome.partition(":")
    outcome: Outcome = getattr(importlib.import_module(module), function)
    if (seconds := arguments.seconds) is not None:
        chosen = outcome

        def outcome(trial: Trial) -> Ending:
            return replace(chosen(trial), seconds=seconds)

    asyncio.run(FakePods(arguments.kubeconfig, outcome, on_nodes=arguments.on_nodes).run())


if __name__ == "__main__":
    main()
