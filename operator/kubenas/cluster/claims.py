"""Reads how many devices the trials' ResourceClaims hold (dynamic resource allocation): their pods do not say so."""

from __future__ import annotations

import logging
import time
from typing import Final

from kubenas.cluster.client import ApiError, Client
from kubenas.cluster.devices import allocated
from kubenas.cluster.store import Store
from kubenas.experiment.state import Attempt

_GROUP: Final = "resource.k8s.io"
# Pods whose claims are read before anything else is done.
_MOST: Final = 8
# Before something that is not there yet, or an apiserver that does not answer, is asked for again.
_AGAIN_SECONDS: Final = 5.0
# It may not be read, or is gone, as one whose protection was taken away.
_UNREADABLE: Final = frozenset({403, 404})

_LOG = logging.getLogger(__name__)


class ClaimReader:
    """Reads the claims of an experiment's pods once each: when a pod has a node, its devices are allocated."""

    def __init__(self, client: Client, store: Store) -> None:
        self._client, self._store = client, store
        self._next = 0.0

    async def read(self) -> float | None:
        """Note in the store how many devices attempts hold.

        Returns:
            when to read again; None where all is known.
        """
        unread, now = self._store.pods.unread_claims(), time.time()
        if not unread:
            return None
        if now < self._next:
            return self._next
        for attempt in unread[:_MOST]:
            try:
                found = await self._devices(attempt)
            except ApiError as error:
                if error.code not in _UNREADABLE:
                    found = None
                else:
                    _LOG.warning("%s/%s: claims count as one device each: %s", *self._store.key, error)
                    found = {}
            if found is None:
                self._next = now + _AGAIN_SECONDS
            else:
                self._store.pods.put_claimed(attempt, found)
        return max(self._next, now) if self._store.pods.unread_claims() else None

    async def _devices(self, attempt: Attempt) -> dict[str, float] | None:
        """Devices by the names of claims in the pod; None where not all of them are allocated yet."""
        path = f"{await self._client.served(_GROUP)}/namespaces/{self._store.key[0]}/resourceclaims"
        found: dict[str, float] = {}
        for name, claim in attempt.claims.items():
            devices = allocated(await self._client.get(f"{path}/{claim}"))
            if devices is None:
                return None
            found[name] = devices
        return found
