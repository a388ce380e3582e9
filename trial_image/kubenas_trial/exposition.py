"""The /metrics endpoint of a trial, in Prometheus' exposition formats."""

from __future__ import annotations

import errno
import hashlib
import socket
from collections.abc import Iterator, Mapping
from contextlib import suppress
from hmac import compare_digest
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread
from typing import Any
from urllib.parse import parse_qsl

from prometheus_client import CollectorRegistry
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.exposition import choose_encoder
from prometheus_client.registry import Collector

from kubenas_trial.storage.activity import ACTIVITY

VALUE = "kubenas_trial_value"
STEP = "kubenas_trial_step"
FAILURE = "kubenas_trial_failure"
RUNG = "kubenas_trial_rung"
CHECKPOINTS = "kubenas_trial_checkpoints"
UNREACHABLE = "kubenas_trial_storage_unreachable"
_LARGEST_FORM = 4096
# The text format.
_TEXT = "text/plain; version=0.0.4"


class _Curves(Collector):
    """The last reported step and values of each candidate, and those that are kept."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._last: dict[str, tuple[int, dict[str, float]]] = {}
        self._failures: dict[str, str] = {}
        # By candidate and epoch.
        self._kept: dict[tuple[str, int], tuple[int, dict[str, float]]] = {}

    def keep(self, candidate: str, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        with self._lock:
            known = self._kept.get((candidate, epoch))
            if known is None or known[0] == step:
                self._kept[candidate, epoch] = (step, dict(metrics))

    def fail(self, candidate: str, reason: str) -> None:
        with self._lock:
            self._last.pop(candidate, None)
            self._failures[candidate] = reason

    def update(self, candidate: str, step: int, metrics: Mapping[str, float]) -> None:
        with self._lock:
            self._last[candidate] = (step, dict(metrics))

    def collect(self) -> Iterator[GaugeMetricFamily]:
        # One snapshot makes both families, so that a scrape never pairs a value with another's step.
        with self._lock:
            last, failures, kept = dict(self._last), dict(self._failures), dict(self._kept)
        values = GaugeMetricFamily(VALUE, "Last reported value of a metric.", labels=("candidate", "metric"))
        steps = GaugeMetricFamily(STEP, "Step of the last report, for example the epoch.", labels=("candidate",))
        for candidate, (step, metrics) in last.items():
            steps.add_metric((candidate,), step)
            for name, value in metrics.items():
                values.add_metric((candidate, name), value)
        yield values
        yield steps
        if kept:
            rungs = GaugeMetricFamily(RUNG, "Value at a rung.", labels=("candidate", "step", "metric"))
            for (candidate, _), (step, metrics) in kept.items():
                for name, value in metrics.items():
                    rungs.add_metric((candidate, str(step), name), value)
            yield rungs
        if failures:
            failed = GaugeMetricFamily(FAILURE, "Whether a candidate has failed alone.", labels=("candidate", "reason"))
            for candidate, reason in failures.items():
                failed.add_metric((candidate, reason), 1)
            yield failed


class _Storage(Collector):
    """What was done with checkpoints; nothing where there are none."""

    def collect(self) -> Iterator[Metric]:
        if not ACTIVITY.used:
            return
        counts = CounterMetricFamily(CHECKPOINTS, "Checkpoints by what became of them.", labels=("outcome",))
        for outcome, count in ACTIVITY.checkpoints.items():
            counts.add_metric((outcome,), count)
        yield counts
        yield GaugeMetricFamily(
            UNREACHABLE, "Whether the storage cannot be reached.", value=float(ACTIVITY.unreachable)
        )


class Exposition:
    """Serves what is reported, and knows when the final values have been read.

    Use as a context manager; the server listens on every address of the pod, IPv4 and IPv6.
    """

    def __init__(self, port: int, token: str = "") -> None:
        """Listen on `port`; 0 takes a free one. Who knows `token`, if there is one, may stop candidates.

        Raises:
            OSError: the port cannot be listened on; the message names it.
        """
        self._curves = _Curves()
        # Of what is reported alone, and with all else that is served.
        self._reported, self._registry = CollectorRegistry(), CollectorRegistry()
        for registry in (self._reported, self._registry):
            registry.register(self._curves)
        self._registry.register(_Storage())
        self._token = token
        self._stopped = frozenset[str]()
        self._final = False
        self._final_scraped = Event()
        self._server = _listen(port, self._handler())

    def __enter__(self) -> Exposition:
        Thread(target=self._server.serve_forever, name="metrics", daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        # Wakes the thread: it polls for its shutdown only twice a second.
        with suppress(OSError):
            self._server.socket.shutdown(socket.SHUT_RDWR)
        self._server.shutdown()
        self._server.server_close()

    @property
    def stopped(self) -> frozenset[str]:
        """Candidates that are to be stopped."""
        return self._stopped

    @property
    def port(self) -> int:
        """The port that is listened on."""
        return int(self._server.server_address[1])

    def update(self, candidate: str, step: int, metrics: Mapping[str, float]) -> None:
        """Replace a candidate's step and values, at once for every scrape."""
        self._curves.update(candidate, step, metrics)

    def keep(self, candidate: str, epoch: int, step: int, metrics: Mapping[str, float]) -> None:
        """Show for good what a candidate has come to after so many epochs, by the first step that reports them."""
        self._curves.keep(candidate, epoch, step, metrics)

    def fail(self, candidate: str, reason: str) -> None:
        """Show that a candidate has failed alone, in place of its values."""
        self._curves.fail(candidate, reason)

    def digest(self) -> str:
        """SHA-256 of the reported samples in the text format: their lines, sorted, with line feeds between them."""
        encode, _ = choose_encoder(_TEXT)
        lines = [line for line in encode(self._reported).decode().splitlines() if not line.startswith("#")]
        return hashlib.sha256("\n".join(sorted(lines)).encode()).hexdigest()

    def wait_final_scrape(self, limit: float) -> bool:
        """Wait until all that was reported has been scraped once more, at most `limit` seconds; whether it was."""
        self._final = True
        return self._final_scraped.wait(limit)

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        exposition = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                if self.path.partition("?")[0] != "/metrics":
                    self.send_error(HTTPStatus.NOT_FOUND, "only /metrics is served here")
                    return
                final = exposition._final
                encode, content_type = choose_encoder(self.headers.get("Accept", ""))
                body = encode(exposition._registry)
                self.send_response(HTTPStatus.OK)
                self.send_header("Content-Type", content_type)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)
                if final:
                    exposition._final_scraped.set()

            def do_POST(self) -> None:
                length = self.headers.get("Content-Length", "")
                if self.path != "/stop" or not length.isdecimal() or int(length) > _LARGEST_FORM:
                    self.send_error(HTTPStatus.NOT_FOUND, "only /stop takes a form")
                    return
                form = dict(parse_qsl(self.rfile.read(int(length)).decode(errors="replace")))
                given, token = form.get("token", ""), exposition._token
                if not token or not compare_digest(given.encode(), token.encode()):
                    self.send_error(HTTPStatus.FORBIDDEN, "that is not the token of this attempt")
                    return
                exposition._stopped = frozenset(form.get("candidates", "").split(","))
                self.send_response(HTTPStatus.NO_CONTENT)
                self.end_headers()

            def log_message(self, format: str, *args: Any) -> None:  # noqa: A002 - the overridden signature
                """Scrapes are not worth a line each."""

        return Handler


class _DualStackServer(ThreadingHTTPServer):
    daemon_threads = True
    address_family = socket.AF_INET6

    def server_bind(self) -> None:
        self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        super().server_bind()


def _listen(port: int, handler: type[BaseHTTPRequestHandler]) -> ThreadingHTTPServer:
    try:
        try:
            return _DualStackServer(("::", port), handler)
        except OSError as error:
            if error.errno not in {errno.EAFNOSUPPORT, errno.EADDRNOTAVAIL}:
                raise
            return ThreadingHTTPServer(("", port), handler)
    except OSError as error:
        raise OSError(f"metrics port {port}: {error.strerror}; set KUBENAS_METRICS_PORT to a free one") from error
