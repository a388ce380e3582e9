"""A real HTTP server that answers a GET or POST as a test says, in bytes of the test's own choice."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event
from typing import BinaryIO
from urllib.parse import parse_qs

from tests.http_server import Handler, listening

# Writes an answer, headers included: is given the form that was sent, where to write, and what ends with the test.
Answer = Callable[[dict[str, str], BinaryIO, Event], None]


@dataclass
class Server:
    """Where it listens, and what it was asked."""

    url: str
    forms: list[dict[str, str]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    ended: Event = field(default_factory=Event)


def whole(body: bytes, *headers: str, status: int = 200) -> Answer:
    """An answer at once."""

    def answer(_: dict[str, str], out: BinaryIO, __: Event) -> None:
        lines = [
            f"HTTP/1.1 {status} X",
            f"Content-Length: {len(body)}",
            "Connection: close",
            "Content-Type: text/plain",
            *headers,
        ]
        out.write("\r\n".join([*lines, "", ""]).encode() + body)

    return answer


def endless(piece: bytes, pause: float = 0.0) -> Answer:
    """An answer that does not end as long as somebody reads it."""

    def answer(_: dict[str, str], out: BinaryIO, ended: Event) -> None:
        out.write(b"HTTP/1.1 200 X\r\nConnection: close\r\n\r\n")
        while not ended.wait(pause):
            out.write(piece)
            out.flush()

    return answer


@contextmanager
def serving(answer: Answer, address: tuple[str, int] = ("127.0.0.1", 0)) -> Iterator[Server]:
    """A server that answers so to whatever it is asked."""

    server = Server("")

    class Answering(Handler):
        def do_GET(self) -> None:  # noqa: N802 - the overridden name
            form = parse_qs(self.rfile.read(int(self.headers.get("Content-Length", 0))).decode())
            server.forms.append({name: values[0] for name, values in form.items()})
            server.headers.append(dict(self.headers))
            self.close_connection = True
            try:
                answer(server.forms[-1], self.wfile, server.ended)  # type: ignore[arg-type]
            except OSError:
                return  # the client has gone

        do_POST = do_GET  # noqa: N815 - the overridden name

    with listening(Answering, server.ended, *address) as server.url:
        yield server
