from __future__ import annotations

from dashboards.generate import FOLDER
from tests.cluster.control_plane import REPOSITORY
from tests.dashboards.classic import FILES


def test_the_files_are_those_of_the_panels() -> None:
    folder = REPOSITORY / FOLDER
    kept = {path.relative_to(folder).as_posix(): path.read_text() for path in folder.rglob("*.json")}
    assert kept == FILES, f"{FOLDER} is stale: run `make generate`"
