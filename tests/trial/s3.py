"""A real S3 server, moto's, in a process of its own, and a way to it that a test can cut."""

from __future__ import annotations

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
_PATIENCE_SECONDS = 60
_ALLOWED = '{"Version":"2012-10-17","Statement":[{"Effect":"Allow","Action":"s3:*","Resource":"*"}]}'


@dataclass(frozen=True)
class S3:
    """The server, with a bucket and a user who may use it."""

    port: int
    key: str
    secret: str

    def environment(self, port: int | None = None) -> dict[str, str]:
        """What a pod is given by its Secret."""
        return {
            "AWS_ACCESS_KEY_ID": self.key,
            "AWS_SECRET_ACCESS_KEY": self.secret,
            "AWS_ENDPOINT_URL": f"http://127.0.0.1:{port or self.port}",
        }

    @property
    def client(self) -> Any:
        """boto's."""
        return _client("s3", self.port, self.key, self.secret)

    def keys(self, prefix: str) -> list[str]:
        """Of all objects below `prefix`, in order."""
        listed = self.client.list_objects_v2(Bucket=BUCKET, Prefix=prefix)
        return sorted(one["Key"] for one in listed.get("Contents", ()))


def _client(service: str, port: int, key: str, secret: str) -> Any:
    return boto3.client(
        service,
        endpoint_url=f"http://127.0.0.1:{port}",
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
    address = f"http://127.0.0.1:{port}/moto-api"
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(port)],
        env={**os.environ, "INITIAL_NO_AUTH_ACTION_COUNT": "1000000"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        deadline = time.monotonic() + _PATIENCE_SECONDS
        while True:
            try:
                httpx.get(address)
                break
            except httpx.TransportError:
                assert process.poll() is None
                assert time.monotonic() < deadline
                time.sleep(0.05)
        _client("s3", port, "any", "any").create_bucket(Bucket=BUCKET)
        iam = _client("iam", port, "any", "any")
        iam.create_user(UserName="trainer")
        iam.put_user_policy(UserName="trainer", PolicyName="all", PolicyDocument=_ALLOWED)
        made = iam.create_access_key(UserName="trainer")["AccessKey"]
        httpx.post(f"{address}/reset-auth", content="0").raise_for_status()
        yield S3(port, made["AccessKeyId"], made["SecretAccessKey"])
    finally:
        process.kill()
        process.wait()


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
