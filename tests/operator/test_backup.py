"""An experiment that is backed up, deleted and restored as docs/operations.md says goes on with all its results."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tests.cluster.conditions import until
from tests.cluster.control_plane import REPOSITORY
from tests.operator.harness import Workspace, experiment

if TYPE_CHECKING:
    from tests.operator.api import Object

pytestmark = pytest.mark.control_plane


def commands() -> list[str]:
    """What the page has one type in: the backup, and the restoration."""
    page = (REPOSITORY / "docs/operations.md").read_text()
    section = page.partition("## Backup and restore\n")[2].partition("\n## ")[0]
    return re.findall(r"^```\w*\n(.*?)^```$", section, re.MULTILINE | re.DOTALL)


def known(workspace: Workspace) -> list[tuple[str, Object, Object]]:
    return [(trial["metadata"]["name"], trial["spec"], trial["status"]) for trial in workspace.trials()]


def test_a_restored_experiment_goes_on_with_its_results(workspace: Workspace, tmp_path: Path) -> None:
    def typed(command: str) -> None:
        command = command.replace("TEAM", workspace.namespace)
        workspace.control_plane.run("sh", "-euc", f"cd {tmp_path}\n{command}")

    backup, restoration = commands()
    operator = workspace.operator().start().wait_ready()
    with workspace.control_plane.fake_pods():
        workspace.apply(experiment(trials={"max": 3}))
        workspace.wait_condition("Succeeded")
        before, best = known(workspace), workspace.status()["best"]
        typed(backup)
        workspace.api.delete("nasexperiments", "nas")
        workspace.wait_gone()
        operator.terminate()
        typed(restoration)
        assert known(workspace) == before
        workspace.operator().start().wait_ready()
        workspace.api.patch("nasexperiments", "nas", {"spec": {"trials": {"max": 5}}})
        until(lambda: workspace.status()["progress"] == "5/5")
        workspace.wait_condition("Succeeded")
    assert known(workspace)[:3] == before
    assert len(workspace.trials()) == 5
    assert workspace.status()["best"]["value"] >= best["value"]
