"""The operator's own HTTP server: /healthz for probes, /metrics for Prometheus."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

from aiohttp import web
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

# One scrape at a time, however many ask: what it writes may be megabytes.
_WRITING = ThreadPoolExecutor(max_workers=1, thread_name_prefix="scrape")


async def serve(host: str, port: int, scrape: Callable[[], Collector]) -> web.AppRunner:
    """Start to serve; the caller cleans the runner up. A standby replica is healthy too.

    Args:
        scrape: gives what is exported at this moment; it is collected in a thread.

    Raises:
        OSError: the port is taken.
    """

    async def metrics(request: web.Request) -> web.Response:
        write, content_type = choose_encoder(request.headers.get("Accept", ""))
        body = await asyncio.get_running_loop().run_in_executor(_WRITING, write, scrape())
        return web.Response(body=body, headers={"Content-Type": content_type})

    application = web.Application()
    application.router.add_get("/healthz", _healthz)
    application.router.add_get("/metrics", metrics)
    runner = web.AppRunner(application, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, host, port).start()
    return runner


async def _healthz(_: web.Request) -> web.Response:
    # Answered by the loop that does the work, so that a blocked one is found out.
    return web.Response(text="ok\n")
