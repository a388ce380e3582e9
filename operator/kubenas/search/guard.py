"""What experiments may have the operator ask: what its administrator allows, and never its own machine.

Credentials are handed out there.
"""

from __future__ import annotations

import asyncio
import ipaddress
import os
import socket
from collections.abc import Awaitable, Callable, Iterator
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit

from kubenas.api.base import duration_seconds
from kubenas.api.errors import SpecError
from kubenas.search.service_request import ServiceError

_REFUSAL: Final = "is an address of the operator's own machine or link, which is not asked for experiments"
# Metadata services of clouds that have another address than the link-local 169.254.169.254.
_METADATA: Final = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200", "168.63.129.16")))

# IPv6 networks whose addresses end in the IPv4 address meant: mapped, compatible, NAT64 (RFC 6052, RFC 8215).
_TRANSLATED: Final = tuple(
    map(ipaddress.IPv6Network, ("::ffff:0:0/96", "::ffff:0:0:0/96", "::/96", "64:ff9b::/96", "64:ff9b:1::/48"))
)
# The interface identifier of ISATAP (RFC 5214), whose second bit may be set too.
_ISATAP: Final = 0x00005EFE
_PORTS: Final = {"http": 80, "https": 443}

URLS_VARIABLE: Final = "KUBENAS_SERVICE_URLS"
TIMEOUT_VARIABLE: Final = "KUBENAS_SERVICE_TIMEOUT"
MODELS_VARIABLE: Final = "KUBENAS_LLM_MODELS"
LARGEST_TIMEOUT: Final = "5m"


def check_allowed(url: str | None, timeout: str) -> None:
    """See that an experiment may name a service and a time-out.

    Args:
        url: None where it names none.
        timeout: a duration.

    Raises:
        SpecError: the administrator does not allow it, or nobody does; on the field below `spec`.
    """
    largest = os.environ.get(TIMEOUT_VARIABLE) or LARGEST_TIMEOUT
    if duration_seconds(timeout) > duration_seconds(largest):
        raise SpecError("search.settings.timeout", f"{timeout} is longer than {largest}, the longest that is allowed")
    if url is None:
        return
    if refusal := refused(url):
        raise SpecError("search.settings.baseUrl", f"{refusal}: give the service an address of its own")
    listed = _listed(URLS_VARIABLE)
    if listed and not any(_covers(one, url) for one in listed):
        message = f"is none of the services that the operator's administrator allows: {', '.join(listed)}"
        raise SpecError("search.settings.baseUrl", message)


def check_model(model: str) -> None:
    """See that an experiment may use a model of the operator's own endpoint, and so its key.

    Raises:
        SpecError: the administrator does not allow it.
    """
    listed = _listed(MODELS_VARIABLE)
    if model not in listed and "*" not in listed:
        allowed = ", ".join(listed) or f"none, as {MODELS_VARIABLE} is not set"
        message = f"{model!r:.80} is no model that the operator's administrator allows at its endpoint: {allowed}"
        raise SpecError("search.settings.model", message)


def _listed(variable: str) -> list[str]:
    return [one.strip() for one in os.environ.get(variable, "").split(",") if one.strip()]


def _covers(listed: str, url: str) -> bool:
    """Whether an address is a listed one, or below it."""
    allowed, asked = urlsplit(listed), urlsplit(url)
    if _origin(allowed) != _origin(asked):
        return False
    # What a server might take for another path is none that was listed.
    if "%" in asked.path or "\\" in asked.path or {".", ".."} & {*asked.path.split("/")}:
        return False
    return f"{asked.path.rstrip('/')}/".startswith(f"{allowed.path.rstrip('/')}/")


def _origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _PORTS.get(parts.scheme)


def refused(url: str) -> str | None:
    """Why an address is refused as it is written, before any name is looked up; None where it may be asked."""
    host = urlsplit(url).hostname or ""
    if host == "localhost" or host.endswith(".localhost"):
        return f"{host} {_REFUSAL}"
    try:
        return f"{host} {_REFUSAL}" if _near(host) else None
    except ValueError:
        return None  # a name


async def pinned(url: str) -> Callable[[Any], Awaitable[None]]:
    """Look the name in `url` up; a client's request hook that has this address connected to, and no later one.

    The server still reads the name in the Host header, and TLS asks for the name's certificate.

    Raises:
        ServiceError: an address of the name is refused.
        OSError: the name cannot be looked up.
    """
    parts = urlsplit(url)
    found = await asyncio.get_running_loop().getaddrinfo(parts.hostname, parts.port, type=socket.SOCK_STREAM)
    addresses = [str(where[0]) for *_, where in found]
    if near := next((address for address in addresses if _near(address)), None):
        raise ServiceError(f"cannot be asked: {near} {_REFUSAL}")

    async def pin(request: Any) -> None:
        request.extensions = {**request.extensions, "sni_hostname": request.url.host}
        request.url = request.url.copy_with(host=addresses[0])

    return pin


def _near(text: str) -> bool:
    address = ipaddress.ip_address(text.partition("%")[0])
    return any(
        one.is_loopback or one.is_link_local or one.is_unspecified or one.is_multicast or one in _METADATA
        for one in (address, *_embedded(address))
    )


def _embedded(address: ipaddress.IPv4Address | ipaddress.IPv6Address) -> Iterator[ipaddress.IPv4Address]:
    """The IPv4 addresses that an IPv6 address leads to, through whatever translates it."""
    if not isinstance(address, ipaddress.IPv6Address):
        return
    if any(address in network for network in _TRANSLATED) or (int(address) >> 32) & 0xFDFFFFFF == _ISATAP:
        yield ipaddress.IPv4Address(int(address) & 0xFFFFFFFF)
    if address.sixtofour is not None:
        yield address.sixtofour
    if address.teredo is not None:
        yield from address.teredo
