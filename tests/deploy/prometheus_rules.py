"""deploy/prometheus/rules.yaml, read for tests."""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

RULES: Final = Path(__file__).parents[2] / "deploy/prometheus/rules.yaml"

_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"')
_SELECTOR: Final = re.compile(r"\{[^}]*\}")
_LABELS: Final = re.compile(r"\b(?:by|on|without|ignoring|group_left|group_right)\s*\([^)]*\)")
_RANGE: Final = re.compile(r"\[[^]]*\]|\boffset\s+\w+")
_NAME: Final = re.compile(r"(?<![\w:])[a-zA-Z_:][\w:]*(?!\s*\()(?![\w:])")
_OPERATORS: Final = frozenset({"and", "or", "unless", "bool"})
# Aggregations may have their labels between name and bracket.
_AGGREGATIONS: Final = frozenset({"sum", "max", "min", "avg", "count"})


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert rule: the alert's name and which of its causes it tells."""

    name: str
    cause: str
    rule: dict[str, Any]


def rules() -> list[dict[str, Any]]:
    """All rules, recording and alerting."""
    return [rule for group in yaml.safe_load(RULES.read_text())["groups"] for rule in group["rules"]]


def alerts() -> list[Alert]:
    """The alert rules."""
    return [Alert(rule["alert"], rule["labels"]["cause"], rule) for rule in rules() if "alert" in rule]


def metrics_of(expression: str) -> set[str]:
    """The names of metrics that a PromQL expression selects by."""
    for pattern in (_STRING, _SELECTOR, _LABELS, _RANGE):
        expression = pattern.sub(" ", expression)
    return set(_NAME.findall(expression)) - _OPERATORS - _AGGREGATIONS
