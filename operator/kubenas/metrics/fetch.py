"""One HTTP answer of a server that may be hostile: its bytes, its encoding and its time are bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

import httpx


class AnswerError(ValueError):
    """An answer that is not taken; says why, with the server left out of the sentence."""


class TooLargeError(AnswerError):
    """An answer of more bytes than are read."""


def http_client() -> httpx.AsyncClient:
    """A client whose connections are not a pool for all: who makes requests bounds their number, by tenant."""
    return httpx.AsyncClient(limits=httpx.Limits(max_connections=None, max_keepalive_connections=100))


async def fetch(
    client: httpx.AsyncClient,
    url: str,
    *,
    accept: str,
    largest: int,
    seconds: float,
    form: Mapping[str, str] | None = None,
) -> tuple[httpx.Response, bytes]:
    """The answer to a GET, or to a POST of `form`, and its body.

    Compressed answers are refused, as their size says nothing of what they become.

    Args:
        accept: the format asked for.
        largest: bytes of the body that are read.
        seconds: for all of it: connecting, headers, the last byte.

    Raises:
        httpx.HTTPError: nobody answers there, or not in HTTP.
        AnswerError: the answer is too large, too slow or compressed.
    """
    method = "GET" if form is None else "POST"
    headers = {"Accept": accept, "Accept-Encoding": "identity"}
    body = bytearray()
    try:
        async with (
            asyncio.timeout(seconds),
            client.stream(method, url, headers=headers, data=form) as response,
        ):
            encoding = response.headers.get("Content-Encoding", "identity")
            if encoding.strip().lower() != "identity":
                raise AnswerError(f"answers in {encoding[:40]!r} encoding, though only identity was asked for")
            async for chunk in response.aiter_raw():
                body += chunk
                if len(body) > largest:
                    raise TooLargeError(f"answers with more than {largest // 1024} KiB")
    except TimeoutError:
        raise AnswerError(f"does not answer in full within {seconds:g} s") from None
    return response, bytes(body)
