"""Reads what other experiments bring to one that begins."""

from __future__ import annotations

import asyncio
import time
from concurrent.futures import Executor
from functools import partial
from typing import Final

from kubenas.api.errors import SpecError
from kubenas.api.experiment import NASExperiment
from kubenas.api.status import Imported
from kubenas.cluster.client import ApiError, Client, Object
from kubenas.cluster.documents import check_size, experiment_of
from kubenas.cluster.names import EXPERIMENT_LABEL, experiments, trials
from kubenas.cluster.observe import trial_of
from kubenas.cluster.ownership import is_trial
from kubenas.cluster.store import Store
from kubenas.cluster.unreadable import unreadable
from kubenas.experiment.state import Trial
from kubenas.experiment.warm_start import MOST_TRIALS, imported
from kubenas.space import deadline
from kubenas.space.base import Space

# Between two tries: what is missing may come.
_AGAIN_SECONDS: Final = 15.0
# What reading one experiment's trials may take.
_SECONDS: Final = 20.0


class WarmStarter:
    """Looks for what an experiment's `warmStart` names, until it is recorded in the status."""

    def __init__(self, client: Client, store: Store) -> None:
        self._client, self._store = client, store
        self._next_try = 0.0

    async def read(self, executor: Executor) -> float | None:
        """Read the named experiments, and note in the store what they bring or what is wrong with them.

        Args:
            executor: where trials are parsed, since that may take long.

        Returns:
            when to try again; None where nothing is missing.

        Raises:
            ApiError: the apiserver refuses.
        """
        store, experiment = self._store, self._store.experiment
        space = store.space
        if experiment is None or space is None or not experiment.spec.warm_start or experiment.status.warm_start:
            return None
        if store.imported:
            return None
        if time.time() < self._next_try:
            return self._next_try
        self._next_try = time.time() + _AGAIN_SECONDS
        brought: list[Imported] = []
        problems: list[SpecError] = []
        for index, entry in enumerate(experiment.spec.warm_start):
            try:
                brought.append(await self._bring(experiment, space, entry.experiment, executor))
            except SpecError as error:
                problems += [one.within(f"spec.warmStart[{index}]") for one in error.problems]
        store.warm_start_problems = problems
        if problems:
            return self._next_try
        store.imported = brought
        return None

    async def _bring(self, experiment: NASExperiment, space: Space, name: str, executor: Executor) -> Imported:
        namespace = self._store.key[0]
        found = await self._experiment(namespace, name)
        documents: list[Object] = []
        if found is not None:
            async for page, _ in self._client.pages(trials(namespace), f"{EXPERIMENT_LABEL}={name}"):
                documents += page
                if len(documents) >= MOST_TRIALS:
                    break
        work = partial(_imported, experiment, space, name, found, documents)
        return await asyncio.get_running_loop().run_in_executor(executor, work)

    async def _experiment(self, namespace: str, name: str) -> Object | None:
        try:
            return await self._client.get(experiments(namespace, name))
        except ApiError as error:
            if error.code == 404:
                return None
            raise


def _imported(
    experiment: NASExperiment, space: Space, name: str, found: Object | None, documents: list[Object]
) -> Imported:
    with deadline.within(_SECONDS):
        if found is None:
            return imported(experiment, space, name, None, ())
        try:
            source = experiment_of(found, None)
        except ValueError as error:
            raise SpecError("experiment", f"{name} cannot be read: {str(error)[:200]}") from None
        known, left_out = _readable(documents, name, source.metadata.uid)
        return imported(experiment, space, name, source, known, left_out)


def _readable(documents: list[Object], name: str, uid: str) -> tuple[list[Trial], list[str]]:
    """The trials of an experiment that can be read, and what is wrong with the others."""
    found: list[Trial] = []
    left_out: list[str] = []
    for document in documents:
        try:
            if is_trial(document, name, uid):
                check_size(document, "spec", "status")
                found.append(trial_of(document))
        except Exception as error:
            # Told in the status alone: as long as nothing can be brought, all of them are read every few seconds.
            left_out.append(unreadable("NASTrial", document, error))
    return found, left_out
