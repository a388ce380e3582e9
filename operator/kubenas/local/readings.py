"""Reads values of a run's trainers while they run."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Sequence
from typing import Final, Self

import httpx

from kubenas.api.base import duration_seconds
from kubenas.api.experiment import ExperimentSpec
from kubenas.experiment.actions import Plan
from kubenas.experiment.curves import gathered
from kubenas.experiment.resolution import resolve
from kubenas.experiment.state import Fault, Readings, Trial
from kubenas.local.trainer import Trainer
from kubenas.metrics.exposition import scrape
from kubenas.metrics.stops import tell_stopped

# Trainers are near, and a person may be watching.
_LONGEST_INTERVAL: Final = 1.0
# Between two readings that an ended trial waits for.
_PAUSE: Final = 0.2


class Reader:
    """Scrapes the trainers, once an interval at most. Use as a context manager.

    Attributes:
        readings: what was read.
    """

    def __init__(self, spec: ExperimentSpec, woken: Callable[[], None]) -> None:
        """`woken` is called after each reading."""
        self.readings = Readings(source="Pod")
        self._stages = {stage.name: stage for stage in resolve(spec)}
        self._interval = min(duration_seconds(spec.metrics.interval), _LONGEST_INTERVAL)
        self._woken = woken
        # Without the environment's proxies: trainers are on this machine.
        self._client = httpx.AsyncClient(trust_env=False)
        self._reading: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        await self._client.__aenter__()
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._reading:
            self._reading.cancel()
        await self._client.aclose()

    def read(self, todo: Plan, running: Sequence[tuple[Trainer, Trial]]) -> float | None:
        """Start a reading of what runs, if the plan wants one and it is due; else when it will be."""
        if self._reading is not None or not (todo.reading or todo.read_now):
            return None
        now, last = time.time(), self.readings.read_at
        due = now if last is None else last + (_PAUSE if todo.read_now else self._interval)
        if due > now:
            return due
        self._reading = asyncio.create_task(self._read(running))
        return None

    async def _read(self, running: Sequence[tuple[Trainer, Trial]]) -> None:
        """Read all running trials once."""
        began = time.time()
        faults = await asyncio.gather(*(self._scrape(*each) for each in running))
        self.readings.fault = next((fault for fault in faults if fault), None)
        self.readings.read_at = began
        self._reading = None
        self._woken()

    async def _scrape(self, trainer: Trainer, trial: Trial) -> Fault | None:
        try:
            url = f"http://127.0.0.1:{trainer.port}"
            read = await scrape(self._client, f"{url}/metrics", len(trial.candidates))
        except httpx.HTTPError:
            return None  # not up yet, gone already, or without metrics, as a trainer may be
        except ValueError as error:
            return Fault("MetricsUnreadable", f"{trainer.trial}: {error}")
        stopped = self.readings.untold(trial)
        if stopped and await tell_stopped(self._client, url, trainer.token, stopped):
            self.readings.told[trainer.name] = stopped
        if not trainer.stopped:
            known, stage = self.readings.curves.get(trainer.name, {}), self._stages.get(trial.stage)
            required, rungs = (stage.required, stage.rungs) if stage else ((), ())
            self.readings.curves[trainer.name] = gathered(known, read.curves, trial.candidates, required, rungs)
            self.readings.exposed[trainer.name] = read.exposed
        return None
