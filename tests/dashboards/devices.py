"""GPUs that are not there, told of as the NVIDIA DCGM exporter does.

The text is the exporter's documented format: the metrics of
https://github.com/NVIDIA/dcgm-exporter/blob/main/etc/default-counters.csv with the labels that it adds in Kubernetes.
The pods are those that really run. The figures are made from what their processes really use: a tenth of a core stands
for a GPU.
"""

from __future__ import annotations

import time
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from aiohttp import web

from benchmarks.measure import cpu_seconds

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

GPUS = 4
CORES_A_GPU = 0.1
IDLE_WATTS, MOST_WATTS = 16.0, 72.0
METRICS = {
    "DCGM_FI_DEV_GPU_UTIL": ("gauge", "GPU utilization (in %)."),
    "DCGM_FI_DEV_FB_USED": ("gauge", "Framebuffer memory used (in MiB)."),
    "DCGM_FI_DEV_POWER_USAGE": ("gauge", "Power draw (in W)."),
    "DCGM_FI_DEV_TOTAL_ENERGY_CONSUMPTION": ("counter", "Total energy consumption since boot (in mJ)."),
    "DCGM_FI_PROF_PIPE_TENSOR_ACTIVE": ("gauge", "Ratio of cycles the tensor (HMMA) pipe is active."),
}


@dataclass
class Device:
    """One GPU, and the process on it."""

    number: int
    pod: tuple[str, str] | None = None
    pid: int = 0
    millijoules: float = 1e6
    seen: float = field(default_factory=time.monotonic)
    cpu: float = 0.0

    def figures(self) -> dict[str, float]:
        """Its metrics since they were last asked for."""
        now, used, mebibytes = time.monotonic(), self.cpu, 0.0
        with suppress(OSError):
            if self.pid:
                used = cpu_seconds(self.pid)
                mebibytes = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1]) * 4096 / 2**20
        busy = min(1.0, max(0.0, used - self.cpu) / max(CORES_A_GPU * (now - self.seen), 1e-3))
        watts = IDLE_WATTS + (MOST_WATTS - IDLE_WATTS) * busy
        self.millijoules += 1000 * watts * (now - self.seen)
        self.seen, self.cpu = now, used
        values = (round(100 * busy), round(mebibytes), round(watts, 3), round(self.millijoules), round(busy / 2, 6))
        return dict(zip(METRICS, values, strict=True))

    def labels(self) -> str:
        """Its labels, with the pod's where one uses it."""
        namespace, pod = self.pod or ("", "")
        labels = {
            "gpu": self.number,
            "UUID": f"GPU-{self.number:08x}",
            "pci_bus_id": f"00000000:0{self.number}:00.0",
            "device": f"nvidia{self.number}",
            "modelName": "NVIDIA L4",
            "Hostname": "node-1",
            "DCGM_FI_DRIVER_VERSION": "570.0",
            "container": "trainer" if pod else "",
            "namespace": namespace,
            "pod": pod,
        }
        return ",".join(f'{name}="{value}"' for name, value in labels.items())


class Devices:
    """The GPUs of a node."""

    def __init__(self) -> None:
        self._devices = [Device(number) for number in range(GPUS)]

    @contextmanager
    def used(self, namespace: str, pod: str, pid: int) -> Iterator[None]:
        """Let a pod's process have a GPU."""
        device = next((device for device in self._devices if device.pod is None), None)
        if device is None:
            raise RuntimeError(f"more than {GPUS} pods run")
        device.figures()
        device.pod, device.pid, device.cpu = (namespace, pod), pid, 0.0
        try:
            yield
        finally:
            device.pod, device.pid = None, 0

    def text(self) -> str:
        """All metrics of all GPUs."""
        figures = [(device.labels(), device.figures()) for device in self._devices]
        lines = []
        for name, (kind, said) in METRICS.items():
            lines += [f"# HELP {name} {said}", f"# TYPE {name} {kind}"]
            lines += [f"{name}{{{labels}}} {values[name]}" for labels, values in figures]
        return "\n".join(lines) + "\n"

    @asynccontextmanager
    async def served(self, port: int) -> AsyncIterator[None]:
        """Serve them on a port."""
        application = web.Application()

        async def metrics(_: web.Request) -> web.Response:
            return web.Response(text=self.text(), headers={"Content-Type": "text/plain; version=0.0.4"})

        application.router.add_get("/metrics", metrics)
        runner = web.AppRunner(application, access_log=None)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        try:
            yield
        finally:
            await runner.cleanup()
