"""Services are asked beside all else, one request at a time, and less and less often where they fail."""

from __future__ import annotations

import asyncio
import json
from threading import Event
from typing import Any

import pytest

from kubenas.experiment.plan import plan, preparation
from kubenas.search import service_client
from kubenas.search.base import History
from kubenas.search.conformance import TINY
from kubenas.search.external import External, ExternalSettings
from kubenas.search.service_client import ServiceClient
from tests.experiment.builders import NOW, experiment, observed, succeeded, trial
from tests.search.server import serving


async def test_a_slow_service_is_waited_for_by_nobody_and_asked_once() -> None:
    released = Event()

    def answer(_: dict[str, Any]) -> tuple[int, bytes]:
        released.wait(60)
        return 200, json.dumps({"architectures": [{"operation": "a", "layers": 2}]}).encode()

    with serving(answer) as server:
        strategy, history = External(TINY, 0, ExternalSettings(base_url=server.url)), History(TINY)
        answered = asyncio.Event()
        asks = ServiceClient(answered.set)
        for _ in range(3):
            work = strategy.preparation(history, 1)
            assert work is not None
            asks.ask(strategy, work)
            assert asks.tell() == 0
            assert strategy.waits(history, 1)
        released.set()
        await answered.wait()
        assert asks.tell() > 0
        assert not strategy.waits(history, 1)
        assert [one.to_json() for one in strategy.propose(history, 1)] == [{"operation": "a", "layers": 2}]
        assert len(server.requests) == 1


async def test_a_service_that_fails_is_asked_less_often(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service_client, "PAUSE_SECONDS", 600.0)
    with serving(lambda _: (503, b"")) as server:
        strategy, history = External(TINY, 0, ExternalSettings(base_url=server.url)), History(TINY)
        answered = asyncio.Event()
        asks = ServiceClient(answered.set)
        for _ in range(5):
            work = strategy.preparation(history, 1)
            assert work is not None
            answered.clear()
            asks.ask(strategy, work)
            await answered.wait()
            asks.tell()
            assert strategy.fault == f"{server.url}/ask answered with status 503"
            assert len(strategy.propose(history, 1)) == 1
        assert len(server.requests) == 2


async def test_a_missing_trial_is_asked_for_as_others_are() -> None:
    """It was proposed before a crash, or was deleted by hand."""
    cell = {f"{source}-{target}": "none" for target in range(4) for source in range(target)}

    def answer(_: dict[str, Any]) -> tuple[int, bytes]:
        return 200, json.dumps({"architectures": [cell]}).encode()

    with serving(answer) as server:
        search = {"algorithm": "external", "settings": {"baseUrl": server.url}}
        of = experiment(trials={"max": 8, "parallelism": 8}, search=search)
        seen = observed(of, trials=[succeeded(0, 1, 0.5), trial(2)])
        assert plan(seen, NOW).create == ()
        prepared = preparation(seen, NOW)
        assert prepared is not None
        strategy, work = prepared
        assert server.requests == []
        strategy.accept(work, await work.run(*work.arguments))
        (made,) = plan(seen, NOW).create
    assert (made.spec.number, made.spec.results_seen) == (1, 0)
    assert made.spec.candidates[0].architecture == cell
    assert [request["number"] for request in server.requests] == [1]
