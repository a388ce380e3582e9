"""What Grafana asks Prometheus for a panel: queries with the variables' values, and answers with names.

Grafana puts a chosen value into PromQL with what a string there must not hold escaped, and several as a group of a
regular expression: https://grafana.com/docs/grafana/latest/datasources/prometheus/template-variables/.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import httpx

# What Grafana escapes in a value of several: twice, for PromQL's string and for the regular expression in it.
_SPECIAL = re.compile(r"[$^*{}\[\]'+?.()|]")
Chosen = dict[str, str | list[str]]

VARIABLE = re.compile(r"\$\{?(\w+)\}?")
# With a scrape interval of 15 s, as Grafana takes it where the data source does not say: four of them.
RATE_INTERVAL = "60s"


def interpolated(expression: str, chosen: Mapping[str, str | Sequence[str]], seconds: int = 3600) -> str:
    """A query as Prometheus gets it.

    Args:
        expression: the panel's.
        chosen: values by variable; `x` where there is none.
        seconds: the time that the dashboard shows.
    """
    built_in = {"__range": f"{seconds}s", "__rate_interval": RATE_INTERVAL, "1": "$1"}

    def value(match: re.Match[str]) -> str:
        name = match[1]
        if name in built_in:
            return built_in[name]
        given = chosen.get(name, "x")
        if isinstance(given, str):
            return given.replace("\\", "\\\\").replace('"', '\\"')
        escaped = [_SPECIAL.sub(r"\\\\\g<0>", each.replace("\\", "\\" * 4)) for each in given]
        return escaped[0] if len(escaped) == 1 else f"({'|'.join(escaped)})"

    return VARIABLE.sub(value, expression)


@dataclass(frozen=True)
class Asker:
    """A Prometheus, and the time that a dashboard shows.

    Attributes:
        url: where it is.
        start: the time's begin, in seconds since 1970.
        end: its end.
    """

    url: str
    start: float
    end: float

    @property
    def seconds(self) -> int:
        """How long that time is."""
        return int(self.end - self.start)

    def answer(self, query: Mapping[str, Any], chosen: Mapping[str, str | Sequence[str]]) -> list[dict[str, Any]]:
        """The series that answer a panel's query."""
        expression = interpolated(query["expr"], chosen, self.seconds)
        if query.get("instant"):
            found = ask(self.url, "query", query=expression, time=str(self.end))
        else:
            step = (self.end - self.start) / 400
            bounds = {"start": str(self.start), "end": str(self.end), "step": str(step)}
            found = ask(self.url, "query_range", query=expression, **bounds)
        series: list[dict[str, Any]] = found["result"]
        return series

    def options(self, variable: Mapping[str, Any], chosen: Mapping[str, str | Sequence[str]]) -> list[str]:
        """What a variable offers: the values of a label, `label_values(SELECTOR, LABEL)`."""
        asked = re.fullmatch(r"label_values\((.*), (\w+)\)", variable["query"]["query"])
        assert asked is not None, variable
        selector = interpolated(asked[1], chosen, self.seconds)
        bounds = {"start": str(self.start), "end": str(self.end)}
        offered: list[str] = ask(self.url, f"label/{asked[2]}/values", **{"match[]": selector}, **bounds)
        return offered


def choices(asker: Asker, variables: Sequence[Mapping[str, Any]], wanted: Mapping[str, str]) -> Iterator[Chosen]:
    """What one may choose on a dashboard, each variable's values being those that the ones before leave.

    Args:
        asker: where values are found.
        variables: the dashboard's.
        wanted: values of some variables; they must be among those that are offered.
    """
    made: list[Chosen] = [{}]
    for variable in variables:
        if variable["type"] == "datasource":
            continue
        further: list[Chosen] = []
        for before in made:
            offered = asker.options(variable, before)
            name = variable["name"]
            assert offered or name == "against", f"{name} has no values after {before}"
            if name in wanted:
                assert wanted[name] in offered, f"{name} offers {offered}"
                offered = [wanted[name]]
            further += [{**before, name: [one] if variable.get("multi") else one} for one in offered]
        made = further
    yield from made


def ask(url: str, path: str, **parameters: str) -> Any:
    """What Prometheus' API answers."""
    answer = httpx.get(f"{url}/api/v1/{path}", params=parameters, timeout=60)
    assert answer.status_code == 200, f"{parameters}: {answer.text}"
    return answer.json()["data"]
