"""A real S3 server, moto's, in a process of its own, and a way to it that a test can cut.

``python -m tests.trial.s3 URL`` makes the bucket and the user at a server that was started with `OPEN`, and prints
what a pod's Secret has.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any, Self

import boto3
import httpx
import pytest

BUCKET = "artifacts"
# A server's environment: nobody is refused, until the bucket and the user are made.
OPEN = {"INITIAL_NO_AUTH_ACTION_COUNT": "1000000"}
_PATIENCE_SECONDS = 60
_ALLOWED = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'


@dataclass(frozen=True)
class S3:
    """The server, with a bucket and a user who may use it."""

    endpoint: str
    key: str
    secret: str

    @property
    def port(self) -> int:
        """Of the server."""
        return int(self.endpoint.rpartition(":")[2])

    def environment(self, port: int | None = None) -> dict[str, str]:
        """What a pod is given by its Secret."""
        return {
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_ENDPOINT_URL": self.endpoint if port is None else f"http://127.0.0.1:{port}",
        }

    @property
    def client(self) -> Any:
        """boto's."""
        return _client("s3", self.endpoint, self.key, self.secret)

    def keys(self, prefix: str) -> list[str]:
        """Of all objects below `prefix`, in order."""
        listed = self.client.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        return sorted(one["Key"] for one in listed.get("Contents", ()))


def _client(service: str, endpoint: str, key: str, secret: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=endpoint,
        region_name="us-east-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
    )


def _free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        port: int = server.getsockname()[1]
    return port


@pytest.fixture(scope="session")
def s3() -> Iterator[S3]:
    """One for all tests; it refuses credentials that it has not given out."""
    port = _free_port()
    process = subprocess.Popen(
        server("127.0.0.1", port), env={**os.environ, **OPEN}, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    )
    try:
        yield made(f"http://127.0.0.1:{port}")
    finally:
        process.kill()
        process.wait()


def server(address: str, port: int) -> list[str]:
    """The command that serves, in the environment `OPEN`."""
    return [sys.executable, "-m", "moto.server", "-H", address, "-p", str(port)]


def made(endpoint: str) -> S3:
    """A server, once it answers, with the bucket and the user; it refuses all others from then on."""
    deadline = time.monotonic() + _PATIENCE_SECONDS
    while True:
        try:
            httpx.get(f"{endpoint}/moto-api")
            break
        except httpx.TransportError:
            assert time.monotonic() < deadline
            time.sleep(0.05)
    _client("s3", endpoint, "any", "any").create_bucket(Bucket=BUCKET)
    iam = _client("iam", endpoint, "any", "any")
    iam.create_user(UserName="trainer")
    iam.put_user_policy(UserName="trainer", PolicyName="all", PolicyDocument=_ALLOWED)
    key = iam.create_access_key(UserName="trainer")["AccessKey"]
    httpx.post(f"{endpoint}/moto-api/reset-auth", content="0").raise_for_status()
    return S3(endpoint, key["AccessKeyId"], key["SecretAccessKey"])


class Wire:
    """A port that leads to another one, unless it is cut: connections are then refused, and those that are there end.

    Attributes:
        port: where to connect to.
        refused: how many connections were tried while it was cut.
    """

    def __init__(self, to: int) -> None:
        self._to, self._cut = to, False
        self._open: set[socket.socket] = set()
        self._lock = threading.Lock()
        self.refused = 0

    def __enter__(self) -> Self:
        self._server = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._server.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        # Wakes the thread that accepts.
        self._server.shutdown(socket.SHUT_RDWR)
        self._server.close()
        self._end_all()

    def cut(self) -> None:
        """Let nothing through."""
        self._cut = True
        self._end_all()

    def mend(self) -> None:
        """Let all through again."""
        self._cut = False

    def _end_all(self) -> None:
        with self._lock:
            for one in self._open:
                with suppress(OSError):
                    one.shutdown(socket.SHUT_RDWR)

    def _accept(self) -> None:
        while True:
            try:
                near, _ = self._server.accept()
            except OSError:
                return
            if self._cut:
                self.refused += 1
                near.close()
                continue
            far = socket.create_connection(("127.0.0.1", self._to))
            with self._lock:
                self._open |= {near, far}
            for source, target in ((near, far), (far, near)):
                threading.Thread(target=self._carry, args=(source, target), daemon=True).start()

    def _carry(self, source: socket.socket, target: socket.socket) -> None:
        with suppress(OSError):
            while data := source.recv(65536):
                target.sendall(data)
        for one in (source, target):
            with suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)


@contextmanager
def environment_of(variables: dict[str, str]) -> Iterator[None]:
    """With `variables` in this process' environment."""
    with pytest.MonkeyPatch.context() as patch:
        for name, value in variables.items():
            patch.setenv(name, value)
        yield


if __name__ == "__main__":
    print(json.dumps(made(sys.argv[1]).environment()))
