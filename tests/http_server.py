"""A real HTTP server on this machine, with the handler that a test's helper brings."""

from __future__ import annotations

import ssl
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from typing import Any


class Handler(BaseHTTPRequestHandler):
    """Says nothing of what it is asked."""

    def log_message(self, *_: Any) -> None:
        return


@contextmanager
def listening(
    handler: type[Handler], ended: Event, host: str = "127.0.0.1", port: int = 0, tls: ssl.SSLContext | None = None
) -> Iterator[str]:
    """The URL of a server that answers by `handler`.

    Args:
        handler: of requests, each in a thread.
        ended: is set when the test is over, for handlers that wait.
        host, port: where to listen; at any port where it is 0.
        tls: the server's certificate, for HTTPS.
    """
    with ThreadingHTTPServer((host, port), handler) as http:
        if tls is not None:
            http.socket = tls.wrap_socket(http.socket, server_side=True)
        thread = Thread(target=http.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield f"{'https' if tls else 'http'}://{host}:{http.server_port}"
        finally:
            ended.set()
            http.shutdown()
            thread.join()
