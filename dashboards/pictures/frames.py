"""From Prometheus' answers to what a panel shows: named lines, or rows of a table after the panel's transformations."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

Json = Mapping[str, Any]
Row = dict[str, Any]


@dataclass(frozen=True)
class Line:
    """A named series: times in seconds since 1970, and values."""

    name: str
    times: Sequence[float]
    values: Sequence[float]

    @property
    def last(self) -> float:
        """Its last value that is a number."""
        numbers = [value for value in self.values if math.isfinite(value)]
        return numbers[-1] if numbers else math.nan


def lines(panel: Json, answers: Json) -> list[Line]:
    """The series of all queries, by their legends."""
    found = []
    for query in panel["targets"]:
        for series in answers[query["refId"]]:
            samples = series.get("values") or [series["value"]]
            times, values = zip(*((float(time), float(value)) for time, value in samples), strict=True)
            found.append(Line(_legend(query["legendFormat"], series["metric"]), times, values))
    return found


def _legend(form: str, labels: Json) -> str:
    return re.sub(r"\{\{\s*(\w+)\s*\}\}", lambda match: str(labels.get(match[1], "")), form)


def rows(panel: Json, answers: Json) -> list[Row]:
    """A table of all queries, after the panel's transformations."""
    queries = panel["targets"]
    table: list[Row] = []
    for query in queries:
        name = "Value" if len(queries) == 1 else f"Value #{query['refId']}"
        table += [{**series["metric"], name: float(series["value"][1])} for series in answers[query["refId"]]]
    for step in panel.get("transformations", ()):
        table = _STEPS[step["id"]](table, step["options"])
    return table


def _merge(table: list[Row], _: Json) -> list[Row]:
    """Rows that agree in all labels that both have become one."""
    merged: list[Row] = []
    for row in table:
        labels = {name: value for name, value in row.items() if not name.startswith("Value")}
        for other in merged:
            shared = [name for name in labels if name in other]
            if (
                shared
                and all(other[name] == labels[name] for name in shared)
                and not (row.keys() - labels) & other.keys()
            ):
                other.update(row)
                break
        else:
            merged.append(dict(row))
    return merged


def _organize(table: list[Row], options: Json) -> list[Row]:
    order = options["indexByName"]
    names = sorted({name for row in table for name in row}, key=lambda name: (order.get(name, len(order)), name))
    shown = [name for name in names if not options["excludeByName"].get(name)]
    return [{options["renameByName"].get(name, name): row.get(name) for name in shown} for row in table]


def _convert(table: list[Row], options: Json) -> list[Row]:
    fields = [each["targetField"] for each in options["conversions"]]
    return [{**row, **{name: float(row[name]) for name in fields if name in row}} for row in table]


def _sort(table: list[Row], options: Json) -> list[Row]:
    (by,) = options["sort"]
    return sorted(table, key=lambda row: row[by["field"]], reverse=by["desc"])


def _labels_to_fields(table: list[Row], options: Json) -> list[Row]:
    named = []
    for row in table:
        kept = {name: row[name] for name in options["keepLabels"] if name != options["valueLabel"]}
        named.append({**kept, f"Value {row[options['valueLabel']]}": row["Value"]})
    return [{name.removeprefix("Value "): value for name, value in row.items()} for row in _merge(named, {})]


_STEPS: dict[str, Callable[[list[Row], Json], list[Row]]] = {
    "merge": _merge,
    "organize": _organize,
    "convertFieldType": _convert,
    "sortBy": _sort,
    "labelsToFields": _labels_to_fields,
}


def joined(found: Sequence[Line]) -> list[Row]:
    """Lines put together by time, those times that all have."""
    shared = set.intersection(*(set(line.times) for line in found)) if found else set()
    at = {line.name: dict(zip(line.times, line.values, strict=True)) for line in found}
    return [{name: values[time] for name, values in at.items()} for time in sorted(shared)]
