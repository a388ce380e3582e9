"""The network of an architecture: which family belongs to which space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from torch import nn

from kubenas.api.space import SearchSpace
from kubenas_trial.errors import InvalidTrialError
from kubenas_trial.networks.mlp import mlp
from kubenas_trial.networks.nasbench201 import nasbench201


class SkeletonSettings(BaseModel):
    """Size of the network around a searched cell; the defaults are NAS-Bench-201's."""

    model_config = ConfigDict(alias_generator=to_camel, frozen=True, extra="forbid")

    channels: Annotated[int, Field(ge=1, le=4096)] = 16
    cells_per_stack: Annotated[int, Field(ge=1, le=256)] = 5


def build_network(
    architecture: Mapping[str, object],
    space: SearchSpace,
    skeleton: SkeletonSettings | None,
    shape: tuple[int, int, int],
    classes: int,
) -> nn.Module:
    """A network for images of `shape` (channels, height, width) that gives (batch, classes).

    A preset has its own skeleton; an architecture of `parameters` is a multilayer perceptron.

    Raises:
        InvalidTrialError: the architecture or the settings do not fit the family.
    """
    if space.preset == "nasbench201":
        skeleton = skeleton or SkeletonSettings()
        return nasbench201(architecture, skeleton.channels, skeleton.cells_per_stack, shape[0], classes)
    if space.parameters is None:
        what = f"preset {space.preset}" if space.preset else "cells or stages of one's own"
        raise InvalidTrialError(
            f"searchSpace: this trainer has no network for {what}: name an image of your own in trialTemplate"
        )
    if skeleton is not None:
        raise InvalidTrialError(
            "task.settings.network: only a preset has a skeleton; an architecture of parameters decides its own size"
        )
    return mlp(architecture, shape, classes)
