"""Keeps requests that users have made away from the operator's own machine, where credentials are handed out."""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable
from typing import Any, Final
from urllib.parse import urlsplit

from kubenas.search.asking import ServiceError

_REFUSAL: Final = "is an address of the operator's own machine or link, which is not asked for experiments"
# Metadata services of clouds that have another address than the link-local 169.254.169.254.
_METADATA: Final = frozenset(map(ipaddress.ip_address, ("fd00:ec2::254", "100.100.100.200", "168.63.129.16")))


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
    if isinstance(address, ipaddress.IPv6Address) and address.ipv4_mapped:
        address = address.ipv4_mapped
    return (
        address.is_loopback
        or address.is_link_local
        or address.is_unspecified
        or address.is_multicast
        or address in _METADATA
    )
