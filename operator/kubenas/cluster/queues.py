"""Asks Kueue why it does not admit a trial's pod: only the pod's Workload says so."""

from __future__ import annotations

import time
from typing import Final

from kubenas.cluster.client import ApiError, Client, Object
from kubenas.cluster.store import Store
from kubenas.experiment.admission import QUEUED_SECONDS, QueueReason, first_queued
from kubenas.experiment.state import Attempt

_GROUP: Final = "kueue.x-k8s.io"
# Label of a Workload: the uid of what it was made for.
_OWNER: Final = "kueue.x-k8s.io/job-uid"
# Between two requests of an experiment.
_AGAIN_SECONDS: Final = 15.0
# Longest text that is taken over.
_TEXT: Final = 4096


class QueueWatcher:
    """Looks after the pod of an experiment that has been queued for longest."""

    def __init__(self, client: Client, store: Store) -> None:
        self._client, self._store = client, store
        self._asked: str | None = None
        self._next = 0.0

    async def read(self) -> float | None:
        """Note in the store why that pod waits, if it has done so for a while.

        Returns:
            when to ask again; None where no pod is queued.
        """
        first = first_queued(self._store.pods.attempts().values())
        if first is None or first.waiting is None or not first.managed:
            self._store.queue_reason = None
            return None
        now = time.time()
        due = max(first.waiting.since + QUEUED_SECONDS, self._next if self._asked == first.uid else 0.0)
        if now < due:
            return due
        self._asked, self._next = first.uid, now + _AGAIN_SECONDS
        try:
            message = await self._reason(first)
        except ApiError as error:
            if error.code != 403:
                return self._next  # what was known before still tells more
            message = (
                "its Workload says why, which the operator may not read: install its chart with kueue.enabled=true, "
                f"or see `kubectl get workloads -l {_OWNER}={first.uid} -o yaml`"
            )
        self._store.queue_reason = QueueReason(first.name, message[:_TEXT])
        return self._next

    async def _reason(self, attempt: Attempt) -> str:
        path = f"{await self._client.served(_GROUP)}/namespaces/{self._store.key[0]}/workloads"
        async for page, _ in self._client.pages(path, f"{_OWNER}={attempt.uid}"):
            for workload in page:
                return _told(workload)
        return "Kueue has not made a Workload for it yet"


def _told(workload: Object) -> str:
    """What a Workload's conditions say: the first that keeps it from running."""
    conditions = {one.get("type"): one for one in (workload.get("status") or {}).get("conditions") or []}
    for kind in ("QuotaReserved", "Admitted"):
        found = conditions.get(kind)
        if found is None or found.get("status") != "True":
            why = found or {}
            return str(why.get("message") or f"it is not {kind} yet")
    return "it is admitted, and about to start"
