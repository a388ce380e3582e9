"""Leader election by a Lease: one replica acts, the others wait; a former leader can write no more."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, TypeVar

import aiohttp
from kubernetes.aio import client as kubernetes
from kubernetes.aio.client.exceptions import ApiException
from kubernetes.aio.leaderelection.electionconfig import Config
from kubernetes.aio.leaderelection.leaderelection import LeaderElection
from kubernetes.aio.leaderelection.leaderelectionrecord import LeaderElectionRecord
from kubernetes.aio.leaderelection.resourcelock.leaselock import LeaseLock

LEASE = "kubenas-operator"
LEASE_SECONDS = 12
RENEW_SECONDS = 8
RETRY_SECONDS = 2
# A write is begun only while the lease holds for at least this long: by then it has arrived.
_MARGIN_SECONDS = 2

_LOG = logging.getLogger(__name__)
_Answer = TypeVar("_Answer")


class NotLeaderError(Exception):
    """This process holds the lease no more, so it must not write."""


class FencedLock(LeaseLock):
    """A Lease that remembers until when it holds, by this machine's own clock.

    A process that was stopped for a while, or cut off from the apiserver, thus learns before its next
    write that another one may lead by now.
    """

    def __init__(self, namespace: str, identity: str, api: kubernetes.ApiClient) -> None:
        super().__init__(LEASE, namespace, identity, api)
        self._holds_until = 0.0

    @property
    def held(self) -> bool:
        """Whether the lease holds, and will for long enough to write."""
        return time.monotonic() <= self._holds_until - _MARGIN_SECONDS

    def may_write(self) -> None:
        """Raise `NotLeaderError` if the lease may not hold any more."""
        if not self.held:
            raise NotLeaderError(f"lease {self.namespace}/{self.name} is not held by {self.identity}")

    async def get(self, name: str, namespace: str) -> Any:
        """The lease's record, or why there is none."""
        return await _answer(super().get(name, namespace), lambda error: (False, error))

    async def create(self, name: str, namespace: str, election_record: LeaderElectionRecord) -> bool:
        """Make the lease, held by this process."""
        return await self._hold(self._create(name, namespace, election_record))

    async def update(self, name: str, namespace: str, updated_record: LeaderElectionRecord) -> bool:
        """Take or renew the lease."""
        return await self._hold(super().update(name, namespace, updated_record))

    async def release(self) -> None:
        """Give the lease back, so that another replica need not wait for its end."""
        if time.monotonic() > self._holds_until:
            return
        self._holds_until = 0.0
        patch = {"spec": {"holderIdentity": None, "leaseDurationSeconds": 1}}
        try:
            async with asyncio.timeout(RETRY_SECONDS):
                await self.api_instance.patch_namespaced_lease(self.name, self.namespace, patch)
        except (ApiException, aiohttp.ClientError, TimeoutError, OSError) as error:
            _LOG.info("the lease was not given back: %s", error)

    async def _create(self, name: str, namespace: str, record: LeaderElectionRecord) -> bool:
        # The library's own sends `pretty=True`, which its client refuses (kubernetes 37.0.2).
        lease = kubernetes.V1Lease(metadata=kubernetes.V1ObjectMeta(name=name), spec=self.update_lease(record))
        try:
            await self.api_instance.create_namespaced_lease(namespace, lease)
        except ApiException as error:
            _LOG.warning("cannot make lease %s/%s: %s", namespace, name, error.reason)
            return False
        return True

    async def _hold(self, writing: Coroutine[Any, Any, bool]) -> bool:
        began = time.monotonic()
        held = await _answer(writing, lambda _: False)
        if held:
            self._holds_until = began + LEASE_SECONDS
        return held


async def lead(lock: FencedLock, work: Callable[[], Coroutine[Any, Any, None]]) -> None:
    """Wait for the lease, run `work`, and cancel it once the lease is lost. Returns when it is lost."""

    async def started() -> None:
        _LOG.info("%s leads", lock.identity)
        await work()

    async def stopped() -> None:
        _LOG.warning("%s leads no more", lock.identity)

    config = Config(lock, LEASE_SECONDS, RENEW_SECONDS, RETRY_SECONDS, started, stopped)
    await LeaderElection(config).run()


async def _answer(request: Awaitable[_Answer], otherwise: Callable[[Exception], _Answer]) -> _Answer:
    """The answer of a request about the lease; a silent apiserver is a refusal, not an end."""
    try:
        async with asyncio.timeout(RENEW_SECONDS / 2):
            return await request
    except (aiohttp.ClientError, TimeoutError, OSError) as error:
        _LOG.warning("the lease cannot be reached: %s", error or type(error).__name__)
        return otherwise(ApiException(status=0, reason=str(error)))
