"""All that is needed, beside the weights, to rebuild a trained network and use it: part of each checkpoint."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any, Final, get_args

from pydantic import BaseModel, ConfigDict
from pydantic.alias_generators import to_camel
from torch import nn

from kubenas.api.space import SearchSpace
from kubenas.space.base import Architecture
from kubenas.space.load import build_space
from kubenas_trial.datasets.preprocessing import Preprocessing
from kubenas_trial.errors import InvalidTrialError, read
from kubenas_trial.networks.base import Interface
from kubenas_trial.networks.build import build_network, family_of
from kubenas_trial.tasks.base import Task
from kubenas_trial.tasks.load import AnyTask, task_class

_INTERFACES: Final = {kind.__name__: kind for kind in get_args(Interface)}


class SupernetKind(BaseModel):
    """Which supernet a checkpoint is of.

    Attributes:
        rule: by which it was trained.
        branches: the decision of which each value has parameters of its own, and these values.
    """

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, frozen=True, extra="forbid")

    rule: str
    branches: tuple[str, tuple[str | int | float, ...]] | None = None


class Blueprint(BaseModel):
    """A network's description as JSON, independent of the experiment, the data and the trainer's current defaults.

    Attributes:
        task: its name.
        space: the search space.
        architecture: the decisions.
        settings: all of `task.settings`, those of the network's skeleton resolved.
        interface: what goes in and comes out: the name of one of `networks.base` as `kind`, and its fields.
        supernet: what the checkpoint is of, where it is of a supernet; `architecture` is empty then.
        preprocessing: how raw examples become inputs: class names, normalization, tokenizers.
    """

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True, frozen=True, extra="forbid")

    task: str
    space: dict[str, Any]
    architecture: dict[str, Any]
    settings: dict[str, Any]
    interface: dict[str, Any]
    preprocessing: dict[str, Any]
    supernet: SupernetKind | None = None

    @classmethod
    def of(
        cls, task: AnyTask, space: SearchSpace, architecture: Architecture, supernet: SupernetKind | None = None
    ) -> Blueprint:
        """The blueprint of a network of `task`, or of a supernet."""
        family = family_of(space, task.families, task.name)
        skeleton = read(family.skeleton, task.settings.network, "task.settings.network")
        return cls(
            task=task.name,
            space=space.dump(),
            architecture=architecture.to_json(),
            settings=task.settings.model_dump(mode="json", by_alias=True)
            | {"network": skeleton.model_dump(mode="json", by_alias=True)},
            interface=cls.interface_of(task),
            preprocessing=task.preprocessing.model_dump(mode="json", by_alias=True),
            supernet=supernet,
        )

    @staticmethod
    def interface_of(task: AnyTask) -> dict[str, Any]:
        """What goes into the networks of `task` and comes out, as `interface` has it."""
        return {"kind": type(task.interface).__name__, **asdict(task.interface)}

    def read_interface(self) -> Interface:
        """What goes in and comes out.

        Raises:
            KeyError, TypeError: it is damaged.
        """
        fields = dict(self.interface)
        interface: Interface = _INTERFACES[fields.pop("kind")](**fields)
        return interface

    def task_class(self) -> type[Task[Any, Any]]:
        """The task.

        Raises:
            InvalidTrialError: there is none of that name.
        """
        return task_class(self.task)

    def build(self) -> nn.Module:
        """The network, on the CPU, with fresh weights.

        Raises:
            InvalidTrialError: a part of this is none that this trainer knows, or it is of a supernet.
            InvalidArchitectureError: the architecture is none of the space.
            KeyError, TypeError, ValueError: it is damaged.
        """
        if self.supernet is not None:
            raise InvalidTrialError("it is of a supernet: make one of a sub-network by `kubenas-trial extract`")
        space = SearchSpace.model_validate(self.space)
        kind = self.task_class()
        family = family_of(space, kind.families, kind.name)
        architecture = build_space(space).parse(self.architecture)
        return build_network(architecture, family, self.settings["network"], self.read_interface())

    def prepare(self) -> Preprocessing:
        """The preprocessing.

        Raises:
            InvalidTrialError: it is none of the task's.
        """
        return read(self.task_class().preprocessing_model, self.preprocessing, "preprocessing")
