"""A large language model behind an OpenAI-compatible endpoint."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Awaitable, Callable
from typing import Any, Final

import openai
from openai.types.chat import ChatCompletionMessageParam
from pydantic import Field

from kubenas.api.base import Duration, Model, duration_seconds
from kubenas.search.base import History
from kubenas.search.earlier import best_earlier
from kubenas.search.guard import check_allowed, check_model, pinned
from kubenas.search.scalarize import scalarized
from kubenas.search.service import ServiceStrategy, observation_document, space_document
from kubenas.search.service_request import Answer, ServiceError, Url, answer_of, bounded
from kubenas.space.base import Space

# The operator's own endpoint and its key, from one Secret. The key is sent to no other address, as users choose those.
URL_VARIABLE: Final = "KUBENAS_LLM_BASE_URL"
KEY_VARIABLE: Final = "KUBENAS_LLM_API_KEY"

INSTRUCTIONS: Final = """\
You are an expert in neural architecture search. A user message is a JSON object: the search space (decisions with \
their values, the decisions that switch them on, constraints in CEL), the best results so far, the best first, some \
that failed, what is being evaluated now, and the best "earlier" results. In a result, every number in "values" is \
better the greater it is, and "violation" is 0 when all limits are kept, which comes first. Earlier results were \
evaluated in another way, such as with less training: compare their values with each other only; any of them may be \
proposed again.
Propose "count" new architectures that you expect to be better, or that teach most about the space. Do not repeat any. \
Each is an object with exactly the decisions that are switched on, under their names, in the given domains.
Answer with a JSON array of these objects and nothing else."""

# Failed candidates that the model is shown.
FAILURES: Final = 5

# Models put JSON in a code block however they are asked.
_BLOCK: Final = re.compile(r"\s*```(?:json)?\s*\n(.*)\n\s*```\s*", re.DOTALL)


# All headers that an endpoint needs; the client would add OPENAI_CUSTOM_HEADERS and others.
_SENT: Final = frozenset(
    {
        "accept",
        "accept-encoding",
        "authorization",
        "connection",
        "content-length",
        "content-type",
        "host",
        "transfer-encoding",
        "user-agent",
        "x-stainless-raw-response",  # by which the client itself knows how to read the answer
    }
)


class LLMSettings(Model):
    """Settings of the language model."""

    model: str = Field(min_length=1, max_length=253, description="Name of the model at the endpoint.")
    base_url: Url | None = Field(
        default=None,
        description="Address of an OpenAI-compatible endpoint, most often with /v1 at its end; absent: the operator's. "
        "The operator's API key goes to the operator's endpoint only.",
    )
    temperature: float = Field(default=0.7, ge=0, le=2, description="Temperature of the model's draws.")
    timeout: Duration = Field(default="60s", description="How long one request may take, with its repeats.")
    history_size: int = Field(
        default=30,
        ge=1,
        le=1_000,
        description="How many of the best results the model is shown; also of earlier ones.",
    )


class LLM(ServiceStrategy):
    """Proposes what a language model answers when it is shown the space and the best results.

    Zheng et al., "Can GPT-4 Perform Neural Architecture Search?", arXiv:2304.10970; Yang et al., "Large Language
    Models as Optimizers", ICLR 2024, arXiv:2309.03409. With several objectives, what is best is told by weights drawn
    for each request.

    Args:
        space: to search in.
        seed: of the draws for what is missing, and of the weights.
        settings: of the model.
        guarded: whether only what the operator's administrator allows is asked, as an experiment's author names it.

    Raises:
        SpecError: the endpoint, the model or the time-out is not allowed.
    """

    def __init__(self, space: Space, seed: int, settings: LLMSettings, *, guarded: bool = False) -> None:
        super().__init__(space, seed)
        if guarded:
            own = settings.base_url in (None, _own_url())
            check_allowed(None if own else settings.base_url, settings.timeout)
            if own:
                check_model(settings.model)
        self.settings = settings
        self._guarded = guarded
        self._space_document = space_document(space)

    def request(self, history: History, count: int) -> tuple[Callable[..., Awaitable[Answer]], tuple[Any, ...]]:
        """Settings and the prompt; the key is read only where it is sent."""
        scores = scalarized(history.scored, self.draws(history))
        order = sorted(range(len(scores)), key=scores.__getitem__, reverse=True)[: self.settings.history_size]
        failed = [one.architecture.to_json() for one in history.observations if one.score is None]
        prompt = {
            "space": self._space_document,
            "best": [observation_document(history.scored[index]) for index in order],
            "earlier": [observation_document(one) for one in best_earlier(history)[: self.settings.history_size]],
            "failed": failed[-FAILURES:],
            "running": [architecture.to_json() for architecture in history.pending],
            "proposed": history.proposed,
            "count": count,
        }
        return complete, (self.settings, json.dumps(prompt, separators=(",", ":"), allow_nan=False), self._guarded)


async def complete(settings: LLMSettings, prompt: str, guarded: bool, first: int, count: int) -> Answer:  # noqa: ARG001 - in the prompt
    """One request; raises nothing."""
    own = _own_url()
    url = settings.base_url or own
    if not url:
        return Answer(fault=f"there is no endpoint: give search.settings.baseUrl, or the operator {URL_VARIABLE}")
    key = os.environ.get(KEY_VARIABLE, "") if url == own else ""
    return await answer_of(
        url, duration_seconds(settings.timeout), _complete(url, key, settings, prompt, guarded and url != own)
    )


def _own_url() -> str:
    return os.environ.get(URL_VARIABLE, "").rstrip("/")


async def _complete(url: str, key: str, settings: LLMSettings, prompt: str, guarded: bool) -> list[Any]:
    messages: list[ChatCompletionMessageParam] = [
        {"role": "system", "content": INSTRUCTIONS},
        {"role": "user", "content": prompt},
    ]
    # Redirects are not followed: they could lead to what only the operator can reach.
    hooks = [_drop_unasked, await pinned(url)] if guarded else [_drop_unasked]
    http = openai.DefaultAsyncHttpxClient(follow_redirects=False, event_hooks={"request": hooks}, trust_env=not guarded)
    try:
        async with (
            openai.AsyncOpenAI(
                base_url=url, api_key=key or "none", timeout=None, max_retries=1, http_client=http
            ) as client,
            client.chat.completions.with_streaming_response.create(
                model=settings.model, temperature=settings.temperature, messages=messages
            ) as response,
        ):
            body = await bounded(response.iter_bytes())
    except openai.APIStatusError as error:
        raise ServiceError(f"answered with status {error.status_code}") from None
    except openai.OpenAIError as error:
        raise ServiceError(f"cannot be asked ({type(error).__name__})") from None
    return _architectures(body)


async def _drop_unasked(request: Any) -> None:
    """Take out what the client adds of its own from the environment: an endpoint of a user's must not see it."""
    for name in [name for name in request.headers if name.lower() not in _SENT]:
        del request.headers[name]


def _architectures(body: bytes) -> list[Any]:
    try:
        content = json.loads(body)["choices"][0]["message"]["content"]
    except (ValueError, LookupError, TypeError, RecursionError):
        raise ServiceError("answered with no chat completion") from None
    if not isinstance(content, str):
        raise ServiceError("answered with no text")
    block = _BLOCK.fullmatch(content)
    try:
        architectures = json.loads(block[1] if block else content)
    except (ValueError, RecursionError):
        architectures = None
    if not isinstance(architectures, list):
        raise ServiceError("answered with a text that is no JSON array of architectures")
    return architectures
