"""Reading the pods of experiments that share an operator, some of them hostile."""

from __future__ import annotations

import asyncio
import gzip
import random
from threading import Event
from typing import Any

import httpx
import pytest

from kubenas.cluster import readings as module
from kubenas.cluster.readings import Reader
from kubenas.cluster.store import Store
from kubenas.experiment.contract import METRICS_PORT
from kubenas.metrics.fetch import http_client
from tests.metrics.server import Answer, endless, serving, whole

GOOD = whole(b'kubenas_trial_value{candidate="0",metric="accuracy"} 0.5\nkubenas_trial_step{candidate="0"} 3\n')
CURVE = {"0": {3: {"accuracy": 0.5}}}


def addresses(count: int) -> list[str]:
    """Addresses of this machine's loopback, on which others are hardly ever listening."""
    return [f"127.{random.randrange(1, 255)}.{random.randrange(256)}.{random.randrange(1, 255)}" for _ in range(count)]


async def stored(namespace: str, places: list[str]) -> Store:
    """An experiment with a running pod at each address."""
    store = Store((namespace, "nas"))
    uid = f"uid-of-{namespace}"
    metadata = {"name": "nas", "namespace": namespace, "uid": uid, "resourceVersion": "1"}
    store.put_experiment(
        {
            "apiVersion": "kubenas.io/v1alpha1",
            "kind": "NASExperiment",
            "metadata": metadata,
            "spec": {
                "objectives": [{"metric": "z_accuracy"}],
                "task": {"name": "of-ones-own"},
                "searchSpace": {"preset": "nasbench201"},
                "search": {"algorithm": "random"},
                "metrics": {"source": "Pod"},
            },
        }
    )
    await store.read()
    operations = ["none", "skip_connect", "nor_conv_1x1", "nor_conv_3x3", "avg_pool_3x3"]
    for number, address in enumerate(places):
        labels = {
            "kubenas.io/experiment": "nas",
            "kubenas.io/experiment-uid": uid,
            "kubenas.io/trial": f"nas-{number}",
            "kubenas.io/attempt": "1",
        }
        edges = ("0-1", "0-2", "0-3", "1-2", "1-3", "2-3")
        architecture = {edge: operations[number // 5**place % 5] for place, edge in enumerate(edges)}
        candidate = {"id": "0", "name": "cell", "architecture": architecture, "epochs": 9}
        owner = {"apiVersion": "kubenas.io/v1alpha1", "controller": True}
        own = {"namespace": namespace, "labels": labels, "resourceVersion": str(2 + number)}
        store.put_trial(
            {
                "kind": "NASTrial",
                "metadata": {
                    **own,
                    "name": f"nas-{number}",
                    "uid": f"trial-{number}",
                    "ownerReferences": [{**owner, "kind": "NASExperiment", "name": "nas", "uid": uid}],
                },
                "spec": {"number": number, "resultsSeen": 0, "candidates": [candidate]},
            }
        )
        state = {"running": {"startedAt": "2026-01-01T00:00:00Z"}}
        store.put_pod(
            {
                "kind": "Pod",
                "metadata": {
                    **own,
                    "name": f"nas-{number}-1",
                    "uid": f"pod-{number}",
                    "creationTimestamp": "2026-01-01T00:00:00Z",
                    "ownerReferences": [
                        {**owner, "kind": "NASTrial", "name": f"nas-{number}", "uid": f"trial-{number}"}
                    ],
                },
                "spec": {"containers": [{"name": "trainer"}]},
                "status": {
                    "phase": "Running",
                    "podIP": address,
                    "containerStatuses": [{"name": "trainer", "state": state}],
                },
            }
        )
    store.settle()
    return store


@pytest.mark.parametrize(
    ("hostile", "message"),
    [
        (endless(b'kubenas_trial_step{candidate="0"} 3\n'), "answers with more than 512 KiB"),
        (whole(gzip.compress(bytes(80 * 2**20)), "Content-Encoding: gzip"), "answers in 'gzip' encoding"),
        (endless(b"# one more line\n", pause=0.2), "does not answer in full within 5 s"),
        (whole(b"<html>"), "serves no metrics in Prometheus' text format: '<html>'"),
    ],
    ids=["large", "compressed", "slow", "other"],
)
async def test_an_unusable_answer_is_named_and_the_others_are_read(hostile: Answer, message: str) -> None:
    places = addresses(2)
    store = await stored("team", places)
    with serving(hostile, (places[0], METRICS_PORT)), serving(GOOD, (places[1], METRICS_PORT)):
        async with http_client() as client:
            await Reader(client, None).read(store)
    assert store.readings.curves == {"nas-1-1": CURVE}
    fault = store.readings.fault
    assert fault is not None
    assert fault.reason == "MetricsUnreadable"
    assert fault.message.startswith(f"pod nas-0-1, port 8080: {message}")


def patient() -> httpx.AsyncClient:
    """A client that waits for each byte as long as it takes, where a test says when an answer comes."""
    client = http_client()
    client.timeout = httpx.Timeout(None)
    return client


async def test_slow_pods_hold_up_their_own_experiment_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The hostile experiment's pods answer nothing until the test is over; all requests of its namespace wait."""
    monkeypatch.setattr("kubenas.metrics.exposition._SECONDS", 600)
    (slow, good) = addresses(2)
    hostile = await stored("hostile", [slow] * 3 * module.SCRAPES_OF_EXPERIMENT)
    friendly = await stored("friendly", [good])
    asked = asyncio.Semaphore(0)
    loop = asyncio.get_running_loop()

    def silent(_: Any, __: Any, ended: Any) -> None:
        loop.call_soon_threadsafe(asked.release)
        ended.wait()

    reader = Reader(client := patient(), None)
    with serving(silent, (slow, METRICS_PORT)) as server, serving(GOOD, (good, METRICS_PORT)):
        waiting = asyncio.create_task(reader.read(hostile))
        for _ in range(module.SCRAPES_OF_EXPERIMENT):
            await asked.acquire()
        await reader.read(friendly)
        assert not waiting.done()
        assert len(server.forms) == module.SCRAPES_OF_EXPERIMENT
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await client.aclose()
    assert friendly.readings.curves == {"nas-0-1": CURVE}
    assert friendly.readings.fault is None


async def test_slow_pods_hold_up_their_own_namespace_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """So many experiments of a namespace that all its requests wait, and one of another."""
    monkeypatch.setattr("kubenas.metrics.exposition._SECONDS", 600)
    slow, late, good = addresses(3)
    experiments = module._REQUESTS_OF_NAMESPACE // module.SCRAPES_OF_EXPERIMENT
    hostile = [await stored("hostile", [slow] * module.SCRAPES_OF_EXPERIMENT) for _ in range(experiments)]
    last = await stored("hostile", [late])
    friendly = await stored("friendly", [good])
    asked, go = asyncio.Semaphore(0), Event()
    loop = asyncio.get_running_loop()

    def slowly(form: dict[str, str], out: Any, ended: Any) -> None:
        loop.call_soon_threadsafe(asked.release)
        go.wait()
        GOOD(form, out, ended)

    reader = Reader(client := patient(), None)
    with (
        serving(slowly, (slow, METRICS_PORT)),
        serving(GOOD, (late, METRICS_PORT)) as beyond,
        serving(GOOD, (good, METRICS_PORT)),
    ):
        readings = [asyncio.create_task(reader.read(each)) for each in hostile]
        try:
            for _ in range(module._REQUESTS_OF_NAMESPACE):
                await asked.acquire()
            readings.append(asyncio.create_task(reader.read(last)))
            for _ in range(20):
                await reader.read(friendly)
            assert not beyond.forms
        finally:
            go.set()
            await asyncio.gather(*readings)
    await client.aclose()
    assert friendly.readings.curves == last.readings.curves == {"nas-0-1": CURVE}
    assert all(len(each.readings.curves) == module.SCRAPES_OF_EXPERIMENT for each in hostile)


async def test_what_is_remembered_of_a_trial_does_not_grow_with_what_it_serves() -> None:
    """Names and candidates without number, a new step at each reading, steps beyond any integer of a resource."""
    (place,) = addresses(1)
    store = await stored("team", [place])
    step = 0

    def answer(form: dict[str, str], out: Any, ended: Any) -> None:
        nonlocal step
        step += 1
        lines = [f'kubenas_trial_value{{candidate="0",metric="m{step}_{n}"}} 0.5' for n in range(100)]
        lines += ['kubenas_trial_value{candidate="0",metric="z_accuracy"} 0.5']
        lines += [f'kubenas_trial_value{{candidate="{step}",metric="accuracy"}} 0.5']
        lines += [f'kubenas_trial_step{{candidate="{step}"}} 1', f'kubenas_trial_step{{candidate="0"}} {step}']
        lines += ['kubenas_trial_value{candidate="0",metric="val/loss"} 1']
        whole("\n".join(lines).encode())(form, out, ended)

    with serving(answer, (place, METRICS_PORT)):
        async with http_client() as client:
            reader = Reader(client, None)
            for _ in range(300):
                await reader.read(store)
    (curve,) = store.readings.curves["nas-0-1"].values()
    assert len(curve) <= 256
    assert {1, 300} <= curve.keys()
    assert max(map(len, curve.values())) == 64
    assert all("z_accuracy" in values for values in curve.values())


@pytest.mark.parametrize("deleted", ["before", "after"])
async def test_a_trial_made_in_place_of_a_deleted_one_has_none_of_its_values(deleted: str) -> None:
    """Be it deleted while its pod is read, or later."""
    (place,) = addresses(1)
    store = await stored("team", [place])

    def answer(form: dict[str, str], out: Any, ended: Any) -> None:
        if deleted == "before":
            store.drop_trial("nas-0", at=3)
        GOOD(form, out, ended)

    with serving(answer, (place, METRICS_PORT)):
        async with http_client() as client:
            await Reader(client, None).read(store)
    if deleted == "after":
        assert store.readings.curves == {"nas-0-1": CURVE}
        store.readings.told["nas-0-1"] = frozenset("0")
        store.drop_trial("nas-0", at=3)
    assert not store.readings.curves
    assert not store.readings.told
