"""Reads values of an experiment's running trials, from Prometheus or from their pods."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable

import httpx

from kubenas.api.base import duration_seconds
from kubenas.cluster.meters import READS
from kubenas.cluster.store import Store
from kubenas.experiment.contract import METRICS_PORT
from kubenas.experiment.state import Attempt, AttemptPhase, Curves, Fault
from kubenas.metrics.exposition import scrape
from kubenas.metrics.prometheus import ReadError, read_curves

# After a restart the curves of this long are read again; what is older is in the trials' statuses.
_LONGEST_SECONDS = 3600.0
_SCRAPES_AT_ONCE = 50

_LOG = logging.getLogger(__name__)


class Reader:
    """Reads values for any experiment.

    Args:
        prometheus: URL, or None where there is none.
    """

    def __init__(self, client: httpx.AsyncClient, prometheus: str | None) -> None:
        self._client = client
        self._prometheus = prometheus.rstrip("/") if prometheus else None
        self._places = asyncio.Semaphore(_SCRAPES_AT_ONCE)

    async def read(self, store: Store) -> None:
        """Read now, into the store; what goes wrong is noted there too."""
        observed, readings = store.observed(), store.readings
        if observed is None:
            return
        began = time.time()
        try:
            if readings.source == "Pod":
                found = await self._scrape_all(observed.attempts.values())
            else:
                interval = duration_seconds(observed.experiment.spec.metrics.interval)
                since = readings.read_at or min((a.created for a in observed.attempts.values()), default=began)
                seconds = min(began - since, _LONGEST_SECONDS) + 2 * interval
                found = await self._query(store.key, seconds)
        except ReadError as error:
            READS.labels("failed").inc()
            if readings.fault is None:
                _LOG.warning("%s/%s: %s", *store.key, error)
            readings.fault = error.fault
        else:
            READS.labels("succeeded").inc()
            readings.fault, readings.read_at = None, began
            current = {t.attempt_name for t in observed.ledger.unfinished.values()}
            for name in current & found.keys():
                _take_in(readings.curves.setdefault(name, {}), found[name])
        store.changed.set()

    async def _query(self, key: tuple[str, str], seconds: float) -> dict[str, Curves]:
        if self._prometheus is None:
            message = "the operator was started without --prometheus-url; set it, or set metrics.source to Pod"
            raise ReadError(Fault("PrometheusNotConfigured", message))
        return await read_curves(self._client, self._prometheus, *key, seconds)

    async def _scrape_all(self, attempts: Iterable[Attempt]) -> dict[str, Curves]:
        running = [a for a in attempts if a.phase is AttemptPhase.RUNNING and a.address]
        answers = await asyncio.gather(*(self._scrape(a) for a in running))
        if running and all(answer is None for answer in answers):
            message = f"none of {len(running)} running pods answers on port {METRICS_PORT}"
            raise ReadError(Fault("PodsUnreachable", message))
        return {a.name: answer for a, answer in zip(running, answers, strict=True) if answer}

    async def _scrape(self, attempt: Attempt) -> Curves | None:
        host = f"[{attempt.address}]" if attempt.address and ":" in attempt.address else attempt.address
        async with self._places:
            try:
                found = await scrape(self._client, f"http://{host}:{METRICS_PORT}/metrics")
            except (httpx.HTTPError, ValueError):
                return None  # it may just be starting or ending
        return {candidate: {step: values} for candidate, (step, values) in found.items()}


def _take_in(known: Curves, found: Curves) -> None:
    for candidate, curve in found.items():
        mine = known.setdefault(candidate, {})
        for step, values in curve.items():
            mine.setdefault(step, {}).update(values)
