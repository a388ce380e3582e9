"""What one reconcile's failure leads to: the experiment says so, and it is tried again ever more slowly."""

from __future__ import annotations

import asyncio
import time
from itertools import pairwise
from typing import TYPE_CHECKING, Any, cast

import pytest

from kubenas.cluster import loop as loop_module
from kubenas.cluster.apply import Applier
from kubenas.cluster.client import ApiError
from kubenas.cluster.loop import Loop
from kubenas.cluster.operator_metrics import RECONCILE_ERRORS
from kubenas.cluster.pods import PodDefaults
from kubenas.cluster.store import Store
from kubenas.cluster.warm_start import WarmStarter
from kubenas.experiment.plan import plan
from tests.operator.test_store import KEY, document

if TYPE_CHECKING:
    from collections.abc import Callable

    from kubenas.cluster.client import Client
    from kubenas.cluster.readings import Reader
    from kubenas.experiment.actions import Plan


class Apiserver:
    """Answers writes as the apiserver does, and remembers them."""

    def __init__(self, refusal: ApiError | None = None) -> None:
        self.statuses: list[dict[str, Any]] = []
        self.events: list[dict[str, Any]] = []
        self.refusal = refusal
        self._version = 100

    async def update(self, path: str, written: dict[str, Any]) -> dict[str, Any]:
        assert path.endswith("/nasexperiments/nas/status")
        self._version += 1
        self.statuses.append(written["status"])
        return {**document("one", self._version), "status": written["status"]}

    async def create(self, path: str, created: dict[str, Any], *, strict: bool = False) -> dict[str, Any]:
        if path.endswith("/events"):
            self.events.append(created)
            return created
        assert self.refusal is not None, (path, strict)
        raise self.refusal


def reconciled(status: dict[str, Any]) -> dict[str, Any]:
    (found,) = [c for c in status["conditions"] if c["type"] == "Reconciled"]
    return dict(found)


def scheduled(status: dict[str, Any]) -> str:
    return next((c["message"] for c in status["conditions"] if c["type"] == "TrialsScheduled"), "")


async def ran(apiserver: Apiserver, enough: Callable[[], bool]) -> None:
    """Run a loop among many changes until it has done enough."""
    store = Store(KEY)
    store.put_experiment(document("one", 1))
    client = cast("Client", apiserver)
    applier = Applier(client, store, PodDefaults("image"))
    loop = Loop(store, applier, cast("Reader", None), WarmStarter(client, store), [])
    task = asyncio.create_task(loop.run())

    async with asyncio.timeout(120):
        while not enough():
            assert not task.done()
            store.changed.set()
            await asyncio.sleep(0.01)
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


async def test_an_exception_becomes_a_condition_and_an_event_once(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[float] = []

    def broken(*_: object) -> Plan:
        calls.append(time.monotonic())
        raise RuntimeError("the unforeseen")

    monkeypatch.setattr(loop_module, "plan", broken)
    before = RECONCILE_ERRORS._value.get()
    apiserver = Apiserver()
    await ran(apiserver, lambda: len(calls) >= 5)
    (status,) = apiserver.statuses
    said = reconciled(status)
    assert (said["status"], said["reason"]) == ("False", "InternalError")
    assert "RuntimeError: the unforeseen" in said["message"]
    (event,) = apiserver.events
    assert (event["type"], event["reason"]) == ("Warning", "InternalError")
    # Changes that anyone can make a hundred times a second do not drive it.
    pauses = [after - call for call, after in pairwise(calls)]
    assert all(pause >= least for pause, least in zip(pauses, (0.1, 0.2, 0.4, 0.8), strict=True)), pauses
    assert RECONCILE_ERRORS._value.get() - before == len(calls)


async def test_it_is_taken_back_once_all_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    real, calls = plan, []

    def broken_once(*arguments: Any) -> Plan:
        calls.append(1)
        if len(calls) == 1:
            raise RuntimeError("the unforeseen")
        return real(*arguments)

    monkeypatch.setattr(loop_module, "plan", broken_once)
    apiserver = Apiserver(ApiError(403, "Forbidden", "no pods for you"))
    # A status may be written before the first refusal is answered.
    await ran(apiserver, lambda: bool(apiserver.statuses) and "no pods for you" in scheduled(apiserver.statuses[-1]))
    first, last = apiserver.statuses[0], apiserver.statuses[-1]
    assert (reconciled(first)["status"], reconciled(last)["status"]) == ("False", "True")


async def test_what_the_apiserver_goes_on_to_refuse_is_said() -> None:
    apiserver = Apiserver(ApiError(500, "InternalError", "etcd has no leader"))
    await ran(apiserver, lambda: bool(apiserver.statuses))
    said = reconciled(apiserver.statuses[-1])
    assert (said["status"], said["reason"]) == ("False", "InternalError")
    assert "etcd has no leader" in said["message"]


async def test_an_experiment_that_could_never_be_read_is_rejected_once() -> None:
    store = Store(KEY)
    store.put_experiment(document("one", 1, trials={"max": "many"}))
    apiserver = Apiserver()
    applier = Applier(apiserver, store, PodDefaults("image"))  # type: ignore[arg-type]
    for _ in range(3):
        await applier.reject()
    (status,) = apiserver.statuses
    assert status["phase"] == "Rejected"
    (said,) = status["conditions"]
    assert (said["type"], said["status"]) == ("Accepted", "False")
    assert "spec.trials.max" in said["message"]
