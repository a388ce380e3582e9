"""All experiments of an operator: their stores, their loops, and the lists that keep the stores true."""

from __future__ import annotations

import asyncio
import logging
from collections import defaultdict
from typing import Literal

from kubenas.cluster.apply import Applier
from kubenas.cluster.claims import ClaimReader
from kubenas.cluster.client import ApiError, Client, Object
from kubenas.cluster.loop import Loop, Watcher
from kubenas.cluster.names import EXPERIMENT_LABEL, TRIAL_LABEL, experiments, pods, trials
from kubenas.cluster.observe import version
from kubenas.cluster.pods import PodDefaults
from kubenas.cluster.queues import QueueWatcher
from kubenas.cluster.readings import Reader
from kubenas.cluster.store import Key, Store
from kubenas.cluster.turns import Turn
from kubenas.cluster.warm_start import WarmStarter
from kubenas.metrics.selection import Snapshot

# The first list after the start follows soon, for what went between the first one and the watches' beginning.
_FIRST_RESYNC_SECONDS = 10.0

_LOG = logging.getLogger(__name__)


class Manager:
    """Keeps one store and one loop for each experiment.

    Args:
        namespace: the only one to serve, or None for all.
    """

    def __init__(self, client: Client, reader: Reader, defaults: PodDefaults, namespace: str | None) -> None:
        self._client = client
        self._reader = reader
        self._defaults = defaults
        self._namespace = namespace
        self._stores: dict[Key, Store] = {}
        self._loops: dict[Key, asyncio.Task[None]] = {}
        self._listed = False

    def on_experiment(self, kind: str | None, document: Object) -> None:
        """A watch has shown an experiment; `kind` is the event's type."""
        key = _key(document, document["metadata"]["name"])
        if kind == "DELETED":
            self._drop(key, document["metadata"]["uid"])
        else:
            self._store(key).put_experiment(document)
            self._start_loop(key)

    def on_pod(self, kind: str | None, document: Object) -> None:
        """A watch has shown a trial's pod."""
        store = self._store_of(document)
        if store is None:
            return
        if kind == "DELETED":
            store.drop_pod(document["metadata"]["name"], version(document), document)
        else:
            store.put_pod(document)

    async def resync(self) -> None:
        """List everything, so that nothing depends on a watch that lost an event. The first list starts the loops.

        Raises:
            ApiError: the apiserver refuses; with code 404 the resources are not installed.
        """
        alive: set[Key] = set()
        listed_at = 0
        async for page, at in self._client.pages(experiments(self._namespace)):
            listed_at = int(at)
            for document in page:
                key = _key(document, document["metadata"]["name"])
                alive.add(key)
                self._store(key).put_experiment(document)
        trial_names, trials_at = await self._list("NASTrial", trials(self._namespace), EXPERIMENT_LABEL)
        pod_names, pods_at = await self._list("Pod", pods(self._namespace), TRIAL_LABEL)
        for key, store in list(self._stores.items()):
            if key in alive:
                store.keep_only(trial_names[key], pod_names[key], min(trials_at, pods_at))
            elif store.older_than(listed_at):
                self._drop(key, store.uid)
        self._listed = True
        for key in alive:
            self._start_loop(key)

    async def keep_in_sync(self, seconds: float) -> None:
        """List again every so often."""
        pause = min(seconds, _FIRST_RESYNC_SECONDS)
        while True:
            await asyncio.sleep(pause)
            pause = seconds
            try:
                await self.resync()
            except ApiError as error:
                _LOG.warning("cannot list: %s", error)
            except Exception:  # the next list may go well
                _LOG.exception("cannot list")

    def snapshots(self) -> list[Snapshot]:
        """What is exported of the experiments, at this moment."""
        return [store.snapshot() for store in self._stores.values()]

    async def stop(self) -> None:
        """End all loops; what they were writing is let through."""
        tasks = list(self._loops.values())
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    async def _list(
        self, kind: Literal["NASTrial", "Pod"], path: str, selector: str
    ) -> tuple[defaultdict[Key, set[str]], int]:
        names: defaultdict[Key, set[str]] = defaultdict(set)
        listed_at, turn = 0, Turn()
        async for page, at in self._client.pages(path, selector):
            listed_at = int(at)
            for document in page:
                store = self._store_of(document)
                if store is not None:
                    names[store.key].add(document["metadata"]["name"])
                    (store.put_pod if kind == "Pod" else store.put_trial)(document)
                await turn.shared()
        return names, listed_at

    def _store(self, key: Key) -> Store:
        if key not in self._stores:
            self._stores[key] = Store(key)
        return self._stores[key]

    def _store_of(self, document: Object) -> Store | None:
        """Of the experiment that a trial or pod says it belongs to, if there is one."""
        name = (document["metadata"].get("labels") or {}).get(EXPERIMENT_LABEL)
        return self._stores.get(_key(document, name)) if name else None

    def _start_loop(self, key: Key) -> None:
        if not self._listed or key in self._loops:
            return
        store = self._stores[key]
        applier = Applier(self._client, store, self._defaults)
        watchers: list[Watcher] = [QueueWatcher(self._client, store), ClaimReader(self._client, store)]
        loop = Loop(store, applier, self._reader, WarmStarter(self._client, store), watchers)
        self._loops[key] = asyncio.create_task(loop.run(), name=f"experiment {key[0]}/{key[1]}")

    def _drop(self, key: Key, uid: str) -> None:
        store = self._stores.get(key)
        if store is None or store.uid != uid:
            return
        del self._stores[key]
        task = self._loops.pop(key, None)
        if task:
            task.cancel()


def _key(document: Object, experiment: str) -> Key:
    return (document["metadata"]["namespace"], experiment)
