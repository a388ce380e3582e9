"""The strategy that a specification names."""

from __future__ import annotations

from typing import TypeVar

from pydantic import ValidationError

from kubenas.api.base import Model
from kubenas.api.errors import SpecError, problems_of
from kubenas.api.experiment import Search
from kubenas.search.base import Strategy
from kubenas.search.random import RandomSearch
from kubenas.search.regularized_evolution import RegularizedEvolution, RegularizedEvolutionSettings
from kubenas.space.base import Space

SettingsT = TypeVar("SettingsT", bound=Model)


class NoSettings(Model):
    """Settings of an algorithm that has none."""


def build_strategy(search: Search, space: Space) -> Strategy:
    """The strategy of `search` on `space`.

    Raises:
        SpecError: a setting is unknown or out of range; `field` is its path from the experiment's spec.
    """
    if search.algorithm == "random":
        _settings(NoSettings, search)
        return RandomSearch(space, search.seed)
    return RegularizedEvolution(space, search.seed, _settings(RegularizedEvolutionSettings, search))


def _settings(model: type[SettingsT], search: Search) -> SettingsT:
    known = sorted(field.alias or name for name, field in model.model_fields.items())
    for name in search.settings:
        if name not in known:
            has = f"has {', '.join(known)}" if known else "has no settings"
            raise SpecError(f"search.settings.{name}", f"is no setting of {search.algorithm}, which {has}")
    try:
        return model.model_validate(search.settings)
    except ValidationError as error:
        raise problems_of(error)[0].within("search.settings") from None
