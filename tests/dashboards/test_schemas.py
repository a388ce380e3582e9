"""The dashboards against Grafana's own JSON schemas: of dashboards, and of what each panel and data source takes."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft7Validator
from jsonschema.exceptions import ValidationError

from tests.dashboards.classic import BOARDS, FILES, NAMES, panels, queries

SCHEMAS = Path(__file__).parent / "schemas"


def schema(name: str) -> dict[str, Any]:
    """A file of schemas.

    What may be anything, such as a matcher's options, they call an object with additional properties of any kind:
    Grafana's own panels have strings and numbers there.
    """
    text = (SCHEMAS / f"{name.replace('-', '')}.jsonschema.json").read_text()
    document: dict[str, Any] = json.loads(text, object_hook=_anything)
    return document


def _anything(document: dict[str, Any]) -> dict[str, Any]:
    if document.get("type") == "object" and document.get("additionalProperties") == {} and "properties" not in document:
        return {key: value for key, value in document.items() if key != "type"}
    return document


def part(name: str, definition: str) -> Draft7Validator:
    """What a schema's file says of one of its types; of a type that it does not have, nothing is allowed."""
    document = schema(name)
    if definition not in document["definitions"]:
        return Draft7Validator({"maxProperties": 0})
    return Draft7Validator({**document, "$ref": f"#/definitions/{definition}"})


def units() -> set[str]:
    return {unit["const"] for unit in schema("units")["definitions"].values() if "const" in unit}


@pytest.mark.parametrize("name", NAMES)
def test_classic_dashboards(name: str) -> None:
    Draft7Validator(schema("dashboard")).validate(BOARDS[name])


@pytest.mark.parametrize("name", NAMES)
def test_dynamic_dashboards(name: str) -> None:
    document = json.loads(FILES[f"v2/{name}.json"])
    assert (document["apiVersion"], document["kind"]) == ("dashboard.grafana.app/v2", "Dashboard")
    assert document["metadata"] == {"name": BOARDS[name]["uid"]}
    part("dashboardv2", "Dashboard").validate(document["spec"])


@pytest.mark.parametrize("name", NAMES)
def test_options_and_fields_of_each_kind_of_panel(name: str) -> None:
    for panel in panels(BOARDS[name]):
        part(panel["type"], "Options").validate(panel["options"])
        part(panel["type"], "FieldConfig").validate(panel.get("fieldConfig", {}).get("defaults", {}).get("custom", {}))


def test_queries() -> None:
    for _, _, query in queries():
        Draft7Validator(schema("prometheus")).validate(query)


def test_units_are_grafanas() -> None:
    known = units()
    for _, panel, _ in queries():
        assert panel["fieldConfig"]["defaults"]["unit"] in known, panel["title"]
        for override in panel["fieldConfig"]["overrides"]:
            given = {each["id"]: each.get("value") for each in override["properties"]}
            assert given.get("unit", "short") in known


def test_a_dashboard_that_grafana_would_not_take_is_refused() -> None:
    wrongs: tuple[dict[str, Any], ...] = ({"panels": [{"title": "no type"}]}, {"templating": []}, {"unknown": 1})
    for wrong in wrongs:
        with pytest.raises(ValidationError):
            Draft7Validator(schema("dashboard")).validate({**BOARDS["fleet"], **wrong})
    with pytest.raises(ValidationError):
        part("timeseries", "FieldConfig").validate({"lineWidth": "wide"})
