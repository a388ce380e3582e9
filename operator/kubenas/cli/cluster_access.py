"""What commands that ask a cluster share: their options, and the way there."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING, Annotated, TypeVar

import typer

from kubenas.cli.failure import fail

if TYPE_CHECKING:
    from kubenas.cluster.client import Client

ResultT = TypeVar("ResultT")

NamespaceOption = Annotated[
    str | None, typer.Option("--namespace", "-n", help="Namespace; that of the kubeconfig's context if absent.")
]
KubeconfigOption = Annotated[str | None, typer.Option("--kubeconfig", help="Kubeconfig file; kubectl's if absent.")]


def ask_cluster(
    ask: Callable[[Client, str], Awaitable[ResultT]], namespace: str | None, kubeconfig: str | None
) -> ResultT:
    """What `ask` answers, given the cluster's client and the namespace to look in.

    Ends the program with the reason where the cluster says no.
    """
    from kubenas.cluster.client import ApiError, Client, connect

    # Its warnings say once more, and less well, what the error says.
    logging.disable(logging.WARNING)

    async def asked() -> ResultT:
        api = await connect(kubeconfig)
        try:
            return await ask(Client(api), namespace or _context_namespace(kubeconfig))
        finally:
            await api.close()

    try:
        return asyncio.run(asked())
    except ApiError as error:
        fail(str(error))


def _context_namespace(kubeconfig: str | None) -> str:
    from kubernetes.aio.config import ConfigException, list_kube_config_contexts

    try:
        _, active = list_kube_config_contexts(kubeconfig)
    except ConfigException:
        return "default"  # inside a cluster there is no kubeconfig
    return str(active["context"].get("namespace", "default"))
