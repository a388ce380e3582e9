"""An experiment run on this machine: the cluster's loop with processes in place of pods."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Final, Protocol

import httpx

from kubenas.api.base import Metadata, duration_seconds
from kubenas.api.errors import SpecError, refuse
from kubenas.api.experiment import NASExperiment
from kubenas.api.status import ExperimentStatus, Imported
from kubenas.api.trial import NASTrial, TrialSpec, TrialStatus
from kubenas.experiment.actions import Announcement, NewTrial, Plan
from kubenas.experiment.curves import gathered
from kubenas.experiment.ledger import Ledger
from kubenas.experiment.plan import Observed, plan, preparation
from kubenas.experiment.stages import resolve, stage_of, with_strategies
from kubenas.experiment.state import Attempt, Fault, Readings, Trial, trial_number
from kubenas.experiment.validation import searched_space
from kubenas.experiment.warm_start import imported, observations
from kubenas.local.command import Command, import_command, trial_command
from kubenas.local.contract import contract
from kubenas.local.folder import StateError, StateFolder, changed_field
from kubenas.local.trainer import Trainer, attempt_of_dead_run, free_port
from kubenas.local.warm import WarmProcess
from kubenas.metrics.exposition import scrape
from kubenas.search.service_client import ServiceClient
from kubenas.space.base import Space

# Trainers are near, and a person may be watching.
_LONGEST_INTERVAL: Final = 1.0


class Listener(Protocol):
    """Who wants to know how a run goes."""

    def trial_ended(self, trial: Trial) -> None:
        """A trial has ended for good."""

    def attempt_failed(self, trial: Trial) -> None:
        """An attempt at a trial has failed, and another one will be made."""

    def status_changed(self, status: ExperimentStatus, running: int) -> None:
        """The experiment's status is another one, and so many trials run now; also told as the run begins."""

    def announced(self, announcement: Announcement) -> None:
        """Something that a person would want to read."""


class LocalRun:
    """One run of an experiment, from where the last one stopped to its end.

    `ttlSecondsAfterFinished` is not heeded: a folder is the user's to delete.

    Attributes:
        experiment: as it is now, its status included.
        trials: by number; those that earlier runs have written among them.
        space: the search space.
    """

    def __init__(self, experiment: NASExperiment, folder: StateFolder, listener: Listener) -> None:
        """Take up the state in `folder`, which must be locked.

        Raises:
            StateError: the folder belongs to an experiment that this one cannot go on with.
        """
        self.experiment = _taken_up(experiment, folder)
        self.trials: dict[int, Trial] = {}
        spec = experiment.spec
        self.space: Space = searched_space(spec)
        self._stages, problems = with_strategies(resolve(spec), self.space, guarded=False)
        refuse(problems)
        self._ledger = Ledger(self.space, spec.objectives, self._stages)
        self._folder = folder
        self._listener = listener
        self._trainers: dict[str, Trainer] = {}
        self._warm = WarmProcess()
        # By attempt; a task must be referred to, or it may be collected while it runs.
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._left_over: dict[str, Attempt] = {}
        self._imported: list[Imported] = []
        if self.experiment.status.warm_start:
            self._learn(self.experiment.status.warm_start)
        else:
            self._imported = [
                _brought(experiment, self.space, folder, index, entry.experiment)
                for index, entry in enumerate(spec.warm_start)
            ]
        self._readings = Readings(source="Pod")
        self._reading: asyncio.Task[None] | None = None
        self._interval = min(duration_seconds(spec.metrics.interval), _LONGEST_INTERVAL)
        self._woken = asyncio.Event()
        self._service_client = ServiceClient(self._woken.set)
        self._broken: StateError | None = None
        for document in folder.load_trials():
            trial = _trial(document)
            self._know(trial)
            if not trial.finished and folder.attempt(trial.attempt_name).exists():
                self._left_over[trial.attempt_name] = attempt_of_dead_run(
                    trial.attempt_name, trial.name, folder.attempt(trial.attempt_name)
                )

    async def run(self) -> ExperimentStatus:
        """Run trials until the experiment has ended; its last status.

        Raises:
            StateError: the state cannot be written any more, or a trial cannot be started.

        Cancelled, it asks the trainers to end, waits for them, and leaves all that a later run needs.
        """
        self._listener.status_changed(self.experiment.status, 0)
        # Without the environment's proxies: trainers are on this machine.
        async with httpx.AsyncClient(trust_env=False) as client:
            try:
                if self.experiment.status.completion_time is None:
                    self._import_ahead()
                while True:
                    self._woken.clear()
                    await self._prepare()
                    if self._broken:
                        raise self._broken
                    todo = plan(self._observed(), time.time())
                    if await self._carry_out(todo):
                        continue
                    if self.experiment.status.completion_time is not None and not self._alive():
                        return self.experiment.status
                    await self._wait(client, todo)
            finally:
                try:
                    await self._stop_all()
                finally:
                    self._warm.close()

    async def _prepare(self) -> None:
        """Let trainers be looked after while proposals are worked out or asked for."""
        self._service_client.tell()
        prepared = preparation(self._observed(), time.time())
        if prepared is None:
            return
        strategy, work = prepared
        if work.waits:
            self._service_client.ask(strategy, work)
        else:
            strategy.accept(work, await asyncio.to_thread(work.result))

    def _observed(self) -> Observed:
        attempts = {name: trainer.attempt() for name, trainer in self._trainers.items()}
        return Observed(
            self.experiment,
            self._stages,
            self._ledger,
            self._left_over | attempts,
            self._readings,
            imported=self._imported,
        )

    def _alive(self) -> list[Trainer]:
        return [trainer for trainer in self._trainers.values() if trainer.alive]

    def _import_ahead(self) -> None:
        """Have what trials need imported while the first ones are proposed."""
        if command := import_command(self.experiment.spec, self._stages[0], os.environ):
            self._warm.start(command)

    async def _carry_out(self, todo: Plan) -> bool:
        """Do all that is planned, in its order; whether there was anything."""
        for write in todo.write:
            self._write(write.trial, write.status)
        for attempt in todo.stop:
            self._remove(attempt)
        for trial in todo.start:
            self._start(trial)
        for new in todo.create:
            self._start(self._create(new))
        # Trainers start now, not once all else is written and planned.
        await asyncio.sleep(0)
        if todo.status:
            if todo.status.warm_start and not self.experiment.status.warm_start:
                self._learn(todo.status.warm_start)
            self.experiment = self.experiment.model_copy(update={"status": todo.status})
            self._folder.save_experiment(self.experiment)
            self._listener.status_changed(todo.status, len(self._alive()))
        for announcement in todo.announce:
            self._listener.announced(announcement)
        return bool(todo.write or todo.stop or todo.start or todo.create or todo.status)

    def _learn(self, sources: Sequence[Imported]) -> None:
        self._ledger.learn(observations(self.experiment.spec.objectives, self.space, sources))

    def _know(self, trial: Trial) -> None:
        self.trials[trial.number] = trial
        self._ledger.put(trial)

    def _write(self, trial: Trial, status: TrialStatus) -> None:
        changed = replace(trial, status=status, resource_version=f"{int(trial.resource_version) + 1}")
        self._folder.save_trial(_document(changed))
        self._know(changed)
        self._readings.forget(changed)
        if changed.finished:
            self._listener.trial_ended(changed)
        elif status.failures > trial.status.failures:
            self._listener.attempt_failed(changed)

    def _create(self, new: NewTrial) -> Trial:
        trial = _trial(NASTrial(metadata=Metadata(name=new.name), spec=new.spec))
        self._folder.remove_leavings(trial.name)
        self._folder.save_trial(_document(trial))
        self._know(trial)
        return trial

    def _start(self, trial: Trial) -> None:
        name, port = trial.attempt_name, free_port()
        folder, checkpoints = self._folder.start(name, trial.name)
        stage = stage_of(self._stages, trial)
        variables = contract(self.experiment, stage, trial, folder, checkpoints, port)
        command = trial_command(self.experiment.spec, trial.candidates, variables, os.environ)
        trainer = self._trainers[name] = Trainer(name, trial.name, folder, port)
        self._tasks[name] = asyncio.create_task(self._keep(trainer, command))

    async def _keep(self, trainer: Trainer, command: Command) -> None:
        try:
            await trainer.run(command, self._folder.lock_fd, self._warm)
        except OSError as error:
            self._broken = StateError(f"trial {trainer.trial} cannot be run: {error}")
        if trainer.failed and not self._broken:
            # A full disk is none of the trial's failures: a later run makes the attempt again.
            try:
                self._folder.check_room()
            except StateError as error:
                self._broken = error
        if trainer.stopped:
            del self._trainers[trainer.name]
        del self._tasks[trainer.name]
        self._woken.set()

    def _remove(self, attempt: Attempt) -> None:
        if attempt.name in self._left_over:
            del self._left_over[attempt.name]
        elif self._trainers[attempt.name].alive:
            self._trainers[attempt.name].stop()
        else:
            del self._trainers[attempt.name]

    async def _wait(self, client: httpx.AsyncClient, todo: Plan) -> None:
        """Sleep until something happens, or there is something to do."""
        now = time.time()
        wakes = [todo.wake_at]
        if self._reading is None and (todo.reading or todo.read_now):
            last = self._readings.read_at
            due = now if todo.read_now or last is None else last + self._interval
            if due <= now:
                self._reading = asyncio.create_task(self._read(client))
            else:
                wakes.append(due)
        timeout = min((max(0.0, wake - now) for wake in wakes if wake is not None), default=None)
        # Not `wait_for`: up to Python 3.11 it forgets a cancellation that comes as its future is done.
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._woken.wait()

    async def _read(self, client: httpx.AsyncClient) -> None:
        """Read all running trials once."""
        began, running = time.time(), self._alive()
        faults = await asyncio.gather(*(self._scrape(client, trainer) for trainer in running))
        self._readings.fault = next((fault for fault in faults if fault), None)
        self._readings.read_at = began
        self._reading = None
        self._woken.set()

    async def _scrape(self, client: httpx.AsyncClient, trainer: Trainer) -> Fault | None:
        try:
            read = await scrape(client, f"http://127.0.0.1:{trainer.port}/metrics")
        except httpx.HTTPError:
            return None  # not up yet, gone already, or without metrics, as a trainer may be
        except ValueError as error:
            return Fault("MetricsUnreadable", f"{trainer.trial}: {error}")
        if not trainer.stopped:
            found = {candidate: {step: metrics} for candidate, (step, metrics) in read.items()}
            known, trial = self._readings.curves.get(trainer.name, {}), self.trials[trial_number(trainer.trial)]
            required = [objective.metric for objective in self.experiment.spec.objectives]
            self._readings.curves[trainer.name] = gathered(known, found, trial.candidates, required)
        return None

    async def _stop_all(self) -> None:
        if self._reading:
            self._reading.cancel()
        self._service_client.stop()
        for trainer in self._alive():
            trainer.stop()
        try:
            if self._tasks:
                await asyncio.wait(self._tasks.values())
        finally:
            for trainer in self._alive():
                trainer.kill()
            # The event loop must not close while it still watches a keeper.
            if self._tasks:
                await asyncio.wait(self._tasks.values())


def _taken_up(experiment: NASExperiment, folder: StateFolder) -> NASExperiment:
    """`experiment` with the status that an earlier run has left, written down before any trial is."""
    old = folder.load_experiment()
    generation, status = 1, ExperimentStatus()
    if old:
        field = changed_field(old, experiment)
        if field:
            raise StateError(
                f"{field}: is not what the trials in {folder.path} were run with: change it back, "
                "or choose another --state to start over"
            )
        generation, status = old.metadata.generation + (old.spec != experiment.spec), old.status
    metadata = experiment.metadata.model_copy(update={"generation": generation})
    taken_up = experiment.model_copy(update={"metadata": metadata, "status": status})
    folder.save_experiment(taken_up)
    return taken_up


def _brought(experiment: NASExperiment, space: Space, folder: StateFolder, index: int, name: str) -> Imported:
    """What the run of another experiment, in a folder beside, brings."""
    beside = StateFolder(folder.path.resolve().parent / name)
    try:
        source, documents, unreadable = beside.load_readable()
        return imported(experiment, space, name, source, map(_trial, documents), unreadable)
    except StateError as error:
        raise StateError(f"spec.warmStart[{index}].experiment: {error}: mend the file, or remove this entry") from None
    except SpecError as error:
        where = f" (looked for in {beside.path})"
        raise StateError(f"{error.within(f'spec.warmStart[{index}]')}{where}") from None


def _trial(document: NASTrial) -> Trial:
    return Trial.of(document.metadata.name, document.spec, document.status, uid="", resource_version="0")


def _document(trial: Trial) -> NASTrial:
    return NASTrial(
        metadata=Metadata(name=trial.name),
        spec=TrialSpec(
            number=trial.number,
            results_seen=trial.results_seen,
            stage=trial.stage,
            seed=trial.seed,
            candidates=list(trial.candidates),
        ),
        status=trial.status,
    )
