"""Reads values of an experiment's running trials, from Prometheus or from their pods."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Mapping
from typing import Final

import httpx

from kubenas.api.base import duration_seconds
from kubenas.cluster.operator_metrics import READS
from kubenas.cluster.store import Store
from kubenas.cluster.turns import Turns
from kubenas.experiment.contract import METRICS_PORT
from kubenas.experiment.curves import gathered
from kubenas.experiment.plan import Observed
from kubenas.experiment.stages import stage_named
from kubenas.experiment.state import Attempt, AttemptPhase, Curves, Fault, Readings, Trial
from kubenas.metrics.exposition import Exposition, scrape
from kubenas.metrics.prometheus import ReadError, read_curves
from kubenas.metrics.stops import tell_stopped

# After a restart the curves of this long are read again; what is older is in the trials' statuses.
_LONGEST_SECONDS = 3600.0

# Requests at once. Pods that answer slowly hold up their own experiment, and at most their own namespace.
SCRAPES_OF_EXPERIMENT: Final = 16
_REQUESTS_OF_NAMESPACE: Final = 64
# Of pods that show a thousand candidates, whose answers may have megabytes.
_BATCHES_OF_NAMESPACE: Final = 8

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
        self._batches = Turns(lambda: asyncio.Semaphore(_BATCHES_OF_NAMESPACE))

    async def read(self, store: Store) -> None:
        """Read now, into the store; what goes wrong is noted there too.

        Pods of batches are read themselves, whatever the source is: they show too much for a Prometheus.
        """
        observed = store.observed()
        if observed is None:
            return
        readings, began = store.readings, time.time()
        # Copies, as a reconcile in a thread may be changing the ledger.
        unfinished = [*observed.ledger.unfinished.values()]
        trials = {trial.attempt_name: trial for trial in unfinished if not trial.measuring}
        direct = {name: trial for name, trial in trials.items() if readings.source == "Pod" or trial.is_batch}
        fault = None
        try:
            if direct:
                fault = await self._read_pods(store, observed, direct)
            if len(direct) < len(trials):
                pods = _since(observed, {name: one for name, one in trials.items() if name not in direct})
                found, unread = await self._query(store, observed, pods, began)
                for name, curves in found.items():
                    await _take_in(store, observed, trials[name], curves)
                fault = fault or unread
        except ReadError as error:
            fault = error.fault
        else:
            readings.read_at = began
        await self._tell(store.key[0], observed, trials, readings)
        READS.labels("failed" if fault else "succeeded").inc()
        if fault and readings.fault is None:
            _LOG.warning("%s/%s: %s", *store.key, fault.message)
        readings.fault = fault
        store.changed.set()

    async def _query(
        self, store: Store, observed: Observed, pods: Mapping[str, float], began: float
    ) -> tuple[dict[str, Curves], Fault | None]:
        if self._prometheus is None:
            message = "the operator was started without --prometheus-url; set it, or set metrics.source to Pod"
            raise ReadError(Fault("PrometheusNotConfigured", message))
        interval = duration_seconds(observed.experiment.spec.metrics.interval)
        since = store.readings.read_at or min((a.created for a in observed.attempts.values()), default=began)
        seconds = min(began - since, _LONGEST_SECONDS) + 2 * interval
        namespace = store.key[0]
        async with self._slots.of(namespace):
            return await read_curves(self._client, self._prometheus, namespace, store.uid, pods, seconds)

    async def _read_pods(self, store: Store, observed: Observed, trials: Mapping[str, Trial]) -> Fault | None:
        """Read the pods of `trials`, by the names of their attempts, as far as they run."""
        namespace = store.key[0]
        running = [a for a in observed.attempts.values() if a.name in trials and _answers(a)]
        slots = asyncio.Semaphore(SCRAPES_OF_EXPERIMENT)

        async def read(attempt: Attempt) -> bool | Fault:
            trial = trials[attempt.name]
            share = self._batches if trial.is_batch else self._slots
            async with slots, share.of(namespace):
                read = await self._scrape(attempt, len(trial.candidates))
            if not isinstance(read, Exposition):
                return read or False
            await _take_in(store, observed, trial, read.curves)
            if trial.is_batch and store.has(trial):
                store.readings.exposed[attempt.name] = read.exposed
            return True

        answers = await asyncio.gather(*map(read, running))
        if running and not any(answers):
            message = f"none of {len(running)} running pods answers on port {METRICS_PORT}"
            raise ReadError(Fault("PodsUnreachable", message))
        faults = [answer for answer in answers if isinstance(answer, Fault)]
        if not faults:
            return None
        others = f" (and {len(faults) - 1} more pods cannot be read)" if len(faults) > 1 else ""
        return Fault(faults[0].reason, faults[0].message + others)

    async def _tell(self, namespace: str, observed: Observed, trials: Mapping[str, Trial], readings: Readings) -> None:
        """Tell pods which of their candidates are stopped; one that does not answer is told with the next reading."""

        async def tell(attempt: Attempt, stopped: frozenset[str]) -> None:
            async with self._slots.of(namespace):
                if await tell_stopped(self._client, _url(attempt), attempt.token, stopped):
                    readings.told[attempt.name] = stopped

        running = [a for a in observed.attempts.values() if a.name in trials and _answers(a)]
        untold = ((attempt, readings.untold(trials[attempt.name])) for attempt in running)
        await asyncio.gather(*(tell(attempt, stopped) for attempt, stopped in untold if stopped))

    async def _scrape(self, attempt: Attempt, candidates: int) -> Exposition | Fault | None:
        try:
            return await scrape(self._client, f"{_url(attempt)}/metrics", candidates)
        except httpx.HTTPError:
            return None  # it may just be starting or ending
        except ValueError as error:
            return Fault("MetricsUnreadable", f"pod {attempt.name}, port {METRICS_PORT}: {error}")


def _url(attempt: Attempt) -> str:
    host = f"[{attempt.address}]" if attempt.address and ":" in attempt.address else attempt.address
    return f"http://{host}:{METRICS_PORT}"


def _answers(attempt: Attempt) -> bool:
    return attempt.phase is AttemptPhase.RUNNING and bool(attempt.address)


def _since(observed: Observed, trials: Mapping[str, Trial]) -> dict[str, float]:
    """The pods that there are or were, by name, each with the time since which its samples are its own."""
    found: dict[str, float] = {}
    for name, trial in trials.items():
        attempt, started = observed.attempts.get(name), trial.status.start_time
        if attempt is not None:
            found[name] = attempt.created
        elif started is not None:
            found[name] = started.timestamp()
    return found


async def _take_in(store: Store, observed: Observed, trial: Trial, found: Curves) -> None:
    """Join what was found of a trial to what is known of it; in a thread, as there may be much."""
    readings, name, stage = store.readings, trial.attempt_name, stage_named(observed.stages, trial.stage)
    required, rungs = (stage.required, stage.rungs) if stage else ((), ())
    known = readings.curves.get(name, {})
    curves = await asyncio.to_thread(gathered, known, found, trial.candidates, required, rungs)
    if store.has(trial):
        readings.curves[name] = curves
