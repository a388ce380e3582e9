"""Requests to a real apiserver."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from kubenas.cluster.client import Client, connect

if TYPE_CHECKING:
    from tests.operator.harness import Workspace

pytestmark = pytest.mark.control_plane


async def test_pages_of_large_objects_are_small(workspace: Workspace) -> None:
    """Else a list of a thousand trials, of a megabyte each, would be read in one turn of the event loop."""
    names = [f"large-{number:02}" for number in range(60)]
    for name in names:
        document = {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": name}, "data": {"x": "x" * 200_000}}
        workspace.api.create("configmaps", document)
    connection = await connect(str(workspace.kubeconfig))
    async with connection:
        path = f"/api/v1/namespaces/{workspace.namespace}/configmaps"
        pages = [page async for page, _ in Client(connection).pages(path)]
    found = [one["metadata"]["name"] for page in pages for one in page]
    assert set(names) <= set(found)
    assert len(found) == len(set(found))
    assert len(pages) > 2
    assert all(len(json.dumps(page)) < 5_000_000 for page in pages[1:]), "the first one tells how large they are"
