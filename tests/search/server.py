"""A real HTTP server on this machine that answers as a test says."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import Any

from tests.http_server import Handler, listening

Handle = Callable[[dict[str, Any]], tuple[int, bytes]]


@dataclass
class Server:
    """Where it is, and what it was sent."""

    url: str
    requests: list[dict[str, Any]] = field(default_factory=list)
    paths: list[str] = field(default_factory=list)
    authorizations: list[str] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    # Set when the test is over, for handlers that wait.
    ended: Event = field(default_factory=Event)


@contextmanager
def serving(handle: Handle, drips: bool = False, location: str = "", host: str = "127.0.0.1") -> Iterator[Server]:
    """A server that answers POST with the status and body of `handle`.

    Args:
        handle: is given the JSON of the request.
        drips: send one byte each tenth of a second, headers first.
        location: header of every answer.
        host: address of this machine to listen on.
    """

    server = Server("")

    class Answering(Handler):
        def do_POST(self) -> None:  # noqa: N802 - the overridden name
            document = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            server.requests.append(document)
            server.paths.append(self.path)
            server.headers.append(dict(self.headers))
            server.authorizations.append(self.headers.get("Authorization", ""))
            status, body = handle(document)
            try:
                self.send_response(status)
                self.send_header("Content-Type", "application/json")
                self.send_header("Content-Length", str(len(body)))
                if location:
                    self.send_header("Location", location)
                self.end_headers()
                for byte in body if drips else ():
                    self.wfile.write(bytes([byte]))
                    if server.ended.wait(0.1):
                        return
                if not drips:
                    self.wfile.write(body)
            except OSError:
                return  # the client has gone

    with listening(Answering, server.ended, host) as server.url:
        yield server
