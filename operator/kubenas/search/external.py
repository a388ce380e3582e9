"""A service of the user's own, asked over HTTP."""

from __future__ import annotations

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

import httpx
from pydantic import Field

from kubenas.api.base import Duration, Model, duration_seconds
from kubenas.search.base import History
from kubenas.search.earlier import representative
from kubenas.search.guard import check_allowed, pinned
from kubenas.search.service import ServiceStrategy, observation_document, space_document
from kubenas.search.service_request import Answer, ServiceError, Url, answer_of, bounded
from kubenas.space.base import Space

# Earlier results that the service is told of.
EARLIER: Final = 1_000


class ExternalSettings(Model):
    """Settings of a service of one's own."""

    base_url: Url = Field(description="Address of the service; requests are sent to baseUrl/ask.")
    timeout: Duration = Field(default="30s", description="How long one request may take.")


class External(ServiceStrategy):
    """Proposes what a service answers to POST baseUrl/ask, see docs/llm-and-external.md.

    A request holds all there is to know, so neither side keeps anything between requests, and either can restart. The
    service is asked `count` candidates at once, the first of which is the search's `number`.

    Args:
        space: to search in.
        seed: of the draws for what is missing.
        settings: of the service.
        guarded: whether only what the operator's administrator allows is asked, as an experiment's author names it.

    Raises:
        SpecError: the service is not allowed.
    """

    def __init__(self, space: Space, seed: int, settings: ExternalSettings, *, guarded: bool = False) -> None:
        super().__init__(space, seed)
        if guarded:
            check_allowed(settings.base_url, settings.timeout)
        self.settings = settings
        self._guarded = guarded
        self._space_document = space_document(space)

    def request(self, history: History, count: int) -> tuple[Callable[..., Awaitable[Answer]], tuple[Any, ...]]:
        """The whole history as JSON, of many earlier results a part."""
        document = {
            "space": self._space_document,
            "seed": self.seed,
            "number": history.proposed,
            "count": count,
            "earlier": [observation_document(one) for one in representative(history.earlier, EARLIER)],
            "observations": [observation_document(observation) for observation in history.observations],
            "pending": [architecture.to_json() for architecture in history.pending],
        }
        return ask, (f"{self.settings.base_url}/ask", duration_seconds(self.settings.timeout), document, self._guarded)


async def ask(url: str, seconds: int, document: dict[str, Any], guarded: bool, first: int, count: int) -> Answer:  # noqa: ARG001 - in document
    """One request; raises nothing."""
    return await answer_of(url, seconds, _post(url, document, guarded))


async def _post(url: str, document: dict[str, Any], guarded: bool) -> list[Any]:
    hooks = [await pinned(url)] if guarded else []
    # Redirects are not followed: they could lead to what only the operator can reach.
    try:
        async with (
            httpx.AsyncClient(event_hooks={"request": hooks}, trust_env=not guarded, timeout=None) as client,  # noqa: S113 - timed outside
            client.stream("POST", url, json=document) as response,
        ):
            if response.status_code != httpx.codes.OK:
                raise ServiceError(f"answered with status {response.status_code}")
            body = await bounded(response.aiter_bytes())
    except (httpx.HTTPError, httpx.InvalidURL) as error:
        raise ServiceError(f"cannot be asked ({type(error).__name__})") from None
    try:
        answer = json.loads(body)
    except (ValueError, RecursionError):
        raise ServiceError("answered with what is no JSON") from None
    if not isinstance(answer, dict) or not isinstance(answer.get("architectures"), list):
        raise ServiceError('answered with no {"architectures": [...]}')
    return list(answer["architectures"])
