"""Reads values of an experiment's running trials, from Prometheus or from their pods."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Iterable
from typing import Final

import httpx

from kubenas.api.base import duration_seconds
from kubenas.cluster.operator_metrics import READS
from kubenas.cluster.store import Store
from kubenas.cluster.turns import Turns
from kubenas.experiment.contract import METRICS_PORT
from kubenas.experiment.curves import gathered
from kubenas.experiment.plan import Observed
from kubenas.experiment.state import Attempt, AttemptPhase, Curves, Fault
from kubenas.metrics.exposition import scrape
from kubenas.metrics.prometheus import ReadError, read_curves

# After a restart the curves of this long are read again; what is older is in the trials' statuses.
_LONGEST_SECONDS = 3600.0

# Requests at once. Pods that answer slowly hold up their own experiment, and at most their own namespace.
SCRAPES_OF_EXPERIMENT: Final = 16
_REQUESTS_OF_NAMESPACE: Final = 64

_LOG = logging.getLogger(__name__)


class Reader:
    """Reads values for any experiment.

    Args:
        prometheus: URL, or None where there is none.
    """

    def __init__(self, client: httpx.AsyncClient, prometheus: str | None) -> None:
        self._client = client
        self._prometheus = prometheus.rstrip("/") if prometheus else None
        self._slots = Turns(lambda: asyncio.Semaphore(_REQUESTS_OF_NAMESPACE))

    async def read(self, store: Store) -> None:
        """Read now, into the store; what goes wrong is noted there too."""
        observed, readings = store.observed(), store.readings
        if observed is None:
            return
        began = time.time()
        try:
            if readings.source == "Pod":
                found, fault = await self._scrape_all(store.key[0], observed.attempts.values())
            else:
                found, fault = await self._query(store, observed, began)
        except ReadError as error:
            found, fault = {}, error.fault
        else:
            readings.read_at = began
        READS.labels("failed" if fault else "succeeded").inc()
        if fault and readings.fault is None:
            _LOG.warning("%s/%s: %s", *store.key, fault.message)
        readings.fault = fault
        # A copy, as a reconcile in a thread may be changing the ledger.
        required = {stage.name: stage.required for stage in observed.stages}
        for trial in [*observed.ledger.unfinished.values()]:
            name = trial.attempt_name
            if name in found:
                known = readings.curves.get(name, {})
                readings.curves[name] = gathered(known, found[name], trial.candidates, required.get(trial.stage, ()))
        store.changed.set()

    async def _query(self, store: Store, observed: Observed, began: float) -> tuple[dict[str, Curves], Fault | None]:
        if self._prometheus is None:
            message = "the operator was started without --prometheus-url; set it, or set metrics.source to Pod"
            raise ReadError(Fault("PrometheusNotConfigured", message))
        interval = duration_seconds(observed.experiment.spec.metrics.interval)
        since = store.readings.read_at or min((a.created for a in observed.attempts.values()), default=began)
        seconds = min(began - since, _LONGEST_SECONDS) + 2 * interval
        pods = [trial.attempt_name for trial in [*observed.ledger.unfinished.values()]]
        namespace = store.key[0]
        async with self._slots.of(namespace):
            return await read_curves(self._client, self._prometheus, namespace, store.uid, pods, seconds)

    async def _scrape_all(self, namespace: str, attempts: Iterable[Attempt]) -> tuple[dict[str, Curves], Fault | None]:
        running = [a for a in attempts if a.phase is AttemptPhase.RUNNING and a.address]
        slots = asyncio.Semaphore(SCRAPES_OF_EXPERIMENT)

        async def scraped(attempt: Attempt) -> Curves | Fault | None:
            async with slots, self._slots.of(namespace):
                return await self._scrape(attempt)

        answers = await asyncio.gather(*map(scraped, running))
        if running and all(answer is None for answer in answers):
            message = f"none of {len(running)} running pods answers on port {METRICS_PORT}"
            raise ReadError(Fault("PodsUnreachable", message))
        found = {a.name: curves for a, curves in zip(running, answers, strict=True) if isinstance(curves, dict)}
        faults = [answer for answer in answers if isinstance(answer, Fault)]
        if not faults:
            return found, None
        others = f" (and {len(faults) - 1} more pods cannot be read)" if len(faults) > 1 else ""
        return found, Fault(faults[0].reason, faults[0].message + others)

    async def _scrape(self, attempt: Attempt) -> Curves | Fault | None:
        host = f"[{attempt.address}]" if attempt.address and ":" in attempt.address else attempt.address
        try:
            found = await scrape(self._client, f"http://{host}:{METRICS_PORT}/metrics")
        except httpx.HTTPError:
            return None  # it may just be starting or ending
        except ValueError as error:
            return Fault("MetricsUnreadable", f"pod {attempt.name}, port {METRICS_PORT}: {error}")
        return {candidate: {step: values} for candidate, (step, values) in found.items()}
