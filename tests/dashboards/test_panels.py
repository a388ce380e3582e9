"""What every panel and every dashboard must have."""

from __future__ import annotations

import json
import re
from itertools import combinations
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from dashboards.dynamic import in_rows
from tests.dashboards.classic import BOARDS, FILES, NAMES, panels, queries

# What Grafana itself puts into queries and links.
BUILT_IN = {"__range", "__rate_interval", "__from", "__to", "__url_time_range"}
VARIABLE = re.compile(r"\$(?:\{)?(\w+)")


def chosen(board: dict[str, Any]) -> list[str]:
    """The names of its variables, in order."""
    return [variable["name"] for variable in board["templating"]["list"]]


def links(document: Any) -> list[str]:
    """All URLs in a part of a dashboard."""
    if isinstance(document, dict):
        own = [document["url"]] if document.get("url") else []
        return own + [url for value in document.values() for url in links(value)]
    if isinstance(document, list):
        return [url for value in document for url in links(value)]
    return []


@pytest.mark.parametrize("name", NAMES)
def test_every_panel_says_what_it_shows(name: str) -> None:
    for panel in panels(BOARDS[name]):
        assert panel["title"]
        assert panel["description"].endswith((".", "?")), panel["title"]
        if panel["type"] != "text":
            defaults = panel["fieldConfig"]["defaults"]
            assert defaults["unit"], panel["title"]
            assert defaults["thresholds"]["steps"], panel["title"]
            assert panel["targets"], panel["title"]


@pytest.mark.parametrize("name", NAMES)
def test_panels_fill_the_grid_and_do_not_overlap(name: str) -> None:
    places = {panel["title"]: panel["gridPos"] for panel in BOARDS[name]["panels"]}
    assert len(places) == len(BOARDS[name]["panels"]), "two panels of one title"
    for place in places.values():
        assert place["x"] + place["w"] <= 24
    for (one, a), (other, b) in combinations(places.items(), 2):
        apart = a["x"] + a["w"] <= b["x"] or b["x"] + b["w"] <= a["x"]
        below = a["y"] + a["h"] <= b["y"] or b["y"] + b["h"] <= a["y"]
        assert apart or below, f"{one} overlaps {other}"
    for row, below_it in in_rows(BOARDS[name]):
        area = sum(panel["gridPos"]["w"] * panel["gridPos"]["h"] for panel in below_it)
        height = max(panel["gridPos"]["y"] + panel["gridPos"]["h"] for panel in below_it) - row["gridPos"]["y"] - 1
        assert area == 24 * height, f"the row {row['title']!r} has holes"


@pytest.mark.parametrize("name", NAMES)
def test_only_variables_are_used_that_can_be_chosen(name: str) -> None:
    board = BOARDS[name]
    known: set[str] = set()
    for variable in board["templating"]["list"]:
        used = set(VARIABLE.findall(json.dumps([variable["query"], variable.get("datasource")])))
        assert used <= known, f"{variable['name']} comes before {used - known}"
        known.add(variable["name"])
    text = json.dumps([panel for panel in board["panels"] if panel["type"] != "row"])
    used = {found for found in VARIABLE.findall(text) if not found.startswith("__")}
    assert used - {"1"} <= known  # $1 is a group of label_replace
    built_in = {found for found in VARIABLE.findall(text) if found.startswith("__")}
    assert built_in <= BUILT_IN | {"__data", "__field"}
    assert known - used <= {"datasource"}, "a choice that changes nothing"


def test_queries_ask_the_chosen_prometheus_under_names_of_their_own() -> None:
    for name in NAMES:
        for panel in panels(BOARDS[name]):
            names = [query["refId"] for query in panel.get("targets", ())]
            assert len(set(names)) == len(names), panel["title"]
    for _, panel, query in queries():
        assert query["datasource"] == {"type": "prometheus", "uid": "${datasource}"}, panel["title"]


def test_links_lead_to_dashboards_that_are_there() -> None:
    boards = {board["uid"]: board for board in BOARDS.values()}
    seen = set()
    for board in BOARDS.values():
        (menu,) = board["links"]
        assert menu["tags"] == board["tags"]
        assert "placement" not in menu, "hidden in a menu"
        for url in links(board["panels"]):
            uid = urlsplit(url).path.removeprefix("/d/")
            seen.add(uid)
            # ${name:queryparam} becomes var-name=VALUE.
            query = re.sub(r"\$\{(\w+):queryparam\}", r"var-\1=x", urlsplit(url).query)
            given = {key.removeprefix("var-") for key in parse_qs(query) if key.startswith("var-")}
            assert given <= set(chosen(boards[uid])), url
    assert seen == {"kubenas-experiment", "kubenas-trial"}


@pytest.mark.parametrize("name", NAMES)
def test_the_newer_schema_has_the_same_panels(name: str) -> None:
    spec = json.loads(FILES[f"v2/{name}.json"])["spec"]
    classic = BOARDS[name]
    assert [variable["spec"]["name"] for variable in spec["variables"]] == chosen(classic)
    rows = spec["layout"]["spec"]["rows"]
    assert len(rows) == len(list(in_rows(classic)))
    for (heading, expected), row in zip(in_rows(classic), rows, strict=True):
        assert row["spec"]["title"] == heading["title"]
        items = row["spec"]["layout"]["spec"]["items"]
        for panel, item in zip(expected, items, strict=True):
            place = item["spec"]
            size = (place["width"], place["height"])
            assert (place["x"], place["y"] + heading["gridPos"]["y"] + 1) == (
                panel["gridPos"]["x"],
                panel["gridPos"]["y"],
            )
            assert size == (panel["gridPos"]["w"], panel["gridPos"]["h"])
            element = spec["elements"][place["element"]["name"]]["spec"]
            assert (element["title"], element["description"]) == (panel["title"], panel["description"])
            assert element["vizConfig"]["group"] == panel["type"]
            assert element["vizConfig"]["spec"]["options"] == panel["options"]
            assert element["vizConfig"]["spec"]["fieldConfig"] == panel.get(
                "fieldConfig", {"defaults": {}, "overrides": []}
            )
            asked = [query["spec"]["query"] for query in element["data"]["spec"]["queries"]]
            assert [query["spec"]["expr"] for query in asked] == [query["expr"] for query in panel.get("targets", ())]
            steps = element["data"]["spec"]["transformations"]
            assert [step["group"] for step in steps] == [step["id"] for step in panel.get("transformations", ())]
