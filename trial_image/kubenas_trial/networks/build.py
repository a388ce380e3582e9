"""The network of an architecture: which family belongs to which space."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from torch import nn

from kubenas.api.space import SearchSpace
from kubenas.space.base import Value
from kubenas_trial.errors import InvalidTrialError, read
from kubenas_trial.networks.base import AnyFamily, Family, FamilyOf


def kind_of(space: SearchSpace) -> str:
    """The preset's name, or which language a space of one's own is written in."""
    if space.preset is not None:
        return space.preset
    return next(kind for kind in ("parameters", "cell", "macro") if getattr(space, kind) is not None)


def family_of(space: SearchSpace, families: Mapping[str, FamilyOf], task: str) -> AnyFamily:
    """The family that builds the architectures of `space`.

    Args:
        space: the search space.
        families: those that a task has, by preset or by language.
        task: the task's name, for the message.

    Raises:
        InvalidTrialError: there is none, or the space names something that is unknown here.
    """
    kind = kind_of(space)
    if kind not in families:
        raise InvalidTrialError(
            f"searchSpace: this trainer has no network of {kind} for {task}, only of {', '.join(sorted(families))}: "
            "choose one of these, or name an image of your own in trialTemplate"
        )
    family = families[kind]
    return family if isinstance(family, Family) else family(space)


def build_network(
    architecture: Mapping[str, Value], family: AnyFamily, settings: Mapping[str, Any], interface: object
) -> nn.Module:
    """The network of `architecture`.

    Args:
        architecture: the decisions.
        family: the one of its space.
        settings: `task.settings.network`.
        interface: what goes in and comes out, as the family expects it.

    Raises:
        InvalidTrialError: the architecture or the settings do not fit the family.
    """
    skeleton = read(family.skeleton, dict(settings), "task.settings.network")
    return family.build(architecture, skeleton, interface)
