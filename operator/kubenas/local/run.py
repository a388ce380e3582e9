"""An experiment run on this machine: the cluster's loop with processes in place of pods."""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import replace
from secrets import token_hex
from typing import Protocol

from kubenas.api.base import Metadata
from kubenas.api.errors import refuse
from kubenas.api.experiment import NASExperiment
from kubenas.api.status import ExperimentStatus, Imported
from kubenas.api.trial import NASTrial, TrialStatus
from kubenas.experiment.actions import Announcement, NewTrial, Plan
from kubenas.experiment.ledger import Ledger
from kubenas.experiment.plan import Observed, plan, preparation
from kubenas.experiment.resolution import resolve, with_strategies
from kubenas.experiment.stages import stage_of
from kubenas.experiment.state import Attempt, Trial, earliest, trial_name, trial_number
from kubenas.experiment.validation import searched_space
from kubenas.experiment.warm_start import observations
from kubenas.local.command import Command, import_command, trial_command
from kubenas.local.contract import contract
from kubenas.local.documents import document_of, trial_of
from kubenas.local.folder import StateError, StateFolder
from kubenas.local.readings import Reader
from kubenas.local.resume import resumed
from kubenas.local.trainer import Trainer, attempt_of_dead_run, free_port
from kubenas.local.warm import WarmProcess
from kubenas.local.warm_start import brought
from kubenas.search.service_client import ServiceClient
from kubenas.space.base import Space


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
        stages: of the search, with their strategies.
    """

    def __init__(self, experiment: NASExperiment, folder: StateFolder, listener: Listener) -> None:
        """Take up the state in `folder`, which must be locked.

        Raises:
            StateError: the folder belongs to an experiment that this one cannot go on with.
        """
        self.experiment = resumed(experiment, folder)
        self.trials: dict[int, Trial] = {}
        spec = experiment.spec
        self.space: Space = searched_space(spec)
        self.stages, problems = with_strategies(resolve(spec), self.space, guarded=False)
        refuse(problems)
        self._ledger = Ledger(self.space, self.stages)
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
            self._imported = brought(experiment, self.space, folder)
        self._woken = asyncio.Event()
        self._reader = Reader(spec, self._woken.set)
        self._service_client = ServiceClient(self._woken.set)
        self._broken: StateError | None = None
        for document in folder.load_trials():
            trial = trial_of(document)
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
        async with self._reader:
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
                    await self._wait(todo)
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
            self.stages,
            self._ledger,
            self._left_over | attempts,
            self._reader.readings,
            imported=self._imported,
        )

    def _alive(self) -> list[Trainer]:
        return [trainer for trainer in self._trainers.values() if trainer.alive]

    def _import_ahead(self) -> None:
        """Have what trials need imported while the first ones are proposed."""
        if command := import_command(self.experiment.spec, self.stages[0], os.environ):
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
        if todo.remove:
            self._folder.remove_checkpoints(
                trial_name(self.experiment.metadata.name, number) for number in todo.remove.trials
            )
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

    def _trial_of(self, trainer: Trainer) -> Trial:
        return self.trials[trial_number(trainer.trial)]

    def _know(self, trial: Trial) -> None:
        self.trials[trial.number] = trial
        self._ledger.put(trial)

    def _write(self, trial: Trial, status: TrialStatus) -> None:
        changed = replace(trial, status=status, resource_version=f"{int(trial.resource_version) + 1}")
        self._folder.save_trial(document_of(changed))
        self._know(changed)
        self._reader.readings.forget(changed)
        if changed.finished:
            self._listener.trial_ended(changed)
        elif status.failures > trial.status.failures:
            self._listener.attempt_failed(changed)

    def _create(self, new: NewTrial) -> Trial:
        trial = trial_of(NASTrial(metadata=Metadata(name=new.name), spec=new.spec))
        self._folder.remove_leavings(trial.name)
        self._folder.save_trial(document_of(trial))
        self._know(trial)
        return trial

    def _start(self, trial: Trial) -> None:
        name, port, token = trial.attempt_name, free_port(), token_hex()
        folder, checkpoints = self._folder.start(name, trial.name)
        stage = stage_of(self.stages, trial)
        variables = contract(self.experiment, stage, trial, folder, checkpoints, port, token)
        command = trial_command(self.experiment.spec, trial.candidates, variables, os.environ)
        trainer = self._trainers[name] = Trainer(name, trial.name, folder, port, token)
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

    async def _wait(self, todo: Plan) -> None:
        """Sleep until something happens, or there is something to do."""
        now = time.time()
        wake = earliest(todo.wake_at, self._reader.read(todo, [(each, self._trial_of(each)) for each in self._alive()]))
        timeout = None if wake is None else max(0.0, wake - now)
        # Not `wait_for`: up to Python 3.11 it forgets a cancellation that comes as its future is done.
        with suppress(TimeoutError):
            async with asyncio.timeout(timeout):
                await self._woken.wait()

    async def _stop_all(self) -> None:
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
