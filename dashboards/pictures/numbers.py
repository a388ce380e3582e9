"""Numbers as Grafana writes them in a unit."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence

_SI = ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k"), (1, ""), (1e-3, "m"), (1e-6, "µ"))
_SHORT = ((1e12, "Tri"), (1e9, "Bil"), (1e6, "Mil"), (1e3, "K"))
_SECONDS = ((86400, "day"), (3600, "hour"), (60, "min"), (1, "s"), (1e-3, "ms"), (1e-6, "µs"))
_BYTES = ((2**30, "GiB"), (2**20, "MiB"), (2**10, "KiB"), (1, "B"))


def written(value: float, unit: str, now: float = 0) -> str:
    """A value with its unit; a time (in milliseconds) as how long before `now` (in seconds) it was."""
    if not math.isfinite(value):
        return "NaN"
    if unit == "dateTimeFromNow":
        return f"{_scaled(max(0.0, now - value / 1000), _SECONDS[:4])} ago"
    return _UNITS.get(unit, _short)(value)


def _scaled(value: float, sizes: Sequence[tuple[float, str]], unit: str = "") -> str:
    """In the largest size that it has one of."""
    size, name = next(((size, name) for size, name in sizes if abs(value) >= size), sizes[-1])
    if value == 0:
        size, name = next((size, name) for size, name in sizes if size == 1)
    return f"{_short(value / size)} {name}{unit}".rstrip()


def _short(value: float) -> str:
    """At most three digits after the point and three in all, as far as they say anything."""
    if value == 0:
        return "0"
    digits = max(0, min(3, 2 - math.floor(math.log10(abs(value)))))
    text = f"{value:.{digits}f}"
    return text.rstrip("0").rstrip(".") if "." in text else text


_UNITS: Mapping[str, Callable[[float], str]] = {
    "percentunit": lambda value: f"{_short(100 * value)}%",
    "percent": lambda value: f"{_short(value)}%",
    "s": lambda value: _scaled(value, _SECONDS),
    "h": lambda value: _scaled(3600 * value, _SECONDS),
    "bytes": lambda value: _scaled(value, _BYTES),
    "mbytes": lambda value: _scaled(value * 2**20, _BYTES),
    "decmbytes": lambda value: _scaled(value * 1e6, _SI[:5], "B"),
    "watt": lambda value: _scaled(value, _SI, "W"),
    "joule": lambda value: _scaled(value, _SI, "J"),
    "ops": lambda value: f"{_short(value)} ops/s",
    "reqps": lambda value: f"{_short(value)} req/s",
    "cpm": lambda value: f"{_short(value)} c/m",
    "short": lambda value: _scaled(value, _SHORT) if abs(value) >= 1000 else _short(value),
}
