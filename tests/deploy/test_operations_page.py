"""docs/operations.md explains each alert, condition and reason that there is, and none that there is not."""

from __future__ import annotations

import re

from kubenas.experiment.reasons import CONDITIONS, FAILURES
from tests.deploy.operations_page import PAGE, anchors, entries
from tests.deploy.prometheus_rules import alerts
from tests.deploy.reasons_in_code import reasons

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


def test_each_condition_is_explained_with_all_its_reasons() -> None:
    assert {name: reasons for name, reasons in entries()["Conditions"].items() if name} == CONDITIONS


def test_each_reason_of_a_failed_attempt_is_explained() -> None:
    assert entries()["Reasons of trials"]["Failures"] == FAILURES


def test_each_reason_in_the_code_is_explained_and_no_other() -> None:
    explained = {
        reason
        for chapter in ("Conditions", "Reasons of trials", "Events", "An operator that does not start")
        for section in entries()[chapter].values()
        for reason in section
    }
    # Events may have a condition's name as their reason.
    assert explained == {*reasons(), *FAILURES, *CONDITIONS["Reconciled"], "Failed"}
