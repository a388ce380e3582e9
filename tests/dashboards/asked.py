"""What Grafana asks Prometheus for a panel: queries with the variables' values, and answers with names.

Grafana puts a chosen value into PromQL with what a string there must not hold escaped, and several as a group of a
regular expression: https://grafana.com/docs/grafana/latest/datasources/prometheus/template-variables/.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence

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
        return f"({'|'.join(re.escape(each) for each in given)})"

    return VARIABLE.sub(value, expression)
