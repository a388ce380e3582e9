"""Carries a plan out: its writes, at once but bounded in number, and the status last."""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Awaitable, Iterable, Sequence
from contextlib import suppress
from secrets import token_hex
from typing import Literal

from kubenas.api.base import API_VERSION
from kubenas.api.experiment import NASExperiment
from kubenas.api.status import ExperimentStatus
from kubenas.api.trial import TrialStatus
from kubenas.cluster.benchmarks import benchmark_manifest
from kubenas.cluster.client import REFUSALS, ApiError, Client, Object
from kubenas.cluster.election import NotLeaderError
from kubenas.cluster.events import announce
from kubenas.cluster.later_pods import LaterPods
from kubenas.cluster.names import experiments, pods, trials
from kubenas.cluster.observe import trial_of
from kubenas.cluster.ownership import controller_uid
from kubenas.cluster.pods import PodDefaults, pod_manifest, trial_manifest
from kubenas.cluster.removal import start_removal
from kubenas.cluster.store import Store
from kubenas.cluster.turns import Turn
from kubenas.experiment.actions import Announcement, NewTrial, Plan, WriteTrial
from kubenas.experiment.benchmarks import Benchmark
from kubenas.experiment.device_queues import Refusal
from kubenas.experiment.plan import Observed
from kubenas.experiment.stages import ResolvedStage, stage_of
from kubenas.experiment.state import Attempt, Fault, Trial, earliest
from kubenas.experiment.status import announcements, rejected, unreconciled

# At most one status write of an experiment in this time, but for its end and removals.
STATUS_SECONDS = 1.0
_NAME_TAKEN = "NameTaken"

_LOG = logging.getLogger(__name__)


class RefusedError(ApiError):
    """The apiserver did not take a trial or its pod; the experiment's status says so already."""


class Applier:
    """Writes for one experiment."""

    def __init__(self, client: Client, store: Store, defaults: PodDefaults) -> None:
        self._client = client
        self._store = store
        self._defaults = defaults
        self._later = LaterPods(client, defaults)
        self._namespace = store.key[0]
        self._status_at = 0.0
        self._refused: ApiError | None = None
        # The experiment's uid and generation that were last found unreadable.
        self._rejected: tuple[str, int] | None = None
        self._stopping: dict[str, asyncio.Task[None]] = {}
        self._written: list[Object] = []

    async def end(self) -> None:
        """Let the deletions that are under way through."""
        await asyncio.gather(*self._stopping.values(), return_exceptions=True)

    async def apply(self, plan: Plan, observed: Observed) -> float | None:
        """Carry out what was planned for what was observed. What the apiserver answers goes into the store.

        Returns:
            when to reconcile again, if nothing changes before.

        Raises:
            RefusedError: a trial or a pod was refused; the status says so.
            ApiError: a step failed; all others were tried, but the status was left out.
        """
        experiment, stages = observed.experiment, observed.stages
        self._refused = None
        # In this order they get their turn: what waits for a pod to start first, pods that are of no use last.
        steps = [
            *(self._create(experiment, stages, new) for new in plan.create),
            *(self._start(experiment, stages, trial) for trial in plan.start),
            *(self._measure(experiment, benchmark) for benchmark in plan.measure),
            *(self._write_trial(experiment, write) for write in plan.write),
        ]
        if plan.remove is not None:
            steps.append(start_removal(self._client, experiment, plan.remove, self._defaults))
        tasks = [asyncio.create_task(step) for step in steps]
        for attempt in plan.stop:
            if attempt.name not in self._stopping and not self._store.has_left(attempt):
                self._stopping[attempt.name] = asyncio.create_task(self._stop(attempt))
        self._written.clear()
        try:
            await _all(tasks)
        finally:
            # In order of ending, however the answers came: else the history would be made anew each time.
            turn, written = Turn(), [*self._written]
            for document in sorted(written, key=lambda d: d["status"].get("order") or 0):
                self._store.put_trial(document)
                await turn.shared()
        wake = plan.wake_at
        if plan.status is not None:
            wake = earliest(wake, await self._write_status(experiment, plan.status, plan.announce))
        if plan.delete:
            await self._client.delete(experiments(*self._store.key), experiment.metadata.uid)
        if self._refused:
            # Only now: the status says so by then.
            raise RefusedError(self._refused.code, self._refused.reason, self._refused.message)
        return wake

    async def verify(self) -> None:
        """Read the trials again that may be gone, in no order: nobody would say so before the next list.

        Raises:
            ApiError: the apiserver refuses.
        """
        experiment = self._store.experiment
        if experiment is not None and experiment.metadata.deletion_timestamp is None:
            await _all([asyncio.create_task(self._read_again(name)) for name in self._store.unverified.names()])

    async def report(self, fault: Fault) -> None:
        """Say in the experiment's status that a reconcile has failed, where its own status was not written.

        Raises:
            ApiError: the apiserver refuses that too.
        """
        experiment = self._store.experiment
        if experiment is None or experiment.metadata.deletion_timestamp is not None:
            return
        status = unreconciled(experiment, fault, time.time())
        if status != experiment.status:
            await self._write_status(experiment, status, announcements(experiment.status, status))

    async def reject(self) -> None:
        """Say in the status of an experiment that could never be read what is wrong with it, once a generation.

        Raises:
            ApiError: the apiserver refuses.
        """
        document = self._store.document
        if document is None or self._store.experiment is not None:
            return
        metadata = document["metadata"]
        written = (metadata["uid"], metadata.get("generation", 0))
        if written == self._rejected:
            return
        self._rejected = written
        status = rejected(written[1], self._store.problems, time.time())
        path = f"{experiments(*self._store.key)}/status"
        body = _status_document("NASExperiment", metadata["name"], metadata["uid"], metadata["resourceVersion"], status)
        await self._client.update(path, body)

    async def _write_trial(self, experiment: NASExperiment, write: WriteTrial) -> None:
        trial = write.trial
        document = _status_document("NASTrial", trial.name, trial.uid, trial.resource_version, write.status)
        try:
            path = f"{trials(self._namespace, trial.name)}/status"
            self._written.append(await self._client.update(path, document))
        except ApiError as error:
            if error.code in (404, 409):
                _LOG.info("trial %s has changed meanwhile: %s", trial.name, error)
                with suppress(ApiError):
                    await self._read_again(trial.name)
            raise
        if write.announce:
            await announce(self._client, experiment, write.announce)

    async def _read_again(self, name: str) -> None:
        """Someone else may have changed or deleted the trial."""
        try:
            self._store.put_trial(await self._client.get(trials(self._namespace, name)))
        except ApiError as gone:
            if gone.code != 404:
                raise
            self._store.forget_trial(name)
        self._store.unverified.verified(name)

    async def _stop(self, attempt: Attempt) -> None:
        """Delete a pod, beside reconciles: none waits for it, and one that fails is tried again."""
        self._store.unverified.stopping(attempt.name)
        try:
            await self._client.delete(pods(self._namespace, attempt.name), attempt.uid)
        except (ApiError, NotLeaderError) as error:
            _LOG.warning("pod %s is not deleted yet: %s", attempt.name, error)
            await asyncio.sleep(STATUS_SECONDS)
            self._store.changed.set()
        else:
            self._store.mark_leaving(attempt, time.time())
        finally:
            del self._stopping[attempt.name]

    async def _create(self, experiment: NASExperiment, stages: Sequence[ResolvedStage], new: NewTrial) -> None:
        manifest = trial_manifest(experiment, new.name, new.spec)
        try:
            document = await self._made(trials(self._namespace), manifest)
        except ApiError as error:
            self._refuse(error)
            return
        self._store.put_trial(document)
        await self._start(experiment, stages, trial_of(document))

    async def _start(self, experiment: NASExperiment, stages: Sequence[ResolvedStage], trial: Trial) -> None:
        stage = stage_of(stages, trial)
        try:
            await self._later.check(experiment, stage, trial)
        except ApiError as error:
            self._refuse(error)
            return
        if trial.is_batch:
            # A thousand architectures take long to pack.
            manifest = await asyncio.to_thread(pod_manifest, experiment, stage, trial, self._defaults, token_hex())
        else:
            manifest = pod_manifest(experiment, stage, trial, self._defaults, token_hex())
        try:
            self._store.put_pod(await self._made(pods(self._namespace), manifest))
        except ApiError as error:
            self._refuse(error)
        else:
            self._store.refusal = None

    async def _measure(self, experiment: NASExperiment, benchmark: Benchmark) -> None:
        """Make a benchmark's pod. One that is refused holds up nothing but the measurements on its device."""
        refusals, number = self._store.refusals, benchmark.number
        try:
            pod = await self._made(pods(self._namespace), benchmark_manifest(experiment, benchmark, self._defaults))
        except ApiError as error:
            if not _is_refusal(error):
                raise
            refusals[number] = Refusal.after(refusals.get(number), str(error), time.time())
            self._store.changed.set()
        else:
            refusals.pop(number, None)
            self._store.put_pod(pod)

    def _refuse(self, error: ApiError) -> None:
        """Note what a person has to mend; all else is tried again as it is."""
        if not _is_refusal(error):
            raise error
        self._refused = error
        self._store.refusal = str(error)

    async def _made(self, collection: str, manifest: Object) -> Object:
        """The object after its creation, by this request or by an earlier one that was cut off."""
        kind = manifest["kind"]
        try:
            there = await self._client.create(collection, manifest, strict=kind == "Pod")
        except ApiError as error:
            if error.reason != "AlreadyExists":
                raise
            there = await self._client.get(f"{collection}/{manifest['metadata']['name']}")
        owner: Literal["NASExperiment", "NASTrial"] = "NASTrial" if kind == "Pod" else "NASExperiment"
        if controller_uid(there, owner) != controller_uid(manifest, owner):
            name = manifest["metadata"]["name"]
            if there["metadata"].get("deletionTimestamp"):
                raise ApiError(409, "Conflict", f"{kind} {name} of before is being deleted")
            message = f"{kind} {name} is there already, and is not this experiment's: delete it, if it is of no use"
            raise ApiError(409, _NAME_TAKEN, message)
        return {**there, "kind": kind}

    async def _write_status(
        self, experiment: NASExperiment, status: ExperimentStatus, told: Sequence[Announcement]
    ) -> float | None:
        now = time.time()
        ends = status.completion_time is not None and experiment.status.completion_time is None
        # Else the next reconcile would remove them once more.
        removed = status.checkpoints_removed != experiment.status.checkpoints_removed
        if now < self._status_at + STATUS_SECONDS and not (ends or removed):
            return self._status_at + STATUS_SECONDS
        self._status_at = now
        metadata, path = experiment.metadata, experiments(*self._store.key)
        document = _status_document("NASExperiment", metadata.name, metadata.uid, metadata.resource_version, status)
        try:
            self._store.put_experiment(await self._client.update(f"{path}/status", document))
        except ApiError as error:
            if error.code == 409:
                self._store.put_experiment(await self._client.get(path))
                return now
            raise
        for announcement in told:
            await announce(self._client, experiment, announcement)
        return None


def _is_refusal(error: ApiError) -> bool:
    """Whether a person has to mend what the apiserver does not take."""
    return error.code in REFUSALS or error.reason == _NAME_TAKEN


def _status_document(
    kind: str, name: str, uid: str, resource_version: str, status: TrialStatus | ExperimentStatus
) -> Object:
    """What a status is replaced with; of all else the apiserver keeps what it has."""
    return {
        "apiVersion": API_VERSION,
        "kind": kind,
        "metadata": {"name": name, "uid": uid, "resourceVersion": resource_version},
        "status": status.dump(),
    }


async def _all(steps: Iterable[Awaitable[None]]) -> None:
    """Wait for all steps; then raise the first error, if there is one."""
    outcomes = await asyncio.gather(*steps, return_exceptions=True)
    for outcome in outcomes:
        if isinstance(outcome, BaseException):
            raise outcome
