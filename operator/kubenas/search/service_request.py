"""Requests to somebody else's service: what is an address, how long is waited, what is too much, what went wrong."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Final
from urllib.parse import urlsplit

from pydantic import AfterValidator, Field

# Bytes of the largest answer that is read: JSON is read at one go.
LARGEST: Final = 2**20


class ServiceError(Exception):
    """A service has not answered as agreed; says how, and nothing of what it sent."""


def _checked_url(url: str) -> str:
    parts = urlsplit(url)  # a ValueError says what is wrong, with the port too
    if parts.scheme not in {"http", "https"} or not parts.hostname or parts.port == 0:
        raise ValueError(f"{url!r} is no address of a service: write for example http://proposer.default.svc:8000")
    if parts.username is not None or parts.password is not None or "?" in url or "#" in url:
        raise ValueError("must have no user, password, query or fragment: write only scheme, host, port and path")
    return url.rstrip("/")


Url = Annotated[str, Field(min_length=8, max_length=2048, pattern=r"^\S+$"), AfterValidator(_checked_url)]


@dataclass(frozen=True, slots=True)
class Answer:
    """What a service has proposed, as JSON and not checked yet; or why there is nothing."""

    documents: tuple[Any, ...] = ()
    fault: str | None = None


async def bounded(chunks: AsyncIterator[bytes]) -> bytes:
    """All of an answer's body.

    Raises:
        ServiceError: it is larger than `LARGEST`.
    """
    body = bytearray()
    async for chunk in chunks:
        body += chunk
        if len(body) > LARGEST:
            raise ServiceError(f"answered with more than {LARGEST // 2**20} MiB")
    return bytes(body)


async def answer_of(address: str, seconds: int, ask: Coroutine[Any, Any, Sequence[Any]]) -> Answer:
    """The answer of `ask`, which has so many seconds for all of it: name look-up, repeats, the slowest byte."""
    try:
        async with asyncio.timeout(seconds):
            return Answer(tuple(await ask))
    except TimeoutError:
        return Answer(fault=f"{address} did not answer within {seconds} s")
    except ServiceError as error:
        return Answer(fault=f"{address} {error}")
    except (OSError, ValueError) as error:  # a name that no look-up takes
        return Answer(fault=f"{address} cannot be asked ({type(error).__name__})")
