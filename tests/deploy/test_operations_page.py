"""docs/operations.md explains each alert, condition and reason that there is, and none that there is not."""

from __future__ import annotations

import re

from tests.deploy.operations_page import PAGE, anchors, entries
from tests.deploy.prometheus_rules import alerts

URL = "https://github.com/kubenas/kubenas/blob/main/docs/operations.md#"


def test_each_alert_links_to_its_heading() -> None:
    for alert in alerts():
        link = alert.rule["annotations"]["runbook_url"]
        assert link == URL + alert.name.lower()
        assert link.removeprefix(URL) in anchors()


def test_each_cause_of_an_alert_is_explained() -> None:
    explained = {(section, cause) for section, causes in entries()["Alerts"].items() if section for cause in causes}
    assert explained == {(alert.name, alert.cause) for alert in alerts()}


def test_links_within_the_page_lead_somewhere() -> None:
    links = set(re.findall(r"\]\(#([^)]+)\)", PAGE.read_text()))
    assert links
    assert links <= anchors()
