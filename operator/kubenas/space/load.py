"""The space that a specification describes."""

from __future__ import annotations

from kubenas.api.space import Parameter, SearchSpace
from kubenas.space.base import Space
from kubenas.space.domains import Choice, Domain, Float, Int
from kubenas.space.nasbench201 import NASBench201
from kubenas.space.parameters import ParameterSpace


def build_space(spec: SearchSpace) -> Space:
    """The space of a (validated) `spec`."""
    if spec.preset == "nasbench201":
        return NASBench201()
    return ParameterSpace({parameter.name: _domain(parameter) for parameter in spec.parameters or ()})


def _domain(parameter: Parameter) -> Domain:
    if parameter.values is not None:
        return Choice(tuple(parameter.values))
    if parameter.min is None or parameter.max is None:
        raise ValueError(f"parameter {parameter.name}: {parameter.type} needs min and max")
    kind = Int if parameter.type == "int" else Float
    return kind(parameter.min, parameter.max, parameter.scale)
