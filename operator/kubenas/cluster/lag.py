"""How long the event loop is late: whatever holds it up holds up every experiment, the lease and the probes."""

from __future__ import annotations

import asyncio

from kubenas.cluster.operator_metrics import LAG, LONGEST_LAG

INTERVAL_SECONDS = 0.02


async def measure() -> None:
    """Measure until cancelled: how much later than it asked for a task of the loop gets its turn."""
    loop = asyncio.get_running_loop()
    longest = 0.0
    while True:
        due = loop.time() + INTERVAL_SECONDS
        await asyncio.sleep(INTERVAL_SECONDS)
        lag = max(0.0, loop.time() - due)
        LAG.observe(lag)
        if lag > longest:
            longest = lag
            LONGEST_LAG.set(lag)
