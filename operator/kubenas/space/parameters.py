"""Spaces of named parameters: choices, ordered values, whole numbers, numbers."""

from __future__ import annotations

from collections.abc import Mapping

from kubenas.space.base import Space
from kubenas.space.decisions import Decision
from kubenas.space.domains import Domain


class ParameterSpace(Space):
    """Every combination of the values of named, independent parameters."""

    def __init__(self, domains: Mapping[str, Domain]) -> None:
        super().__init__([Decision(name, domain) for name, domain in domains.items()])
