from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, Gauge, start_http_server

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def trainer() -> Iterator[int]:
    """The port of a trainer's metrics: one candidate at step 3, and something of the trainer's own."""
    registry = CollectorRegistry()
    Gauge("kubenas_trial_value", "Value", ["candidate", "metric"], registry=registry).labels("0", "accuracy").set(0.75)
    Gauge("kubenas_trial_step", "Step", ["candidate"], registry=registry).labels("0").set(3)
    Gauge("batches_seen", "Of no interest", registry=registry).set(7)
    server, thread = start_http_server(0, addr="127.0.0.1", registry=registry)
    yield server.server_port
    server.shutdown()
    server.server_close()
    thread.join()
