"""Tells a trial's pod which of its candidates are stopped."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

import httpx

from kubenas.metrics.fetch import AnswerError, fetch

_LARGEST: Final = 4096
_SECONDS: Final = 5.0


async def tell_stopped(client: httpx.AsyncClient, url: str, token: str, candidates: Collection[str]) -> bool:
    """Tell the trainer whose metrics are at `url`; whether it has heard.

    Args:
        token: what the attempt alone knows, so that nobody else can stop its candidates.
    """
    form = {"token": token, "candidates": ",".join(sorted(candidates))}
    try:
        answer, _ = await fetch(client, f"{url}/stop", accept="*/*", largest=_LARGEST, seconds=_SECONDS, form=form)
    except (httpx.HTTPError, AnswerError):
        return False
    return answer.is_success
