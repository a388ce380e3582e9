"""The operator's own HTTP server: /healthz for probes, /metrics for Prometheus."""

from __future__ import annotations

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from kubenas.cluster.operator_metrics import REGISTRY


async def serve(host: str, port: int) -> web.AppRunner:
    """Start to serve; the caller cleans the runner up. A standby replica is healthy too.

    Raises:
        OSError: the port is taken.
    """
    application = web.Application()
    application.router.add_get("/healthz", _healthz)
    application.router.add_get("/metrics", _metrics)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner


async def _healthz(_: web.Request) -> web.Response:
    # Answered by the loop that does the work, so that a blocked one is found out.
    return web.Response(text="ok\n")


async def _metrics(_: web.Request) -> web.Response:
    return web.Response(body=generate_latest(REGISTRY), headers={"Content-Type": CONTENT_TYPE_LATEST})
