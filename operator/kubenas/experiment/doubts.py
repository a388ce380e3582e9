"""What is probably wrong with a specification, but can be meant: an image of one's own may know more."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final

from kubenas.api.errors import SpecError
from kubenas.api.metric_names import DEFAULT_PROXIES, PROXIES, expanded_proxies
from kubenas.api.unfit import OF_CELLS, UNFIT_PROXIES
from kubenas.experiment.resolution import resolve
from kubenas.experiment.stages import ResolvedStage

if TYPE_CHECKING:
    from kubenas.api.experiment import ExperimentSpec

_OWN_IMAGE: Final = "unless an image of your own, named in trialTemplate, has it"


def doubts(spec: ExperimentSpec) -> Iterator[SpecError]:
    """All that KubeNAS' own trainer will refuse, by paths that begin with `spec`."""
    preset = spec.search_space.preset
    found: dict[str, SpecError] = {}
    for stage in resolve(spec):
        for doubt in _doubts_of(stage, preset):
            found.setdefault(str(doubt), doubt.within("spec"))
    yield from found.values()


def _doubts_of(stage: ResolvedStage, preset: str | None) -> Iterator[SpecError]:
    evaluation = stage.evaluation
    if evaluation.method == "differentiable" and preset is not None and preset not in OF_CELLS:
        yield SpecError(
            f"{stage.evaluation_field}.method",
            f"differentiable mixes the operations of cells, and {preset} has none: choose another method, or "
            f"{' or '.join(sorted(OF_CELLS))}, {_OWN_IMAGE}",
        )
    if evaluation.method != "zero-cost":
        return
    # A stage that is made scores for the predictor of the one after it.
    field = f"{stage.search_field}.settings.proxies" if stage.made else f"{stage.evaluation_field}.proxies"
    for name in expanded_proxies(evaluation.proxies or DEFAULT_PROXIES):
        if name not in PROXIES:
            close = get_close_matches(name.replace("_", "-"), {one.replace("_", "-"): one for one in PROXIES}, 1)
            meant = f"did you mean {next(iter(expanded_proxies(close)))}? " if close else ""
            yield SpecError(
                field, f"{name} is unknown to the trainer, {_OWN_IMAGE}: {meant}Known are default, {', '.join(PROXIES)}"
            )
        elif name in UNFIT_PROXIES.get(preset or "", ()):
            yield SpecError(field, f"{name} makes no sense for networks of {preset}: no candidate will have it")
