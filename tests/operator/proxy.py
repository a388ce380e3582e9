"""A proxy between an operator and the apiserver, through which a test decides what arrives."""

from __future__ import annotations

import asyncio
import json
import random
import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Self

import aiohttp
from aiohttp import web
from yarl import URL

from tests.cluster.fake_pods import connection

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable
    from pathlib import Path

_KEPT_HEADERS = ("Content-Type", "Retry-After")
_WRITES = frozenset({"POST", "PUT", "PATCH", "DELETE"})


class Proxy:
    """Passes everything on, in a thread of its own.

    Args:
        kubeconfig: with whose credentials; the operator needs none for the proxy itself.

    Attributes:
        kubeconfig: what the operator is given in its place.
    """

    def __init__(self, kubeconfig: Path) -> None:
        self._server, self._tls = connection(kubeconfig)
        self.kubeconfig = kubeconfig.with_suffix(f".{id(self):x}.proxy.conf")
        self._started = threading.Event()
        self._thread = threading.Thread(target=lambda: asyncio.run(self._serve()), daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        assert self._started.wait(60)
        return self

    def __exit__(self, *_: object) -> None:
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    async def write(self, request: web.Request) -> web.StreamResponse:
        """Answer a request that changes something."""
        return await self.forward(request)

    async def event(self, line: bytes, send: Callable[[bytes], Awaitable[None]]) -> None:
        """Tell one event of a watch."""
        await send(line)

    async def forward(self, request: web.Request) -> web.Response:
        """The apiserver's answer."""
        headers = {name: value for name, value in request.headers.items() if name in ("Content-Type", "Accept")}
        body = await request.read() or None  # no body is not an empty one
        async with self._session.request(request.method, self._url(request), data=body, headers=headers) as answer:
            kept = {name: answer.headers[name] for name in _KEPT_HEADERS if name in answer.headers}
            return web.Response(status=answer.status, body=await answer.read(), headers=kept)

    async def _serve(self) -> None:
        self._loop, self._stop = asyncio.get_running_loop(), asyncio.Event()
        application = web.Application(client_max_size=2**24)
        application.router.add_route("*", "/{path:.*}", self._answer)
        runner = web.AppRunner(application, access_log=None, shutdown_timeout=0.1)
        await runner.setup()
        connector = aiohttp.TCPConnector(ssl=self._tls, limit=0)
        async with aiohttp.ClientSession(connector=connector, timeout=aiohttp.ClientTimeout(total=None)) as session:
            self._session = session
            await web.TCPSite(runner, "127.0.0.1", 0).start()
            self._write_kubeconfig(runner.addresses[0][1])
            self._started.set()
            await self._stop.wait()
            await runner.cleanup()

    async def _answer(self, request: web.Request) -> web.StreamResponse:
        if request.query.get("watch"):
            return await self._watch(request)
        return await (self.write(request) if request.method in _WRITES else self.forward(request))

    async def _watch(self, request: web.Request) -> web.StreamResponse:
        response = web.StreamResponse(headers={"Content-Type": "application/json"})

        async def send(line: bytes) -> None:
            with suppress(ConnectionError):  # a late event of a watch that is over
                await response.write(line)

        async with self._session.get(self._url(request), read_bufsize=2**22) as answer:
            if answer.status != 200:
                return web.Response(status=answer.status, body=await answer.read())
            await response.prepare(request)
            async for line in answer.content:
                await self.event(line, send)
        return response

    def _url(self, request: web.Request) -> URL:
        return URL(f"{self._server}{request.raw_path}", encoded=True)

    def _write_kubeconfig(self, port: int) -> None:
        config = {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "proxy",
            "contexts": [{"name": "proxy", "context": {"cluster": "proxy", "user": "nobody"}}],
            "clusters": [{"name": "proxy", "cluster": {"server": f"http://127.0.0.1:{port}"}}],
            "users": [{"name": "nobody", "user": {}}],
        }
        self.kubeconfig.write_text(json.dumps(config))


class Gate(Proxy):
    """Lets a number of writes through, and keeps the answer to the last of them.

    Args:
        kubeconfig: as of `Proxy`.
        last: the number of that write, from 1.
        closes: nothing passes after it; else its connection breaks and all goes on.

    Attributes:
        writes: how many writes have come.
        reached: set once the last one has been answered by the apiserver.
    """

    def __init__(self, kubeconfig: Path, last: int, *, closes: bool) -> None:
        super().__init__(kubeconfig)
        self._last = last
        self._closes = closes
        self.writes = 0
        self.reached = threading.Event()

    async def write(self, request: web.Request) -> web.StreamResponse:
        self.writes += 1
        number = self.writes
        if number > self._last and self._closes:
            return await self._never()
        answer = await self.forward(request)
        if number != self._last:
            return answer
        self.reached.set()
        if self._closes:
            return await self._never()
        assert request.transport is not None
        request.transport.abort()
        return answer

    async def _never(self) -> web.StreamResponse:
        await self._stop.wait()
        return web.Response(status=503)


class Chaos(Proxy):
    """Drops, doubles and delays events of watches, so that they come in another order, and breaks watches off."""

    def __init__(self, kubeconfig: Path, seed: int) -> None:
        super().__init__(kubeconfig)
        self._rng = random.Random(seed)
        self._late: set[asyncio.Task[None]] = set()
        self.harmed = 0

    async def event(self, line: bytes, send: Callable[[bytes], Awaitable[None]]) -> None:
        chance = self._rng.random()
        self.harmed += chance < 0.52
        if chance < 0.02:
            raise ConnectionAbortedError
        if chance < 0.17:
            return
        if chance < 0.32:
            await send(line)
        elif chance < 0.52:
            late = asyncio.create_task(self._send_later(line, send))
            self._late.add(late)
            late.add_done_callback(self._late.discard)
            return
        await send(line)

    async def _send_later(self, line: bytes, send: Callable[[bytes], Awaitable[None]]) -> None:
        await asyncio.sleep(self._rng.uniform(0, 1))
        await send(line)


class Silence(Proxy):
    """Keeps watches open that tell nothing more once it has fallen.

    Attributes:
        fallen: set to have it fall.
        untold: how many events have been kept back.
    """

    def __init__(self, kubeconfig: Path) -> None:
        super().__init__(kubeconfig)
        self.fallen = False
        self.untold = 0

    async def event(self, line: bytes, send: Callable[[bytes], Awaitable[None]]) -> None:
        if self.fallen:
            self.untold += 1
        else:
            await send(line)
