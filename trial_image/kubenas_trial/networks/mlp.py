"""Multilayer perceptrons, the family of spaces made of `parameters`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Final, Literal

from pydantic import BaseModel, ConfigDict, Field
from torch import nn

from kubenas.space.base import Value
from kubenas_trial.errors import read
from kubenas_trial.networks.base import Family, Images, Skeleton

_ACTIVATIONS: dict[str, type[nn.Module]] = {"relu": nn.ReLU, "gelu": nn.GELU, "silu": nn.SiLU, "tanh": nn.Tanh}


class MLPDecisions(BaseModel):
    """What a space may decide about a perceptron; a decision that it leaves open has the default."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    hidden: Annotated[int, Field(ge=1, le=65_536)] = 64
    layers: Annotated[int, Field(ge=1, le=256)] = 2
    activation: Literal["relu", "gelu", "silu", "tanh"] = "relu"
    dropout: Annotated[float, Field(ge=0, lt=1)] = 0.0


class NoSkeleton(Skeleton):
    """Nothing is around the searched part."""


def mlp(architecture: Mapping[str, Value], _skeleton: NoSkeleton, images: Images) -> nn.Sequential:
    """`layers` hidden layers of `hidden` units, each with activation and dropout, then a linear classifier.

    Raises:
        InvalidTrialError: a decision is not one of MLPDecisions, or has an impossible value.
    """
    decisions = read(MLPDecisions, dict(architecture), "architecture")
    layers: list[nn.Module] = [nn.Flatten()]
    width = images.channels * images.height * images.width
    for _ in range(decisions.layers):
        layers += [nn.Linear(width, decisions.hidden), _ACTIVATIONS[decisions.activation]()]
        if decisions.dropout > 0:
            layers.append(nn.Dropout(decisions.dropout))
        width = decisions.hidden
    return nn.Sequential(*layers, nn.Linear(width, images.classes))


PERCEPTRON: Final = Family(NoSkeleton, mlp, default={})
