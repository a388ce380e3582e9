"""Plain requests to the apiserver, for tests that look at it several times a second."""

from __future__ import annotations

import json
import time
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

import httpx

from tests.cluster.conditions import until
from tests.cluster.fake_pods import connection

if TYPE_CHECKING:
    from collections.abc import Iterator

Object: TypeAlias = dict[str, Any]

_GROUPS = {
    "nasexperiments": "apis/kubenas.io/v1alpha1",
    "nastrials": "apis/kubenas.io/v1alpha1",
    "leases": "apis/coordination.k8s.io/v1",
}


class Api:
    """One namespace of the apiserver, seen by a cluster administrator; safe to use from several threads."""

    def __init__(self, kubeconfig: Path, namespace: str) -> None:
        server, tls = connection(kubeconfig)
        self._http = httpx.Client(base_url=server, verify=tls, timeout=60, trust_env=False)
        self._namespace = namespace

    def close(self) -> None:
        self._http.close()

    def create_namespace(self) -> None:
        """Make the namespace itself, and wait until pods can be made in it."""
        namespace = {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": self._namespace}}
        _object(self._http.post("/api/v1/namespaces", json=namespace))
        until(lambda: self.get("serviceaccounts", "default") is not None)

    def delete_namespace(self) -> None:
        """Delete the namespace, and in a while all that is in it."""
        _object(self._http.delete(f"/api/v1/namespaces/{self._namespace}"))

    def get(self, kind: str, name: str) -> Object | None:
        """An object, or None where there is none."""
        response = self._http.get(self._path(kind, name))
        if response.status_code == 404:
            return None
        return _object(response)

    def list(self, kind: str, selector: str = "") -> list[Object]:
        """All objects of a kind (its plural name) that have the labels."""
        response = self._http.get(self._path(kind), params={"labelSelector": selector})
        items: list[Object] = _object(response)["items"]
        return items

    def create(self, kind: str, document: Object) -> Object:
        return _object(self._http.post(self._path(kind), json=document))

    def offer(self, kind: str, document: Object, status: Object | None = None) -> bool:
        """Create an object and set its status; whether the apiserver has taken all of it."""
        if not self._http.post(self._path(kind), json=document).is_success:
            return False
        name = document["metadata"]["name"]
        return status is None or self._patched(kind, name, {"status": status}, "status").is_success

    def patch(self, kind: str, name: str, patch: Object, subresource: str = "") -> Object:
        """Change an object by a JSON merge patch."""
        return _object(self._patched(kind, name, patch, subresource))

    def _patched(self, kind: str, name: str, patch: Object, subresource: str) -> httpx.Response:
        path = self._path(kind, name) + (f"/{subresource}" if subresource else "")
        headers = {"Content-Type": "application/merge-patch+json"}
        return self._http.patch(path, content=json.dumps(patch), headers=headers)

    def delete(self, kind: str, name: str) -> None:
        """Delete an object if it is there, what it owns later."""
        response = self._http.delete(self._path(kind, name), params={"propagationPolicy": "Background"})
        if response.status_code != 404:
            _object(response)

    def watch(self, kind: str) -> Iterator[Object]:
        """Events from now on, what is there already first; they end with the apiserver."""
        with suppress(httpx.TransportError):
            yield from self._watch(kind)

    def _path(self, kind: str, name: str = "") -> str:
        path = f"/{_GROUPS.get(kind, 'api/v1')}/namespaces/{self._namespace}/{kind}"
        return f"{path}/{name}" if name else path

    def _watch(self, kind: str) -> Iterator[Object]:
        with self._http.stream("GET", self._path(kind), params={"watch": "1"}, timeout=None) as response:
            if response.status_code == 429:  # the kind was installed a moment ago
                time.sleep(float(response.headers["Retry-After"]))
                yield from self._watch(kind)
            response.raise_for_status()
            for line in response.iter_lines():
                yield json.loads(line)


def _object(response: httpx.Response) -> Object:
    assert response.is_success, f"{response.request.method} {response.request.url}: {response.text}"
    document: Object = response.json()
    return document
