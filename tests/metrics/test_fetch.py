"""What is not read to its end: answers that are too large, too slow or compressed."""

from __future__ import annotations

import gzip

import httpx
import pytest

from kubenas.metrics.fetch import AnswerError, TooLargeError, fetch, http_client
from tests.metrics.server import Answer, endless, serving, whole


async def fetched(answer: Answer, largest: int = 1024, seconds: float = 60) -> bytes:
    with serving(answer) as server:
        async with http_client() as client:
            _, body = await fetch(client, server.url, accept="text/plain", largest=largest, seconds=seconds)
    assert [one["Accept-Encoding"] for one in server.headers] == ["identity"]
    return body


async def test_an_answer_as_large_as_may_be_is_read() -> None:
    assert await fetched(whole(b"x" * 1024)) == b"x" * 1024


@pytest.mark.parametrize("answer", [whole(b"x" * 1025), endless(b"x" * 4096)])
async def test_a_larger_answer_is_left_where_it_is(answer: Answer) -> None:
    with pytest.raises(TooLargeError, match="more than 1 KiB"):
        await fetched(answer)


async def test_a_compressed_answer_is_refused_and_not_inflated() -> None:
    bomb = gzip.compress(bytes(64 * 2**20))
    with pytest.raises(AnswerError, match="'gzip' encoding"):
        await fetched(whole(bomb, "Content-Encoding: gzip"), largest=2**20)


async def test_the_time_is_for_the_whole_answer_and_not_for_each_byte() -> None:
    """Each read of the slow answer succeeds long before any limit on a read."""
    with pytest.raises(AnswerError, match=r"in full within 0\.5 s"):
        await fetched(endless(b"x", pause=0.05), seconds=0.5)


async def test_headers_without_end_are_refused() -> None:
    def answer(_: object, out: object, ended: object) -> None:
        out.write(b"HTTP/1.1 200 X\r\n")  # type: ignore[attr-defined]
        while not ended.is_set():  # type: ignore[attr-defined]
            out.write(b"X-One: " + b"y" * 4096 + b"\r\n")  # type: ignore[attr-defined]

    with pytest.raises(httpx.HTTPError):
        await fetched(answer)
