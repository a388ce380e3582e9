from __future__ import annotations

from pathlib import Path

from kubenas.api import generate
from tests.api.conftest import ROOT


def test_the_crds_are_those_of_the_models(tmp_path: Path) -> None:
    generate.main(tmp_path)
    fresh = {path.name: path.read_text() for path in tmp_path.iterdir()}
    kept = {path.name: path.read_text() for path in (ROOT / "crds").glob("kubenas.io_*.yaml")}
    assert kept == fresh, "crds/ is stale: run `make generate`"
