from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from tests.cluster.control_plane import ControlPlane

ROOT = Path(__file__).parents[2]


class Api:
    """The apiserver with the project's CRDs."""

    def __init__(self, control_plane: ControlPlane) -> None:
        self.kubectl = control_plane.kubectl
        self.kubectl("apply", "--server-side", "--kustomize", str(ROOT / "crds"))
        self.kubectl("wait", "--for=condition=Established", "crd", "--all", "--timeout=60s")

    def create(self, document: dict[str, Any], namespace: str) -> dict[str, Any]:
        return self._object("create", "--filename=-", f"--namespace={namespace}", document=document)

    def replace_status(self, document: dict[str, Any], namespace: str) -> dict[str, Any]:
        arguments = ("replace", "--subresource=status", "--filename=-", f"--namespace={namespace}")
        return self._object(*arguments, document=document)

    def get(self, kind: str, name: str, namespace: str) -> dict[str, Any]:
        return self._object("get", kind, name, f"--namespace={namespace}")

    def _object(self, *arguments: str, document: dict[str, Any] | None = None) -> dict[str, Any]:
        stdin = None if document is None else json.dumps(document)
        answer: dict[str, Any] = json.loads(self.kubectl(*arguments, "--output=json", stdin=stdin))
        return answer


@pytest.fixture(scope="session")
def api(control_plane: ControlPlane) -> Api:
    return Api(control_plane)
