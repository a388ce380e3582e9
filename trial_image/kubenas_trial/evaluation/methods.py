"""The evaluation methods by name: how the candidates of a trial are judged."""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, Final, Protocol

from kubenas_trial.errors import InvalidTrialError

if TYPE_CHECKING:
    from kubenas_trial.contract import Trial
    from kubenas_trial.evaluation.reporter import Reporter
    from kubenas_trial.tasks.base import Task


class Method(Protocol):
    """What judges the candidates of a trial."""

    def __call__(self, task: Task[Any, Any], trial: Trial, reporter: Reporter) -> None:
        """Report the results of every candidate of `trial`, or `trial.fail` it.

        Args:
            task: the trial's, with its data.
            trial: what is asked for; its `document.evaluation` has the method's own fields.
            reporter: where results go.

        Raises:
            TrialError: no candidate can be judged.
        """


# The module of each; its function `evaluate` is the method.
METHODS: Final[Mapping[str, str]] = {
    "train": "kubenas_trial.evaluation.train",
    "zero-cost": "kubenas_trial.evaluation.zero_cost",
    "supernet": "kubenas_trial.evaluation.supernet",
    "differentiable": "kubenas_trial.evaluation.differentiable",
}


def evaluation_method(name: str) -> Method:
    """The method that is called `name` in a trial's document.

    Raises:
        InvalidTrialError: there is none.
    """
    if name not in METHODS:
        raise InvalidTrialError(
            f"evaluation.method: {name!r} is unknown to this trainer; choose of {', '.join(METHODS)}, or name a newer "
            "image in trialTemplate"
        )
    method: Method = import_module(METHODS[name]).evaluate
    return method
