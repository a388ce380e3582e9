"""Devices that a pod asks for: extended resources of any vendor, and claims (dynamic resource allocation)."""

from __future__ import annotations

import math
from collections.abc import Mapping
from decimal import DecimalException
from typing import Any, Final

from kubernetes.utils.quantity import parse_quantity

from kubenas.cluster.client import Object

# More than any pod can get: what is written instead must not make sums infinite.
_MOST: Final = 1e6


def devices(spec: Object) -> dict[str, float]:
    """How many a pod holds, by resource, or by the name of its claim; counted as the scheduler does.

    Init containers run before the others, save sidecars, which go on beside them: the pod needs the most of any time.
    """
    sidecars: dict[str, float] = {}
    before: dict[str, float] = {}
    for container in spec.get("initContainers") or ():
        asked = _sum(sidecars, _asked(container))
        before = _most(before, asked)
        if container.get("restartPolicy") == "Always":
            sidecars = asked
    beside = _sum(sidecars, *map(_asked, spec.get("containers") or ()))
    return _most(before, beside) | {str(claim["name"]): 1.0 for claim in spec.get("resourceClaims") or ()}


def _asked(container: Object) -> dict[str, float]:
    resources = container.get("resources") or {}
    amounts = {**(resources.get("requests") or {}), **(resources.get("limits") or {})}
    # Kubernetes' own resources have no domain, or its own one.
    return {n: _number(amount) for n, amount in amounts.items() if "/" in n and "kubernetes.io/" not in n}


def _sum(*counts: Mapping[str, float]) -> dict[str, float]:
    return {name: sum(count.get(name, 0.0) for count in counts) for name in _names(*counts)}


def _most(*counts: Mapping[str, float]) -> dict[str, float]:
    return {name: max(count.get(name, 0.0) for count in counts) for name in _names(*counts)}


def _names(*counts: Mapping[str, float]) -> list[str]:
    return sorted({name for count in counts for name in count})


def _number(quantity: Any) -> float:
    try:
        number = float(parse_quantity(str(quantity)))
    except (ValueError, DecimalException, OverflowError):
        return 0.0
    return 0.0 if math.isnan(number) else min(max(number, 0.0), _MOST)
