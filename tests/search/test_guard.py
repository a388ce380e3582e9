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
from kubenas.api.search import Search
from kubenas.search.base import History
from kubenas.search.conformance import TINY, asked
from kubenas.search.guard import MODELS_VARIABLE, TIMEOUT_VARIABLE, URLS_VARIABLE, pinned, refused
from kubenas.search.llm import URL_VARIABLE
from kubenas.search.load import build_strategy
from kubenas.search.service_request import ServiceError
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
        # IPv4 addresses within: mapped, compatible, NAT64, 6to4, Teredo, ISATAP
        "[::ffff:169.254.169.254]",
        "[::169.254.169.254]",
        "[64:ff9b::169.254.169.254]",
        "[64:ff9b::a9fe:a9fe]",
        "[64:ff9b:1::127.0.0.1]",
        "[2002:a9fe:a9fe::1]",
        "[2001:0:7f00:1::1]",
        "[2001:0:808:808:0:0:5601:5601]",
        "[2001:db8::5efe:169.254.169.254]",
        "[2001:db8::200:5efe:127.0.0.1]",
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


@pytest.mark.parametrize(
    "host", ["10.96.0.10", "192.168.1.1", "[fd00::2]", "8.8.8.8", "[64:ff9b::808:808]", "proposer.default.svc"]
)
def test_others_may_be_asked(host: str) -> None:
    assert refused(f"http://{host}:8000") is None


def _refusal(algorithm: str, **settings: Any) -> SpecError | None:
    search = Search.model_validate({"algorithm": algorithm, "settings": {**SETTINGS[algorithm], **settings}})
    build_strategy(search, TINY)
    try:
        build_strategy(search, TINY, guarded=True)
    except SpecError as error:
        return error
    return None


@pytest.mark.parametrize("algorithm", SETTINGS)
@pytest.mark.parametrize(
    ("url", "allowed"),
    [
        ("https://models.example.com/v1", True),
        ("https://models.example.com:443/v1/chat", True),
        ("https://MODELS.example.com/v1", True),
        ("http://proposer.team.svc:8000/any/path", True),
        ("https://models.example.com/v1evil", False),
        ("https://models.example.com/v1/../admin", False),
        ("https://models.example.com/v1/%2e%2e/admin", False),
        ("http://models.example.com/v1", False),
        ("https://models.example.com:8443/v1", False),
        ("https://models.example.com.evil.org/v1", False),
        ("http://proposer.other.svc:8000", False),
    ],
)
def test_only_what_the_administrator_lists_is_asked(
    algorithm: str, url: str, allowed: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert _refusal(algorithm, baseUrl=url) is None
    monkeypatch.setenv(URLS_VARIABLE, "https://models.example.com/v1/, http://proposer.team.svc:8000")
    refusal = _refusal(algorithm, baseUrl=url)
    assert (refusal is None) == allowed
    if refusal:
        assert str(refusal).startswith("search.settings.baseUrl: is none of the services that the operator's admini")


def test_the_operators_key_is_for_models_that_the_administrator_allows(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(URL_VARIABLE, "https://models.example.com/v1/")
    for models, model, allowed in [
        ("", "m", False),
        ("large", "m", False),
        ("large, m", "m", True),
        ("*", "m", True),
    ]:
        monkeypatch.setenv(MODELS_VARIABLE, models)
        for settings in ({}, {"baseUrl": "https://models.example.com/v1"}):
            refusal = _refusal("llm", **settings, model=model)
            assert (refusal is None) == allowed
            assert allowed or (refusal and refusal.field == "search.settings.model")
        # Without the key, a model is between the experiment's author and the service.
        assert _refusal("llm", baseUrl="https://other.example.com/v1", model=model) is None


@pytest.mark.parametrize("algorithm", SETTINGS)
def test_timeouts_are_bounded(algorithm: str, monkeypatch: pytest.MonkeyPatch) -> None:
    settings = {"baseUrl": "http://proposer.team.svc:8000"}
    assert _refusal(algorithm, **settings, timeout="5m") is None
    refusal = _refusal(algorithm, **settings, timeout="301s")
    assert refusal is not None
    assert str(refusal) == "search.settings.timeout: 301s is longer than 5m, the longest that is allowed"
    monkeypatch.setenv(TIMEOUT_VARIABLE, "1h")
    assert _refusal(algorithm, **settings, timeout="301s") is None


@pytest.mark.parametrize(
    "url", ["http://proposer:8000/?", "http://proposer:8000/#", "http://proposer?x", "http://@p:80"]
)
@pytest.mark.parametrize("algorithm", SETTINGS)
def test_nothing_comes_after_the_path(algorithm: str, url: str) -> None:
    search = Search.model_validate({"algorithm": algorithm, "settings": {**SETTINGS[algorithm], "baseUrl": url}})
    with pytest.raises(SpecError, match="must have no user, password, query or fragment"):
        build_strategy(search, TINY)


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
        monkeypatch.setenv(MODELS_VARIABLE, "m")
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
