"""External metrics for autoscalers, as an adapter to Prometheus or KEDA serves them."""

from __future__ import annotations

import json
import ssl
from contextlib import contextmanager
from datetime import UTC, datetime
from threading import Event
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from tests.cluster.identities import Authority, encoded
from tests.http_server import Handler, listening

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.cluster.control_plane import ControlPlane

GROUP = "external.metrics.k8s.io"
VERSION = f"{GROUP}/v1beta1"
API_SERVICE = f"v1beta1.{GROUP}"


@contextmanager
def serving(control_plane: ControlPlane, namespace: str, values: Mapping[str, int], folder: Path) -> Iterator[None]:
    """Have the apiserver answer for the external metrics `values`, which may change meanwhile, in all namespaces.

    Args:
        namespace: for the Service through which the apiserver finds the metrics.
        values: by the metric's name.
        folder: for keys and certificates; is made.
    """

    class Metrics(Handler):
        def do_GET(self) -> None:  # noqa: N802 - the overridden name
            path = urlsplit(self.path).path
            name = path.rpartition("/")[2]
            if path == f"/apis/{VERSION}":
                self._answer(
                    200, {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": VERSION, "resources": []}
                )
            elif path.startswith(f"/apis/{VERSION}/") and name in values:
                self._answer(200, _list(name, values[name]))
            else:
                self._answer(404, {"kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 404})

        def _answer(self, code: int, document: dict[str, Any]) -> None:
            body = json.dumps(document).encode()
            self.send_response(code)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

    authority = Authority(folder)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(*authority.server("metrics", [f"DNS:metrics.{namespace}.svc"]))
    with listening(Metrics, Event(), tls=tls) as url:
        for document in _registration(namespace, urlsplit(url).port, encoded(authority.certificate)):
            control_plane.kubectl("apply", "--filename=-", stdin=json.dumps(document))
        try:
            control_plane.kubectl("wait", "--for=condition=Available", f"apiservice/{API_SERVICE}", "--timeout=60s")
            yield
        finally:
            # An API that nobody serves would hold up all who look at what the apiserver has.
            control_plane.kubectl("delete", f"apiservice/{API_SERVICE}")


def _list(name: str, value: int) -> dict[str, Any]:
    now = datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
    item = {"metricName": name, "metricLabels": {}, "timestamp": now, "value": str(value)}
    return {"kind": "ExternalMetricValueList", "apiVersion": VERSION, "metadata": {}, "items": [item]}


def _registration(namespace: str, port: int | None, certificate: str) -> list[dict[str, Any]]:
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "metrics", "namespace": namespace},
        "spec": {"type": "ExternalName", "externalName": "localhost"},
    }
    api_service = {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": API_SERVICE},
        "spec": {
            "group": GROUP,
            "version": "v1beta1",
            "groupPriorityMinimum": 100,
            "versionPriority": 100,
            "service": {"name": "metrics", "namespace": namespace, "port": port},
            "caBundle": certificate,
        },
    }
    return [service, api_service]
