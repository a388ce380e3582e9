"""What a trial's own /metrics says."""

from __future__ import annotations

from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from threading import Thread

import httpx
import pytest

from kubenas.metrics.exposition import parse_exposition, scrape
from kubenas_trial.exposition import Exposition

TEXT = """# HELP kubenas_trial_value Last reported value of a metric.
# TYPE kubenas_trial_value gauge
kubenas_trial_value{candidate="0",metric="accuracy"} 0.5
kubenas_trial_value{candidate="0",metric="loss"} NaN
kubenas_trial_value{candidate="1",metric="accuracy"} 0.25
kubenas_trial_value{candidate="2",metric="accuracy"} 0.125
kubenas_trial_step{candidate="0"} 3.0
kubenas_trial_step{candidate="1"} 2
kubenas_trial_step{candidate="3"} 1
process_cpu_seconds_total 12
"""


def test_values_come_with_their_steps() -> None:
    assert parse_exposition(TEXT) == {"0": (3, {"accuracy": 0.5}), "1": (2, {"accuracy": 0.25})}
    assert parse_exposition("") == {}


@pytest.mark.parametrize("text", ["<html>", 'kubenas_trial_value{candidate="0" 1', "kubenas_trial_step 1"])
def test_what_is_no_exposition(text: str) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_exposition(text)


async def test_what_the_sdk_serves_is_read() -> None:
    with Exposition(0) as exposition:
        exposition.update("0", 7, {"accuracy": 0.75, "loss": 1e-9})
        async with httpx.AsyncClient(trust_env=False) as client:
            read = await scrape(client, f"http://127.0.0.1:{exposition.port}/metrics")
            with pytest.raises(httpx.HTTPStatusError):
                await scrape(client, f"http://127.0.0.1:{exposition.port}/other")
    assert read == {"0": (7, {"accuracy": 0.75, "loss": 1e-9})}


@pytest.fixture
def page() -> Iterator[str]:
    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(200)
            self.end_headers()
            self.wfile.write(b"<html>\xff</html>")

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the overridden signature
            pass

    with HTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/metrics"
        server.shutdown()


async def test_another_page_is_an_error(page: str) -> None:
    async with httpx.AsyncClient(trust_env=False) as client:
        with pytest.raises(ValueError, match=r"\S"):
            await scrape(client, page)
