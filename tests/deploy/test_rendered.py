"""What of deploy/ follows from other files is up to date."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kubenas.api import generate
from tests.deploy.render import CHART, ROOT, chart_crds, chart_readme, chart_rules, manifests

pytestmark = pytest.mark.control_plane  # for Go, which builds Helm


def test_the_charts_crds_are_those_of_the_models() -> None:
    fresh = chart_crds()
    kept = {path.relative_to(ROOT): path.read_text() for path in (ROOT / CHART / "templates/crds").iterdir()}
    assert kept == fresh, "the chart's CRDs are stale: run `make generate`"


@pytest.mark.parametrize("path", ["install", "install-namespaced", "monitoring", "trials/network_policy"])
def test_the_manifests_are_those_of_the_chart(path: str) -> None:
    fresh = manifests()
    file = Path(f"deploy/{path}.yaml")
    assert (ROOT / file).read_text() == fresh[file], f"{file} is stale: run `make generate`"


def test_the_charts_rules_are_those_of_prometheus() -> None:
    kept = (ROOT / CHART / "files/rules.yaml").read_text()
    assert kept == chart_rules(), "the chart's rules are stale: run `make generate`"


def test_the_charts_readme_has_its_values() -> None:
    assert (ROOT / CHART / "README.md").read_text() == chart_readme(), (
        "the chart's README is stale: run `make generate`"
    )


def test_the_manifests_hold_the_crds_as_they_are() -> None:
    objects = yaml.safe_load_all((ROOT / "deploy/install.yaml").read_text())
    specifications = [one["spec"] for one in objects if one["kind"] == "CustomResourceDefinition"]
    assert specifications == [yaml.safe_load(text)["spec"] for text in generate.rendered().values()]
