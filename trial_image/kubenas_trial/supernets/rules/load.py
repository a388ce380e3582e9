"""The sampling rules by name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from kubenas_trial.errors import InvalidTrialError
from kubenas_trial.supernets.rules.base import Rule
from kubenas_trial.supernets.rules.fairnas import FairNAS
from kubenas_trial.supernets.rules.few_shot import FewShot
from kubenas_trial.supernets.rules.progressive_shrinking import ProgressiveShrinking
from kubenas_trial.supernets.rules.sandwich import Sandwich
from kubenas_trial.supernets.rules.single_path import SinglePath

RULES: Final[Mapping[str, type[Rule]]] = {
    "single-path": SinglePath,
    "fairnas": FairNAS,
    "sandwich": Sandwich,
    "progressive-shrinking": ProgressiveShrinking,
    "few-shot": FewShot,
}


def rule_class(name: str) -> type[Rule]:
    """The rule called `name`.

    Raises:
        InvalidTrialError: there is none.
    """
    if name not in RULES:
        raise InvalidTrialError(f"evaluation.rule: {name!r} is unknown to this trainer; choose of {', '.join(RULES)}")
    return RULES[name]
