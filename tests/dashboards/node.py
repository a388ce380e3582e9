"""Runs the pods of trials as processes of this machine, and tells of their devices as the NVIDIA DCGM exporter does.

As a process: ``python -m tests.dashboards.node --kubeconfig FILE --epoch SECONDS --devices PORT``.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import secrets
import sys
import tempfile
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kubenas.cluster.names import BENCHMARK_LABEL
from kubenas.experiment.contract import METRIC_VARIABLE
from kubenas.local.trainer import free_port
from tests.cluster.control_plane import REPOSITORY
from tests.cluster.fake_pods import TRIAL_VARIABLE, Ending, FakePods, ended, expanded, running, trial_of
from tests.dashboards.devices import Devices
from tests.operator.endings import moment

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

METRICS_PORT = 8080


class Node(FakePods):
    """Runs each trial's pod: `tests.dashboards.trainer` with the pod's environment, its metrics at the pod's address.

    Args:
        kubeconfig: of an administrator.
        epoch: seconds that an epoch takes at least.
        devices: gets one for each pod that runs.
    """

    def __init__(self, kubeconfig: Path, epoch: float, devices: Devices) -> None:
        super().__init__(kubeconfig)
        self._epoch = epoch
        self._devices = devices

    async def _drive(self, pod: dict[str, Any]) -> None:
        if BENCHMARK_LABEL in pod["metadata"]["labels"]:
            await self._measure(pod)
            return
        try:
            trial_of(pod)
        except ValueError:
            return  # made by no operator
        address = f"127.{1 + secrets.randbelow(254)}.{secrets.randbelow(256)}.{1 + secrets.randbelow(254)}"
        port = free_port()
        scheduled = {"type": "PodScheduled", "status": "True", "lastTransitionTime": moment()}
        await self._patch(pod, {"phase": "Pending", "conditions": [scheduled]})
        with tempfile.TemporaryDirectory() as folder:
            log = Path(folder, "termination-log")
            async with relayed(address, port), self._process(pod, port, log) as process:
                ips = {"podIP": address, "podIPs": [{"ip": address}]}
                await self._patch(pod, {**running(pod), **ips, "conditions": [scheduled]})
                begin = moment()
                name = (pod["metadata"]["namespace"], pod["metadata"]["name"])
                with self._devices.used(*name, process.pid):
                    code = await process.wait()
            message = said(log)
        status = ended(pod, Ending(message, code, "Error" if code else "Completed"))
        status["containerStatuses"][0]["state"]["terminated"]["startedAt"] = begin
        await self._patch(pod, {**status, "conditions": [scheduled]})

    async def _measure(self, pod: dict[str, Any]) -> None:
        """What a board would say, after a while."""
        began = moment()
        await self._patch(pod, running(pod))
        await asyncio.sleep(self._epoch)
        (metric,) = [one["value"] for one in pod["spec"]["containers"][0]["env"] if one["name"] == METRIC_VARIABLE]
        await self._patch(pod, ended(pod, Ending(json.dumps({metric: 1.5})), began))

    @asynccontextmanager
    async def _process(self, pod: dict[str, Any], port: int, log: Path) -> AsyncIterator[asyncio.subprocess.Process]:
        """The trainer; it ends with the pod."""
        (given,) = [each["value"] for each in pod["spec"]["containers"][0]["env"] if each["name"] == TRIAL_VARIABLE]
        environment = os.environ | {
            TRIAL_VARIABLE: expanded(given, {}),
            "KUBENAS_CHECKPOINT_DIR": str(log.parent),
            "KUBENAS_METRICS_PORT": str(port),
            "KUBENAS_TERMINATION_LOG": str(log),
        }
        command = [
            "setpriv",
            "--pdeathsig=KILL",
            "--",
            sys.executable,
            "-m",
            "tests.dashboards.trainer",
            str(self._epoch),
        ]
        process = await asyncio.create_subprocess_exec(*command, env=environment, cwd=REPOSITORY)
        try:
            yield process
        finally:
            with suppress(ProcessLookupError):
                process.kill()


def said(log: Path) -> str:
    """The termination message, if there is one."""
    return log.read_text() if log.exists() else ""


@asynccontextmanager
async def relayed(address: str, port: int) -> AsyncIterator[None]:
    """Let a port of this machine's be reached as that of metrics at an address."""

    async def relay(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with suppress(OSError):
            others_reader, others_writer = await asyncio.open_connection("127.0.0.1", port)
            await asyncio.gather(copied(reader, others_writer), copied(others_reader, writer))
        writer.close()

    async with await asyncio.start_server(relay, address, METRICS_PORT):
        yield


async def copied(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    with suppress(OSError):
        while data := await reader.read(2**16):
            writer.write(data)
            await writer.drain()
        writer.close()


async def run(kubeconfig: Path, epoch: float, port: int) -> None:
    devices = Devices()
    async with devices.served(port):
        await Node(kubeconfig, epoch, devices).run()


def main() -> None:
    parser = argparse.ArgumentParser(prog="python -m tests.dashboards.node", description=__doc__)
    parser.add_argument("--kubeconfig", type=Path, required=True)
    parser.add_argument("--epoch", type=float, required=True, help="seconds that an epoch takes at least")
    parser.add_argument("--devices", type=int, required=True, help="port of what is told of devices")
    arguments = parser.parse_args()
    asyncio.run(run(arguments.kubeconfig, arguments.epoch, arguments.devices))


if __name__ == "__main__":
    main()
