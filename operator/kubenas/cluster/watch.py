"""What kopf watches: experiments and trials' pods, by events alone, so that nothing is ever written to them.

Trials are not watched: only the operator writes them, and it keeps what the apiserver answers. One that
is deleted by hand is noticed by the loss of its pod, by the next write, or by the next list.
"""

from __future__ import annotations

import asyncio
from typing import Any

import kopf
from kubernetes.aio import client as kubernetes

from kubenas.api.base import GROUP, VERSION
from kubenas.cluster.kopf_storage import NoDiffBase, NoProgress
from kubenas.cluster.manager import Manager
from kubenas.cluster.names import TRIAL_LABEL


async def watch(
    manager: Manager, api: kubernetes.ApiClient, namespace: str | None, ready: asyncio.Event, stop: asyncio.Event
) -> None:
    """Feed `manager` with events until `stop`. Sets `ready` once kopf has started."""
    settings = kopf.OperatorSettings()
    settings.posting.enabled = False
    # What is served is known; looking for new kinds and namespaces would need rights to list them all.
    settings.scanning.disabled = True
    settings.watching.label_selectors["pods"] = TRIAL_LABEL
    settings.watching.chunk_size = 500
    settings.queueing.idle_timeout = 1.0
    settings.persistence.diffbase_storage = NoDiffBase()
    settings.persistence.progress_storage = NoProgress()
    await kopf.operator(
        registry=_registry(manager, api),
        settings=settings,
        # Else kopf asks for the user's name, which a pod's user need not have. (Its type is not exported.)
        identity="kubenas",  # type: ignore[arg-type]
        standalone=True,
        clusterwide=namespace is None,
        namespaces=[] if namespace is None else [namespace],
        ready_flag=ready,
        stop_flag=stop,
    )


def _registry(manager: Manager, api: kubernetes.ApiClient) -> kopf.OperatorRegistry:
    registry = kopf.OperatorRegistry()

    @kopf.on.login(registry=registry)
    async def login(**_: Any) -> kopf.ConnectionInfo:
        return await connection(api)

    @kopf.on.event(GROUP, VERSION, "nasexperiments", registry=registry)
    async def experiment(event: kopf.RawEvent, **_: Any) -> None:
        manager.on_experiment(event["type"], dict(event["object"]))

    @kopf.on.event("", "v1", "pods", registry=registry)
    async def pod(event: kopf.RawEvent, **_: Any) -> None:
        manager.on_pod(event["type"], dict(event["object"]))

    return registry


async def connection(api: kubernetes.ApiClient) -> kopf.ConnectionInfo:
    """The same credentials as for requests; asked for again when the apiserver refuses them."""
    configuration = api.configuration
    bearer = (await configuration.auth_settings()).get("BearerToken", {}).get("value", "")
    scheme, _, token = bearer.rpartition(" ")
    return kopf.ConnectionInfo(
        server=configuration.host,
        ca_path=configuration.ssl_ca_cert,
        insecure=not configuration.verify_ssl,
        scheme=scheme or None,
        token=token or None,
        certificate_path=configuration.cert_file,
        private_key_path=configuration.key_file,
    )
