"""The level-triggered loop of one experiment: look, plan, apply, wait."""

from __future__ import annotations

import asyncio
import logging
import time
from concurrent.futures import ThreadPoolExecutor

from kubenas.api.base import duration_seconds
from kubenas.cluster.apply import Applier
from kubenas.cluster.client import ApiError
from kubenas.cluster.election import NotLeaderError
from kubenas.cluster.meters import LOOK_ERRORS, LOOKS
from kubenas.cluster.readings import Reader
from kubenas.cluster.store import Store
from kubenas.experiment.actions import Plan
from kubenas.experiment.plan import plan, preparation
from kubenas.experiment.state import earliest

# Events that come together are looked at together.
_GATHER_SECONDS = 0.02
_LONGEST_BACKOFF = 60.0
# Pause between two readings that an ended trial waits for.
_READ_NOW_SECONDS = 1.0

# Preparations in a row, each made vain by results that came in meanwhile, before proposals are made all the same.
_PREPARATIONS = 3
_COMPUTING = ThreadPoolExecutor(max_workers=2, thread_name_prefix="fit")
_WAITING = ThreadPoolExecutor(max_workers=64, thread_name_prefix="ask")

_LOG = logging.getLogger(__name__)


class Loop:
    """Runs one experiment until it is cancelled."""

    def __init__(self, store: Store, applier: Applier, reader: Reader) -> None:
        self._store = store
        self._applier = applier
        self._reader = reader
        self._reading: asyncio.Task[None] | None = None
        self._read_at = 0.0
        self._errors = 0

    async def run(self) -> None:
        """Look whenever something has changed or is due."""
        try:
            while True:
                wake = await self._look()
                await self._wait(wake)
        finally:
            if self._reading:
                self._reading.cancel()
            await self._applier.end()

    async def _look(self) -> float | None:
        self._store.changed.clear()
        try:
            await self._store.read()
            await self._prepare()
            observed = self._store.observed()
            if observed is None:
                return None
            with LOOKS.time():
                now = time.time()
                planned = plan(observed, now)
                wake = earliest(self._read(planned, now), await self._applier.apply(planned))
        except (ApiError, NotLeaderError) as error:
            return self._after_error(error)
        except Exception as error:  # one experiment's mistake must not end the others
            LOOK_ERRORS.inc()
            _LOG.exception("%s/%s: a look failed", *self._store.key)
            return self._after_error(error)
        self._errors = 0
        return wake

    async def _prepare(self) -> None:
        """Have done elsewhere what proposals would hold up all experiments for; results may come in meanwhile."""
        for _ in range(_PREPARATIONS):
            observed = self._store.observed()
            if observed is None or observed.strategy is None:
                return
            work = preparation(observed, time.time())
            if work is None:
                return
            # Threads: the libraries' long computations let go of the interpreter, and nothing needs to be copied.
            workers = _COMPUTING if work.heavy else _WAITING
            result = await asyncio.get_running_loop().run_in_executor(workers, work.run, *work.arguments)
            observed.strategy.accept(work, result)

    def _after_error(self, error: Exception) -> float:
        self._errors += 1
        _LOG.log(
            logging.INFO if isinstance(error, ApiError) and error.code == 409 else logging.WARNING,
            "%s/%s: looking again: %s",
            *self._store.key,
            error,
        )
        return time.time() + min(0.05 * 2.0 ** min(self._errors, 20), _LONGEST_BACKOFF)

    def _read(self, planned: Plan, now: float) -> float | None:
        """Start a reading if one is due; say when the next one is."""
        experiment = self._store.experiment
        if experiment is None or not (planned.reading or planned.read_now):
            return None
        interval = float(duration_seconds(experiment.spec.metrics.interval))
        due = self._read_at + (min(interval, _READ_NOW_SECONDS) if planned.read_now else interval)
        if now < due:
            return due
        if self._reading is None or self._reading.done():
            self._read_at = now
            self._reading = asyncio.create_task(self._reader.read(self._store))
        return now + interval

    async def _wait(self, wake: float | None) -> None:
        timeout = None if wake is None else max(0.0, wake - time.time())
        # Not `wait_for`: up to Python 3.11 it forgets a cancellation that comes as its future is done.
        try:
            async with asyncio.timeout(timeout):
                await self._store.changed.wait()
        except TimeoutError:
            return
        await asyncio.sleep(_GATHER_SECONDS)
