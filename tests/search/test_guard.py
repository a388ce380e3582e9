"""What experiments may not have the operator ask: addresses of its own machine, however they are written."""

from __future__ import annotations

import asyncio
import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

import httpx
import pytest

from kubenas.api.errors import SpecError
from kubenas.api.experiment import Search
from kubenas.search.asking import ServiceError
from kubenas.search.base import History
from kubenas.search.conformance import TINY, asked
from kubenas.search.guard import pinned, refused
from kubenas.search.llm import URL_VARIABLE
from kubenas.search.load import build_strategy
from tests.search.server import serving

SETTINGS: dict[str, dict[str, Any]] = {"external": {}, "llm": {"model": "m"}}


@pytest.mark.parametrize(
    "host",
    [
        "127.0.0.1",
        "127.8.8.8",
        "[::1]",
        "[::ffff:127.0.0.1]",
        "localhost",
        "api.localhost",
        "0.0.0.0",  # noqa: S104 - not listened on
        "[::]",
        "169.254.169.254",
        "[fe80::1]",
        "[fd00:ec2::254]",
        "168.63.129.16",
        "224.0.0.1",
    ],
)
@pytest.mark.parametrize("algorithm", SETTINGS)
def test_near_addresses_are_refused_as_written(algorithm: str, host: str) -> None:
    settings = {**SETTINGS[algorithm], "baseUrl": f"http://{host}:8000/v1"}
    search = Search.model_validate({"algorithm": algorithm, "settings": settings})
    with pytest.raises(SpecError, match="is an address of the operator's own machine") as error:
        build_strategy(search, TINY, guarded=True)
    assert error.value.field == "search.settings.baseUrl"
    build_strategy(search, TINY)


@pytest.mark.parametrize("host", ["10.96.0.10", "192.168.1.1", "[fd00::2]", "8.8.8.8", "proposer.default.svc"])
def test_others_may_be_asked(host: str) -> None:
    assert refused(f"http://{host}:8000") is None


def _names(monkeypatch: pytest.MonkeyPatch, **addresses: list[str]) -> list[str]:
    """Let the machine's look-up give these addresses; the names that it was asked for."""
    asked: list[str] = []

    def look_up(host: str, port: int, *_: Any, **__: Any) -> list[Any]:
        asked.append(host)
        return [(socket.AF_INET, socket.SOCK_STREAM, 6, "", (one, port)) for one in addresses.get(host, [host])]

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    return asked


@pytest.mark.parametrize("host", ["2130706433", "0x7f.1", "metadata"])
def test_names_that_stand_for_near_addresses_are_refused(host: str, monkeypatch: pytest.MonkeyPatch) -> None:
    if host == "metadata":
        _names(monkeypatch, metadata=["10.0.0.1", "169.254.169.254"])
    with pytest.raises(ServiceError, match="is an address of the operator's own machine"):
        asyncio.run(pinned(f"http://{host}/latest"))


@pytest.mark.parametrize("algorithm", SETTINGS)
def test_a_near_service_is_sent_nothing_and_the_search_goes_on(algorithm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    with serving(lambda _: (200, b"")) as server:
        _names(monkeypatch, proposer=["127.0.0.1"])
        url = server.url.replace("127.0.0.1", "proposer")
        search = Search.model_validate({"algorithm": algorithm, "settings": {**SETTINGS[algorithm], "baseUrl": url}})
        strategy = build_strategy(search, TINY, guarded=True)
        assert len(asked(strategy, History(TINY), 2)) == 2
    assert server.requests == []
    assert strategy.fault is not None
    assert "cannot be asked: 127.0.0.1 is an address of the operator's own machine" in strategy.fault


def test_the_operators_own_endpoint_may_be_near(monkeypatch: pytest.MonkeyPatch) -> None:
    """A model beside the operator is its administrator's choice."""
    with serving(lambda _: (500, b"")) as server:
        monkeypatch.setenv(URL_VARIABLE, server.url)
        for settings in ({"model": "m"}, {"model": "m", "baseUrl": server.url}):
            strategy = build_strategy(Search(algorithm="llm", settings=settings), TINY, guarded=True)
            asked(strategy, History(TINY), 1)
            assert strategy.fault == f"{server.url} answered with status 500"


def test_what_was_looked_up_is_connected_to_under_its_name(monkeypatch: pytest.MonkeyPatch, far: str) -> None:
    with serving(lambda _: (200, b'{"architectures": []}'), host=far) as server:
        looked_up = _names(monkeypatch, proposer=[far])
        url = server.url.replace(far, "proposer")
        search = Search.model_validate({"algorithm": "external", "settings": {"baseUrl": url}})
        strategy = build_strategy(search, TINY, guarded=True)
        asked(strategy, History(TINY), 1)
    assert strategy.fault == "0 of 1 architectures were proposed"
    assert server.headers[0]["Host"] == url.removeprefix("http://")
    assert looked_up.count("proposer") == 1


@pytest.fixture
def certificate(tmp_path: Path) -> tuple[Path, Path]:
    """The certificate of `proposer`, and its key."""
    key, certificate = tmp_path / "key", tmp_path / "certificate"
    command = ["openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"]
    command += ["-keyout", str(key), "-out", str(certificate), "-subj", "/CN=proposer"]
    subprocess.run([*command, "-addext", "subjectAltName=DNS:proposer"], check=True, capture_output=True)
    return certificate, key


async def test_tls_asks_for_the_names_certificate(
    certificate: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, far: str
) -> None:
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*certificate)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 204 No Content\r\nConnection: close\r\n\r\n")
        await writer.drain()
        writer.close()

    _names(monkeypatch, proposer=[far], other=[far])
    async with await asyncio.start_server(answer, far, 0, ssl=tls) as server:
        port = server.sockets[0].getsockname()[1]
        trusting = ssl.create_default_context(cafile=str(certificate[0]))
        for name, fits in (("proposer", True), ("other", False)):
            url = f"https://{name}:{port}/"
            hooks = {"request": [await pinned(url)]}
            async with httpx.AsyncClient(verify=trusting, event_hooks=hooks, trust_env=False) as client:
                if fits:
                    assert (await client.post(url)).status_code == 204
                else:
                    with pytest.raises(httpx.ConnectError, match="certificate"):
                        await client.post(url)
