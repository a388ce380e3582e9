"""The strategy that a specification names."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from typing import TYPE_CHECKING, Final

from pydantic import ValidationError

from kubenas.api.errors import SpecError, combined, problems_of, refuse

if TYPE_CHECKING:
    from types import ModuleType

    from kubenas.api.base import Model
    from kubenas.api.search import Search
    from kubenas.search.base import Strategy
    from kubenas.space.base import Space

# Module and class of each algorithm; its settings are the class's name with Settings behind it, if it has any. A module
# is imported when it is asked for, as numpy, scikit-learn and Optuna take longer than all else.
ALGORITHMS: Final[dict[str, tuple[str, str]]] = {
    "random": ("random", "RandomSearch"),
    "grid": ("grid", "GridSearch"),
    "sobol": ("sobol", "SobolSearch"),
    "regularized-evolution": ("regularized_evolution", "RegularizedEvolution"),
    "local-search": ("local_search", "LocalSearch"),
    "reinforce": ("reinforce", "Reinforce"),
    "predictor": ("predictor", "Predictor"),
    "bayesian": ("bayesian", "Bayesian"),
    "tpe": ("tpe", "TPE"),
    "cma-es": ("cma_es", "CMAES"),
    "nsga2": ("nsga2", "NSGA2"),
    "llm": ("llm", "LLM"),
    "external": ("external", "External"),
}


def strategy_module(algorithm: str) -> ModuleType:
    """The module of an algorithm with all its libraries, imported where it was not yet: that can take seconds."""
    return import_module(f"kubenas.search.{ALGORITHMS[algorithm][0]}")


def build_strategy(
    search: Search, space: Space, scores: Mapping[str, Sequence[float]] | None = None, *, guarded: bool = False
) -> Strategy:
    """The strategy of `search` on `space`.

    Args:
        search: the algorithm, its seed and its settings.
        space: to search in.
        scores: further numbers for architectures by `Space.key`, for the predictor to learn from.
        guarded: whether services on this machine are not asked, as the experiment's author has no part in it.

    Raises:
        SpecError: a setting is unknown or out of range; `field` is its path from the experiment's spec.
    """
    module, class_name = strategy_module(search.algorithm), ALGORITHMS[search.algorithm][1]
    make: Callable[..., Strategy] = getattr(module, class_name)
    model: type[Model] | None = getattr(module, f"{class_name}Settings", None)
    if model is None:
        _refuse_unknown(search, [])
        return make(space, search.seed)
    settings = _settings(model, search)
    if search.algorithm == "predictor":
        return make(space, search.seed, settings, scores)
    if search.algorithm in ("llm", "external"):
        return make(space, search.seed, settings, guarded=guarded)
    return make(space, search.seed, settings)


def _settings(model: type[Model], search: Search) -> Model:
    _refuse_unknown(search, sorted(field.alias or name for name, field in model.model_fields.items()))
    try:
        return model.model_validate(search.settings)
    except ValidationError as error:
        raise combined(problems_of(error)).within("search.settings") from None


def _refuse_unknown(search: Search, known: Sequence[str]) -> None:
    has = f"has {', '.join(known)}" if known else "has no settings"
    refuse(
        SpecError(f"search.settings.{name}", f"is no setting of {search.algorithm}, which {has}")
        for name in search.settings
        if name not in known
    )
