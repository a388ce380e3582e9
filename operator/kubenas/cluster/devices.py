"""Devices that a pod asks for: extended resources of any vendor, and claims (dynamic resource allocation)."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from decimal import DecimalException
from typing import Any, Final

from kubernetes.utils.quantity import parse_quantity

from kubenas.api.device import counts_as_device
from kubenas.cluster.client import Object

# More than any pod can get: what is written instead must not make sums infinite.
_MOST: Final = 1e6


def devices(spec: Object) -> dict[str, float]:
    """How many a pod holds, by resource, or by the name of its claim; counted as the scheduler does.

    A claim is one device, as far as a pod tells.

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
    return _most(before, beside) | {str(claim["name"]): 1.0 for claim in _claims(spec)}


def claims(spec: Object, status: Object) -> dict[str, str]:
    """Names of the ResourceClaims that a pod has, by their names in the pod; those that there are by now."""
    made = {one.get("name"): one.get("resourceClaimName") for one in status.get("resourceClaimStatuses") or ()}
    found = {one["name"]: one.get("resourceClaimName") or made.get(one["name"]) for one in _claims(spec)}
    return {str(name): str(claim) for name, claim in found.items() if claim}


def unclaimed(spec: Object, status: Object) -> str | None:
    """The first template of which no ResourceClaim was made for a pod yet."""
    # A claim without a name is one that turned out not to be needed.
    made = {one.get("name") for one in status.get("resourceClaimStatuses") or ()}
    templates = (one.get("resourceClaimTemplateName") for one in _claims(spec) if one["name"] not in made)
    return next((str(template) for template in templates if template), None)


def allocated(claim: Object) -> float | None:
    """Devices that a ResourceClaim holds; None as long as none are allocated."""
    allocation = (claim.get("status") or {}).get("allocation")
    if allocation is None:
        return None
    results = (allocation.get("devices") or {}).get("results") or ()
    # With adminAccess nobody is kept from them.
    return float(sum(not one.get("adminAccess") for one in results))


def _claims(spec: Object) -> Iterable[Object]:
    return spec.get("resourceClaims") or ()


def _asked(container: Object) -> dict[str, float]:
    resources = container.get("resources") or {}
    amounts = {**(resources.get("requests") or {}), **(resources.get("limits") or {})}
    return {name: _number(amount) for name, amount in amounts.items() if counts_as_device(name)}


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
