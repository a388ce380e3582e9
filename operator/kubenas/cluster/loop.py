"""The level-triggered loop of one experiment: observe, plan, apply, wait."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any, Protocol

from kubenas.api.base import duration_seconds
from kubenas.cluster.apply import Applier, RefusedError
from kubenas.cluster.client import ApiError
from kubenas.cluster.election import NotLeaderError
from kubenas.cluster.operator_metrics import PROPOSAL_SECONDS, PROPOSALS, RECONCILE_ERRORS, RECONCILES
from kubenas.cluster.readings import Reader
from kubenas.cluster.store import Store
from kubenas.cluster.warm_start import WarmStarter
from kubenas.experiment.actions import Plan
from kubenas.experiment.plan import Observed, plan, preparation
from kubenas.experiment.progress import Progress, progress
from kubenas.experiment.proposals import proposed
from kubenas.experiment.state import Fault, earliest
from kubenas.search.base import Strategy
from kubenas.search.preparation import Preparation
from kubenas.search.service_client import ServiceClient
from kubenas.space import deadline
from kubenas.space.deadline import DeadlineError
from kubenas.space.sampler import EmptySpaceError

# Events that come together are reconciled together.
_GATHER_SECONDS = 0.02
_LONGEST_BACKOFF = 60.0
# After an error events are not heeded for the backoff, or for this long.
_LONGEST_DEAFNESS = 5.0
# Errors of the apiserver in a row that may pass by themselves.
_UNTOLD = 3
# Pause between two readings that an ended trial waits for.
_READ_NOW_SECONDS = 1.0

# Preparations in a row, each made vain by results that came in meanwhile, before proposals are made all the same.
_PREPARATIONS = 3
# Threads: nothing that a tenant has written is computed on the event loop. The libraries' long computations let go of
# the interpreter, Python gives others their turn, and nothing needs to be copied. Those known to take long have
# threads of their own, so that they delay only one another.
_PLANNING = ThreadPoolExecutor(max_workers=8, thread_name_prefix="plan")
_PLANNING_LONG = ThreadPoolExecutor(max_workers=2, thread_name_prefix="long-plan")
_FITTING = ThreadPoolExecutor(max_workers=2, thread_name_prefix="fit")
_LONG_SECONDS = 0.2
# What planning, and one fit, may take: what takes longer would keep others waiting for ever.
_PLAN_SECONDS = 20.0
_FIT_SECONDS = 300.0

_LOG = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class _Decision:
    """What a reconcile has come to: either what is to be done, or a computation that is to be done before."""

    observed: Observed
    plan: Plan | None = None
    progress: Progress | None = None
    request: tuple[Strategy, Preparation] | None = None
    computation: tuple[Strategy, Preparation] | None = None


class Watcher(Protocol):
    """Reads what the cluster knows beside an experiment's trials and pods, into its store."""

    async def read(self) -> float | None:
        """Read what is due; when something is again."""


class Loop:
    """Runs one experiment until it is cancelled."""

    def __init__(
        self, store: Store, applier: Applier, reader: Reader, warm_starter: WarmStarter, watchers: Sequence[Watcher]
    ) -> None:
        self._store = store
        self._watchers = watchers
        self._warm_starter = warm_starter
        self._applier = applier
        self._reader = reader
        self._service_client = ServiceClient(store.changed.set)
        self._takes_long = False
        # Seconds that the next proposals have waited for fits and requests.
        self._prepared = 0.0
        self._reading: asyncio.Task[None] | None = None
        self._read_at = 0.0
        self._errors = 0

    async def run(self) -> None:
        """Reconcile whenever something has changed or is due."""
        try:
            while True:
                wake = await self._reconcile()
                # What fails again and again must not be driven by events, of which anyone can make many.
                await asyncio.sleep(min(_backoff(self._errors), _LONGEST_DEAFNESS))
                await self._wait(wake)
        finally:
            if self._reading:
                self._reading.cancel()
            self._service_client.stop()
            await self._applier.end()

    async def _reconcile(self) -> float | None:
        self._store.changed.clear()
        try:
            await self._store.read()
            await self._applier.verify()
            missing = await self._warm_starter.read(_PLANNING)
            missing = earliest(missing, *[await watcher.read() for watcher in self._watchers])
            with RECONCILES.time():
                decision = await self._decided()
                if decision is None or decision.plan is None:
                    await self._applier.reject()
                    return None
                planned = decision.plan
                self._store.progress = decision.progress
                if decision.request is not None:
                    self._service_client.ask(*decision.request)
                done = await self._applier.apply(planned, decision.observed)
                wake = earliest(self._read(planned, time.time()), done, missing)
        except (ApiError, NotLeaderError) as error:
            self._note(error)
            if isinstance(error, ApiError) and self._errors > _UNTOLD and not isinstance(error, RefusedError):
                await self._report(Fault(error.reason or "ApiError", f"the apiserver said {error}"))
            return time.time() + _backoff(self._errors)
        except Exception as error:  # one experiment's mistake must not end the others
            RECONCILE_ERRORS.inc()
            known = isinstance(error, EmptySpaceError | DeadlineError)
            if self._errors == 0 and not known:
                _LOG.exception("%s/%s: a reconcile failed", *self._store.key)
            self._note(error)
            reason = "NoProposal" if known else "InternalError"
            text = f"spec.searchSpace: {error}" if known else f"{type(error).__name__}: {error}"
            await self._report(Fault(reason, text[:1000]))
            return time.time() + _backoff(self._errors)
        self._errors = 0
        return wake

    async def _decided(self) -> _Decision | None:
        """What is to be done now; results may come in while it is prepared."""
        for left in reversed(range(_PREPARATIONS + 1)):
            workers = _PLANNING_LONG if self._takes_long else _PLANNING
            decision = await asyncio.get_running_loop().run_in_executor(workers, self._decide, left > 0)
            if decision is None or decision.computation is None:
                break
            strategy, work = decision.computation
            began = time.monotonic()
            result = await asyncio.get_running_loop().run_in_executor(_FITTING, _fit, work)
            strategy.accept(work, result)
            self._prepared += time.monotonic() - began
        if decision is not None and decision.observed.experiment.metadata.uid != self._store.uid:
            return None  # another one has taken its place, and its change is yet to be reconciled
        return decision

    def _decide(self, prepares: bool) -> _Decision | None:
        """Plan, in a thread, and in one at a time."""
        began = time.monotonic()
        try:
            with deadline.within(_PLAN_SECONDS):
                self._store.settle()
                self._prepared += self._service_client.tell()
                observed = self._store.observed()
                if observed is None:
                    return None
                prepared, now = preparation(observed, time.time()), time.time()
                waits = prepared is not None and prepared[1].waits
                if prepared is not None and not waits and prepares:
                    return _Decision(observed, computation=prepared)
                planned = plan(observed, now)
                self._count_proposals(observed, planned, time.monotonic() - began)
                found = progress(observed, planned.status or observed.experiment.status, self._store.progress, now)
                return _Decision(observed, planned, found, request=prepared if waits else None)
        finally:
            self._takes_long = time.monotonic() - began > _LONG_SECONDS

    def _count_proposals(self, observed: Observed, planned: Plan, seconds: float) -> None:
        found = proposed(observed.stages, planned.create)
        if found is not None:
            strategy, candidates = found
            PROPOSALS.labels(strategy).inc(candidates)
            PROPOSAL_SECONDS.labels(strategy).observe(self._prepared + seconds)
            self._prepared = 0.0

    async def _report(self, fault: Fault) -> None:
        try:
            await self._applier.report(fault)
        except (ApiError, NotLeaderError) as error:
            _LOG.warning("%s/%s: the status is not written: %s", *self._store.key, error)

    def _note(self, error: Exception) -> None:
        self._errors += 1
        _LOG.log(
            logging.INFO if isinstance(error, ApiError) and error.code == 409 else logging.WARNING,
            "%s/%s: reconciling again: %s",
            *self._store.key,
            error,
        )

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


def _fit(work: Preparation) -> Any:
    with deadline.within(_FIT_SECONDS):
        return work.result()


def _backoff(errors: int) -> float:
    """Seconds to wait after so many errors in a row."""
    return min(0.05 * 2.0 ** min(errors, 20), _LONGEST_BACKOFF) if errors else 0.0
