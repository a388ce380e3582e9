"""Every query of every panel, asked of a real Prometheus that has scraped a real search.

The operator, the apiserver and Prometheus are real, and so is the training; the pods run as processes of this machine.
There is no GPU and no DCGM exporter: what Prometheus scrapes in its place is made up in its documented format
(`tests.dashboards.devices`), about the pods that really run.
"""

from __future__ import annotations

import math
import re
import time
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import pytest

from tests.dashboards.asked import Asker, Chosen, choices
from tests.dashboards.classic import BOARDS, NAMES, panels, queries
from tests.dashboards.searched import Pace, Scraped, best_trial, searched

if TYPE_CHECKING:
    from tests.cluster.control_plane import ControlPlane

pytestmark = pytest.mark.control_plane

# Prometheus takes up new pods every 5 s only: trials take longer, so that each is scraped for a while.
PACE = Pace(trials=8, epochs=4, epoch=1.6, interval=0.5)
EVERY_QUERY = [
    pytest.param(name, query, id=f"{name}: {panel['title']} {query['refId']}") for name, panel, query in queries()
]
TABLES = [
    pytest.param(name, panel, id=f"{name}: {panel['title']}")
    for name in NAMES
    for panel in panels(BOARDS[name])
    if any(step["id"] == "organize" for step in panel.get("transformations", ()))
]


@pytest.fixture(scope="module")
def scraped(control_plane: ControlPlane) -> Iterator[Scraped]:
    with searched(control_plane, PACE) as found:
        yield found


@pytest.fixture(scope="module")
def asker(scraped: Scraped) -> Asker:
    return Asker(scraped.url, scraped.since, time.time())


@pytest.fixture(scope="module")
def chosen(asker: Asker, scraped: Scraped) -> dict[str, list[Chosen]]:
    """For each dashboard what one might choose on it: the search, its best trial, each objective beside each other."""
    wanted = {**scraped.wanted, "trial": best_trial(scraped)}
    return {name: list(choices(asker, BOARDS[name]["templating"]["list"], wanted)) for name in NAMES}


@pytest.mark.parametrize(("name", "query"), EVERY_QUERY)
def test_every_query_has_an_answer_with_the_labels_of_its_legend(
    name: str, query: dict[str, Any], asker: Asker, chosen: dict[str, list[Chosen]]
) -> None:
    series = [found for choice in chosen[name] for found in asker.answer(query, choice)]
    assert series, "no series"
    numbers = [float(value) for one in series for _, value in one.get("values") or [one["value"]]]
    assert any(math.isfinite(number) for number in numbers), "no numbers"
    for label in re.findall(r"\{\{\s*(\w+)\s*\}\}", query.get("legendFormat", "")):
        assert all(one["metric"].get(label) for one in series), f"series without {label}"


@pytest.mark.parametrize(("name", "panel"), TABLES)
def test_every_table_has_the_labels_of_its_columns(
    name: str, panel: dict[str, Any], asker: Asker, chosen: dict[str, list[Chosen]]
) -> None:
    series = [found for choice in chosen[name] for query in panel["targets"] for found in asker.answer(query, choice)]
    (columns,) = [step["options"]["indexByName"] for step in panel["transformations"] if step["id"] == "organize"]
    labels = {column for column in columns if not column.startswith("Value")}
    assert labels <= {label for one in series for label, value in one["metric"].items() if value}
