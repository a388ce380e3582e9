"""Spaces of named parameters: choices, ordered values, whole numbers, numbers."""

from __future__ import annotations

from collections.abc import Mapping

from kubenas.space.base import Space
from kubenas.space.decisions import Decision
from kubenas.space.domains import Domain


def parameter_space(domains: Mapping[str, Domain]) -> Space:
    """Every combination of the values of named, independent parameters."""
    return Space([Decision(name, domain) for name, domain in domains.items()])
