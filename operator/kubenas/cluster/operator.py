"""The operator as a process: elected, it lists, watches and runs the loops until it is told to stop."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import logging
import os
import secrets
import signal
import socket
import sys
from dataclasses import dataclass

import httpx
from kubernetes.aio import client as kubernetes

from kubenas.cluster.checker import CHECKER
from kubenas.cluster.client import ApiError, Client, connect
from kubenas.cluster.collector import Scrape
from kubenas.cluster.election import FencedLock, lead
from kubenas.cluster.lag import measure
from kubenas.cluster.manager import Manager
from kubenas.cluster.operator_metrics import REGISTRY
from kubenas.cluster.pods import PodDefaults
from kubenas.cluster.readings import Reader
from kubenas.cluster.server import serve
from kubenas.cluster.watch import watch
from kubenas.metrics.fetch import http_client

# Time for the watches to end; what matters is written by then.
_STOP_SECONDS = 5.0
_SWITCH_SECONDS = 0.001
_DEEPEST_OBJECT = 12_000
# New objects, collections of these, and of those in turn.
_COLLECTED_AT = (100_000, 50, 100)

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class OperatorSettings:
    """How an operator is started.

    Attributes:
        namespace: the only one to serve; None for all.
        lease_namespace: where the Lease is.
        host, port: of /healthz and /metrics.
        resync_seconds: time between two complete lists.
    """

    namespace: str | None
    kubeconfig: str | None
    lease_namespace: str
    prometheus_url: str | None
    pods: PodDefaults
    host: str
    port: int
    resync_seconds: float


async def run(settings: OperatorSettings) -> int:
    """Run until SIGTERM or SIGINT (0), or until the lease is lost or something fails for good (1).

    Raises:
        ApiError: there is no cluster, or it has no NASExperiments.
        OSError: the port is taken.
    """
    set_up_interpreter()
    stop = asyncio.Event()
    _stop_on_signals(stop)
    measuring: asyncio.Task[None] | None = None
    try:
        api = await connect(settings.kubeconfig)
        async with api, http_client() as http:
            CHECKER.start()
            # Collections would go through all that was imported, for tens of milliseconds each time.
            gc.freeze()
            measuring = asyncio.create_task(measure())
            return await _elected(settings, api, http, stop)
    finally:
        if measuring is not None:
            measuring.cancel()


def set_up_interpreter() -> None:
    """Limits and turns of the interpreter, as an event loop needs them that many share."""
    # The apiserver takes objects of 10,000 levels, and one of them must not keep a whole list from being read.
    sys.setrecursionlimit(_DEEPEST_OBJECT)
    # Threads compute beside the event loop, which should not have to wait for its turn.
    sys.setswitchinterval(_SWITCH_SECONDS)
    # One object can have 700,000 lists: at the usual thresholds each few more of them are all gone through again.
    gc.set_threshold(*_COLLECTED_AT)


async def _elected(
    settings: OperatorSettings, api: kubernetes.ApiClient, http: httpx.AsyncClient, stop: asyncio.Event
) -> int:
    identity = f"{os.environ.get('HOSTNAME') or socket.gethostname()}-{secrets.token_hex(4)}"
    lock = FencedLock(settings.lease_namespace, identity, api)
    client = Client(api, lock.may_write)
    manager = Manager(client, Reader(http, settings.prometheus_url), settings.pods, settings.namespace)
    runner = await serve(settings.host, settings.port, lambda: _scrape(lock, manager))
    try:
        return await _lead(settings, lock, manager, api, stop)
    finally:
        await runner.cleanup()


def _scrape(lock: FencedLock, manager: Manager) -> Scrape:
    """What is exported now."""
    leads = lock.held
    # Another replica may lead by now, and export them.
    return Scrape(REGISTRY, leads=leads, snapshots=manager.snapshots() if leads else ())


async def _lead(
    settings: OperatorSettings, lock: FencedLock, manager: Manager, api: kubernetes.ApiClient, stop: asyncio.Event
) -> int:
    failure: BaseException | None = None
    working: asyncio.Task[None] | None = None

    async def work() -> None:
        nonlocal failure, working
        working = asyncio.current_task()
        try:
            await _work(settings, manager, api, stop)
        except asyncio.CancelledError:
            raise
        except BaseException as error:
            failure = error
            stop.set()

    leading = asyncio.create_task(lead(lock, work))
    stopping = asyncio.create_task(stop.wait())
    await asyncio.wait({leading, stopping}, return_when=asyncio.FIRST_COMPLETED)
    lost = leading.done()
    if lost:
        failure = failure or leading.exception()
    await manager.stop()
    stop.set()
    if working is not None:
        await asyncio.wait({working}, timeout=_STOP_SECONDS)
    for task in (leading, stopping):
        task.cancel()
    await asyncio.gather(leading, stopping, return_exceptions=True)
    await lock.release()
    if failure is not None:
        raise failure
    return 1 if lost else 0


async def _work(settings: OperatorSettings, manager: Manager, api: kubernetes.ApiClient, stop: asyncio.Event) -> None:
    """What only the leader does."""
    try:
        await manager.resync()
    except ApiError as error:
        if error.code == 404:
            install = "kubectl apply --server-side -k crds"
            message = f"the cluster has no NASExperiments: install the resources with `{install}`"
            raise ApiError(404, "NotInstalled", message) from error
        raise
    _LOG.info("ready")
    ready, watch_stop = asyncio.Event(), asyncio.Event()
    watching = asyncio.create_task(watch(manager, api, settings.namespace, ready, watch_stop))
    syncing = asyncio.create_task(manager.keep_in_sync(settings.resync_seconds))
    starting = asyncio.create_task(ready.wait())
    stopping = asyncio.create_task(stop.wait())
    try:
        await asyncio.wait({watching, starting}, return_when=asyncio.FIRST_COMPLETED)
        _stop_on_signals(stop)  # kopf has put its own handlers in place
        await asyncio.wait({watching, syncing, stopping}, return_when=asyncio.FIRST_COMPLETED)
        stop.set()
    finally:
        for task in (syncing, starting, stopping):
            task.cancel()
        watch_stop.set()
        with contextlib.suppress(asyncio.CancelledError):
            await watching


def _stop_on_signals(stop: asyncio.Event) -> None:
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
