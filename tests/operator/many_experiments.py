"""How long an operator's event loop is held up by scrapes while a tenant has many experiments.

Prints one JSON object: the longest lag in seconds, and what was answered.
"""

from __future__ import annotations

import asyncio
import gc
import json
import sys
from dataclasses import replace
from typing import Any, cast

from kubenas.cluster.client import Client
from kubenas.cluster.collector import Scrape
from kubenas.cluster.manager import Manager
from kubenas.cluster.operator import set_up_interpreter
from kubenas.cluster.operator_metrics import REGISTRY
from kubenas.cluster.pods import PodDefaults
from kubenas.cluster.readings import Reader
from kubenas.cluster.server import serve
from kubenas.experiment.plan import plan
from kubenas.experiment.progress import progress
from kubenas.experiment.state import Trial, moment
from tests.experiment.builders import NOW, experiment, observed, succeeded
from tests.operator.loop_lag import measure

# As many series as an experiment can have of each kind.
OBJECTIVES = [{"metric": "accuracy", "reference": 0, "target": 2}] + [
    {"metric": f"m{n}".ljust(63, "x"), "goal": "minimize", "reference": 10_000} for n in range(7)
]
STAGES: list[dict[str, Any]] = [{"name": f"stage-{n}", "keep": {"top": 1}} for n in range(7)] + [{"name": "last"}]


def trials() -> list[Trial]:
    """Each is better than another one in something."""
    costs = [str(objective["metric"]) for objective in OBJECTIVES[1:]]
    ended = [succeeded(n, n + 1, n / 100, **dict.fromkeys(costs, float(n))) for n in range(50)]
    return [replace(one, stage=STAGES[0]["name"]) for one in ended]


async def scraped(count: int) -> dict[str, Any]:
    """What scrapes of so many experiments come to."""
    of = experiment(objectives=OBJECTIVES, stages=STAGES, budget={"gpuHours": 1, "wallClock": "1h"})
    seen = observed(of, trials=trials())
    status = plan(seen, NOW).status
    assert status is not None
    found = progress(seen, status, None, NOW)
    manager = Manager(cast("Client", None), cast("Reader", None), PodDefaults("image"), None)
    for number in range(count):
        # Not by events: to read as many objects with large statuses takes long.
        store = manager._store(("team", f"nas-{number}"))
        metadata = of.metadata.model_copy(
            update={"name": store.key[1], "namespace": store.key[0], "creation_timestamp": moment(NOW)}
        )
        store.experiment = of.model_copy(update={"metadata": metadata, "status": status})
        store.progress = found
    runner = await serve("127.0.0.1", 0, lambda: Scrape(REGISTRY, leads=True, snapshots=manager.snapshots()))
    port = runner.addresses[0][1]
    gc.collect()
    gc.freeze()
    lags: list[float] = []
    measuring = asyncio.create_task(measure(lags))
    await asyncio.sleep(0.05)
    text = ""
    for accept in ("text/plain", "application/openmetrics-text"):
        asked = await asyncio.create_subprocess_exec(
            sys.executable,
            "-c",
            f"import httpx; print(httpx.get('http://127.0.0.1:{port}/metrics', headers={{'Accept': '{accept}'}},"
            "trust_env=False, timeout=60).text)",
            stdout=asyncio.subprocess.PIPE,
            limit=2**26,
        )
        answer, _ = await asked.communicate()
        text = text or answer.decode()
    await asyncio.sleep(0.05)
    measuring.cancel()
    await runner.cleanup()
    return {"lag": max(lags), "text": text}


def main() -> None:
    set_up_interpreter()
    print(json.dumps(asyncio.run(scraped(int(sys.argv[1])))))


if __name__ == "__main__":
    main()
