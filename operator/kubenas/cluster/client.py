"""Requests to the apiserver, with plain dictionaries for objects."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Mapping
from pathlib import Path
from typing import Any, Final, Literal, TypeAlias
from urllib.parse import urlencode

import aiohttp
from kubernetes.aio import client as kubernetes
from kubernetes.aio import config as kubernetes_config

from kubenas.cluster.operator_metrics import OBJECT_BYTES, REQUESTS

Object: TypeAlias = dict[str, Any]
Verb: TypeAlias = Literal["get", "create", "update", "delete"]

# Answers to a pod that could be mended by the user: no pod at all, against a quota or a policy, not valid.
REFUSALS: Final = frozenset({400, 403, 422})
_METHODS: dict[Verb, str] = {"get": "GET", "create": "POST", "update": "PUT", "delete": "DELETE"}
# Objects of a page, the first one and all others, which grow by so much at most; and what its bytes should be.
_FIRST_PAGE = 25
_PAGE = 500
_GROWTH = 5
_PAGE_BYTES = 4 * 2**20
# Looking for unknown fields costs the apiserver time: worth it only for what a user has written.
_STRICT, _LENIENT = {"fieldValidation": "Strict"}, {"fieldValidation": "Ignore"}
_TIMEOUT_SECONDS = 30.0
# Requests under way at the same time: enough to hide latency, few enough to leave the apiserver to others.
_CONCURRENCY = 24
# Of these so many may be deletions: nothing waits for them, so they stand before nothing.
_DELETIONS = 3
_TOO_MANY_REQUESTS = 429
# Of a request that the apiserver was too busy for.
_TRIES = 10


class ApiError(Exception):
    """The apiserver said no, or did not answer (`code` 0).

    Attributes:
        code: HTTP status.
        reason: Kubernetes' word for it, for example AlreadyExists.
        message: what it said, for people.
    """

    def __init__(self, code: int, reason: str, message: str) -> None:
        super().__init__(f"{reason or code}: {message}")
        self.code = code
        self.reason = reason
        self.message = message


async def connect(kubeconfig: str | None, context: str | None = None) -> kubernetes.ApiClient:
    """A connection with the pod's service account, or with a kubeconfig (given, or where kubectl looks for it).

    Raises:
        ApiError: there is no usable configuration.
    """
    configuration = kubernetes.Configuration()
    _check_is_file(kubeconfig)
    try:
        if kubeconfig is None and context is None:
            try:
                kubernetes_config.load_incluster_config(client_configuration=configuration)
            except kubernetes_config.ConfigException:
                await kubernetes_config.load_kube_config(client_configuration=configuration)
        else:
            await kubernetes_config.load_kube_config(kubeconfig, context, client_configuration=configuration)
    except (kubernetes_config.ConfigException, OSError) as error:
        raise ApiError(
            0, "NoConfiguration", f"no cluster to talk to: {error}; set KUBECONFIG or --kubeconfig"
        ) from error
    # Else ~/.netrc and the proxy variables are read again for every single request, in a thread.
    configuration.client_session_kwargs = {"trust_env": False}
    return kubernetes.ApiClient(configuration)


def _check_is_file(kubeconfig: str | None) -> None:
    """The library takes a missing file for an empty one."""
    if kubeconfig is not None and not Path(kubeconfig).expanduser().is_file():
        raise ApiError(0, "NoConfiguration", f"there is no kubeconfig file {kubeconfig}; set --kubeconfig to one")


class Client:
    """The apiserver, for one user of it.

    Args:
        api: the connection.
        may_write: called before each write; raises where this process may write no more.
    """

    def __init__(self, api: kubernetes.ApiClient, may_write: Callable[[], None] = lambda: None) -> None:
        self._api = api
        self._may_write = may_write
        self._slots = asyncio.Semaphore(_CONCURRENCY)
        self._deletions = asyncio.Semaphore(_DELETIONS)

    async def get(self, path: str) -> Object:
        """One object."""
        return await self._request("get", path)

    async def served(self, group: str) -> str:
        """Path of an API group in the version that the apiserver prefers."""
        found = await self._request("get", f"/apis/{group}")
        return f"/apis/{found['preferredVersion']['groupVersion']}"

    async def pages(self, path: str, selector: str = "") -> AsyncIterator[tuple[list[Object], str]]:
        """All objects of a collection, page by page, each with the list's resource version.

        Pages are small where objects are large: the JSON of one is read in a single turn of the event loop.
        """
        query = {"labelSelector": selector} if selector else {}
        limit = _FIRST_PAGE
        while True:
            data = await self._answer("get", path, query={**query, "limit": str(limit)})
            page = _decoded(data)
            yield page["items"], page["metadata"]["resourceVersion"]
            following = page["metadata"].get("continue")
            if not following:
                return
            query["continue"] = following
            fitting = _PAGE_BYTES * len(page["items"]) // max(1, len(data))
            limit = max(1, min(_PAGE, _GROWTH * limit, fitting))

    async def create(self, path: str, document: Object, *, strict: bool = False) -> Object:
        """Make an object in the collection at `path`; `strict` refuses unknown fields, which are else left out."""
        return await self._request("create", path, document, query=_STRICT if strict else _LENIENT)

    async def try_create(self, path: str, document: Object) -> None:
        """Have the apiserver judge an object strictly, without making it."""
        await self._answer("create", path, document, query={**_STRICT, "dryRun": "All"})

    async def update(self, path: str, document: Object) -> Object:
        """Replace an object, or its status, if it still has the resource version in `document`."""
        return await self._request("update", path, document, query=_LENIENT)

    async def delete(self, path: str, uid: str | None = None) -> None:
        """Delete an object, what it owns later; no error where it is gone, or is another one than `uid`."""
        options: Object = {"propagationPolicy": "Background"}
        if uid:
            options["preconditions"] = {"uid": uid}
        try:
            async with self._deletions:
                await self._request("delete", path, options)
        except ApiError as error:
            if error.code not in (404, 409):
                raise

    async def _request(
        self,
        verb: Verb,
        path: str,
        document: Object | None = None,
        *,
        query: Mapping[str, str] | None = None,
    ) -> Object:
        data = await self._answer(verb, path, document, query=query)
        found = _decoded(data)
        if verb in ("create", "update"):
            OBJECT_BYTES.labels(str(found.get("kind", ""))).observe(len(data))
        return found

    async def _answer(
        self,
        verb: Verb,
        path: str,
        document: Object | None = None,
        *,
        query: Mapping[str, str] | None = None,
    ) -> bytes:
        url = f"{self._api.configuration.host}{path}" + (f"?{urlencode(query)}" if query else "")
        headers = {"Content-Type": "application/json", "Accept": "application/json", "User-Agent": "kubenas"}
        async with self._slots:
            for tries_left in reversed(range(_TRIES)):
                if verb != "get":
                    self._may_write()  # not before: one may have waited here for long
                await self._api.update_params_for_auth(headers, [], ["BearerToken"], path, _METHODS[verb], document)
                try:
                    answer = await self._api.rest_client.request(
                        _METHODS[verb], url, headers=headers, body=document, _request_timeout=_TIMEOUT_SECONDS
                    )
                    data = await answer.read()
                except (aiohttp.ClientError, TimeoutError, OSError) as error:
                    REQUESTS.labels(verb, "0").inc()
                    raise ApiError(0, "Unreachable", f"the apiserver does not answer: {error}") from error
                REQUESTS.labels(verb, str(answer.status)).inc()
                if answer.status != _TOO_MANY_REQUESTS or not tries_left:
                    break
                await asyncio.sleep(_pause(answer.headers.get("Retry-After")))
        if answer.status >= 400:
            found = _decoded(data)
            raise ApiError(answer.status, str(found.get("reason", "")), str(found.get("message", data[:500])))
        return bytes(data)


def _pause(retry_after: str | None) -> float:
    """Seconds that the apiserver asks to wait: it is busy, or serves a kind that was installed just now."""
    return float(retry_after) if retry_after and retry_after.isdecimal() else 1.0


def _decoded(data: bytes) -> Object:
    try:
        document = json.loads(data)
    except ValueError:
        return {}
    return document if isinstance(document, dict) else {}
