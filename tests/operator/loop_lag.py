"""How long an operator's event loop is held up by what tenants write, in a process as an operator's is at its start.

Reads experiments with trials of theirs that have ended, a line of JSON each, and answers each with a line: the longest
lag, in seconds.
"""

from __future__ import annotations

import asyncio
import gc
import json
import os
import sys
import time
from pathlib import Path
from threading import get_native_id
from typing import Any, cast

from kubenas.api.experiment import NASExperiment
from kubenas.cluster.apply import Applier
from kubenas.cluster.client import Client
from kubenas.cluster.loop import Loop
from kubenas.cluster.operator import set_up_interpreter
from kubenas.cluster.readings import Reader
from kubenas.cluster.store import Store
from kubenas.cluster.warm_start import WarmStarter
from kubenas.experiment.actions import Plan
from kubenas.experiment.state import Fault

INTERVAL_SECONDS = 0.01


class Recorder:
    """In place of what carries plans out."""

    def __init__(self) -> None:
        self.planned = asyncio.Event()

    async def verify(self) -> None:
        return

    async def apply(self, _: Plan, __: NASExperiment) -> float | None:
        self.planned.set()
        return None

    async def reject(self) -> None:
        self.planned.set()

    async def report(self, _: Fault) -> None:
        self.planned.set()

    async def end(self) -> None:
        return


def waited() -> float:
    """Seconds that this thread has waited for a core."""
    return int(Path(f"/proc/self/task/{get_native_id()}/schedstat").read_text().split()[1]) / 1e9


async def measure(lags: list[float]) -> None:
    """What holds the loop up is computed, in its own thread or in one that keeps the interpreter from it."""
    while True:
        due, used, before = time.monotonic() + INTERVAL_SECONDS, time.process_time(), waited()
        await asyncio.sleep(INTERVAL_SECONDS)
        lags.append(min(time.monotonic() - due - (waited() - before), time.process_time() - used))


async def longest_lag(document: dict[str, Any], trials: list[dict[str, Any]]) -> float:
    """How long the loop was held up at most, until a reconcile has come to something, and one with the trials too."""
    lags: list[float] = []
    measuring = asyncio.create_task(measure(lags))
    await asyncio.sleep(0.05)
    store, recorder = Store(("team", "nas")), Recorder()
    store.put_experiment(document)
    client = cast("Client", None)
    loop = Loop(store, cast("Applier", recorder), cast("Reader", None), WarmStarter(client, store), [])
    running = asyncio.create_task(loop.run())
    for trial in [None, *trials]:
        if trial is not None:
            recorder.planned.clear()
            store.put_trial(trial)
        planned = asyncio.create_task(recorder.planned.wait())
        await asyncio.wait([planned, running], return_when=asyncio.FIRST_COMPLETED)
        if running.done():
            running.result()
    running.cancel()
    await asyncio.sleep(0.05)
    measuring.cancel()
    return max(lags)


def main() -> None:
    """Answer each in a process of its own, which has nothing in its memory of those before."""
    set_up_interpreter()
    gc.collect()
    gc.freeze()
    for line in sys.stdin:
        if (pid := os.fork()) == 0:
            asked = json.loads(line)
            print(asyncio.run(longest_lag(asked["experiment"], asked["trials"])), flush=True)
            os._exit(0)
        if os.waitpid(pid, 0)[1]:
            # Whoever waits for the answer hears so, where the process has said why.
            sys.exit("no answer")


if __name__ == "__main__":
    main()
