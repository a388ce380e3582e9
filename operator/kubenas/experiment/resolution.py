"""From a specification to the stages of its search, each with all that it needs, whatever is left to defaults."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from kubenas.api.errors import SpecError
from kubenas.api.evaluation import Evaluation
from kubenas.api.metric_names import SCORE, of_proxies
from kubenas.api.objective import Objective
from kubenas.experiment.combination import Combination
from kubenas.experiment.measured import measured_metrics
from kubenas.experiment.stages import ResolvedStage, Source, kept_at_most
from kubenas.fidelity.load import build_scheduler

if TYPE_CHECKING:
    from kubenas.api.experiment import ExperimentSpec
    from kubenas.api.search import Search
    from kubenas.api.stage import Stage
    from kubenas.fidelity.base import Scheduler
    from kubenas.space.base import Space

_SUPERNET: Final = "supernet"
_PROXIES: Final = "proxies"
# Architectures that are scored for a predictor to choose from, where `search.settings.pool` does not say.
_POOL: Final = 2_000
# Between the seeds of two stages, so that a later one does not draw what an earlier one has drawn.
_SEEDS_APART: Final = 7_368_787
_TO_POOL: Final = 3_401_627


def resolve(spec: ExperimentSpec) -> tuple[ResolvedStage, ...]:
    """The stages of a specification, in order, without their strategies.

    Before a stage that judges by a supernet comes one that trains it; before one whose strategy chooses from
    architectures with training-free scores one that scores them.
    """
    stages: list[ResolvedStage] = []
    before: int | None = None
    supernet: int | None = None
    for position, stage in enumerate(spec.stages or (None,)):
        main = _main(spec, position, stage, stages[before] if before is not None else None)
        if main.search is not None and (scoring := _scoring(main, main.search, len(stages))):
            stages.append(scoring)
            main = replace(main, pool=scoring.index)
        if main.evaluation.method == "supernet":
            supernet = len(stages)
            stages.append(_training(main, supernet))
        needs = main.evaluation.method == "supernet" or main.evaluation.inherit
        main = replace(main, index=len(stages), before=before, supernet=supernet if needs else None)
        before = main.index
        stages.append(main)
    return tuple(stages)


def _main(spec: ExperimentSpec, position: int, stage: Stage | None, before: ResolvedStage | None) -> ResolvedStage:
    """A stage as the specification has it, apart from the other ones that it needs."""
    path = f"stages[{position}]." if stage else ""
    evaluation = ((stage.evaluation if stage else None) or spec.evaluation).resolved()
    search = None if evaluation.method == "differentiable" else _search(spec, position, stage)
    source: Source = "evaluation" if evaluation.method == "differentiable" else "strategy" if search else "kept"
    asked = (stage.trials.candidates_per_trial if stage else None) or spec.trials.candidates_per_trial
    each = 1 if source == "evaluation" else asked or evaluation.candidates_per_trial
    if source == "kept" and before is not None:
        most = -(-kept_at_most(before) // each) * evaluation.seeds
    else:
        wanted = (stage.trials.max if stage else None) or spec.trials.max
        most = max(1, wanted // evaluation.seeds) * evaluation.seeds
    objectives = _objectives(spec, evaluation, last=position + 1 >= len(spec.stages))
    return ResolvedStage(
        index=position,
        name=stage.name if stage else None,
        path=path,
        source=source,
        search=search,
        search_field=f"{path}search" if stage and stage.search else "search",
        strategy=None,
        evaluation=evaluation,
        evaluation_field=f"{path}evaluation" if stage and stage.evaluation else "evaluation",
        objectives=objectives,
        decides=objectives == tuple(spec.objectives),
        combination=_combination(evaluation, objectives),
        horizon=_horizon(spec, evaluation),
        scheduler=_scheduler(spec, stage, evaluation),
        candidates_per_trial=each,
        most_trials=most,
        keep=stage.keep if stage else None,
    )


def _scoring(main: ResolvedStage, search: Search, index: int) -> ResolvedStage | None:
    """The stage that scores the architectures which a predictor chooses from; None where it chooses from the space."""
    if search.algorithm != "predictor" or not search.settings.get("proxies"):
        return None
    try:
        evaluation = Evaluation(method="zero-cost", proxies=search.settings["proxies"]).resolved()
    except ValueError:
        return None  # the settings' own model says what is wrong
    asked = search.settings.get("pool")
    pool = asked if isinstance(asked, int) and asked > 0 else _POOL
    each = min(pool, evaluation.candidates_per_trial)
    objectives = (Objective(metric=SCORE),)
    return replace(
        main,
        index=index,
        name=_named(main.name, _PROXIES),
        search=search.model_copy(update={"algorithm": "random", "seed": search.seed + _TO_POOL, "settings": {}}),
        evaluation=evaluation,
        objectives=objectives,
        decides=False,
        combination=_combination(evaluation, objectives),
        horizon=0,
        scheduler=None,
        candidates_per_trial=each,
        most_trials=-(-pool // each),
        keep=None,
        made=True,
    )


def _training(main: ResolvedStage, index: int) -> ResolvedStage:
    """The stage that trains the supernet by which another one judges."""
    return replace(
        main,
        index=index,
        name=_named(main.name, _SUPERNET),
        source="evaluation",
        search=None,
        objectives=(),
        decides=False,
        scheduler=None,
        candidates_per_trial=1,
        most_trials=1,
        keep=None,
        made=True,
        pool=None,
    )


def _scheduler(spec: ExperimentSpec, stage: Stage | None, evaluation: Evaluation) -> Scheduler | None:
    """What stops trainings of a stage; there is nothing to stop where nothing is trained for each candidate."""
    if evaluation.method != "train" or evaluation.epochs is None:
        return None
    return build_scheduler((stage.fidelity if stage else None) or spec.fidelity, evaluation.epochs)


def _named(stage: str | None, what: str) -> str:
    return f"{stage}-{what}" if stage else what


def _objectives(spec: ExperimentSpec, evaluation: Evaluation, *, last: bool) -> tuple[Objective, ...]:
    if last:
        return tuple(spec.objectives)
    measured = measured_metrics(spec, evaluation)
    # What devices measure takes long: of what the search has come to alone.
    reported = [o for o in spec.objectives if o.measured_on is None]
    own = tuple(o for o in reported if measured is None or o.metric in measured)
    if evaluation.method == "zero-cost":
        return (Objective(metric=SCORE), *(o for o in own if o.limit is not None))
    return own


def _combination(evaluation: Evaluation, objectives: tuple[Objective, ...]) -> Combination | None:
    if evaluation.combine is None or all(objective.metric != SCORE for objective in objectives):
        return None
    return Combination(objectives, of_proxies(evaluation.proxies or ()), evaluation.combine)


def with_strategies(
    stages: Sequence[ResolvedStage], space: Space, *, guarded: bool
) -> tuple[tuple[ResolvedStage, ...], list[SpecError]]:
    """The stages with their strategies, and what is wrong with the settings of those that have none.

    Args:
        stages: resolved ones.
        space: what all of them search.
        guarded: whether services on this machine are not asked, as the experiment's author has no part in it.
    """
    # Strategies bring NumPy and more.
    from kubenas.search.load import build_strategy  # noqa: PLC0415

    built: list[ResolvedStage] = []
    problems: list[SpecError] = []
    for stage in stages:
        strategy = None
        if stage.search is not None:
            try:
                strategy = build_strategy(stage.search, space, guarded=guarded)
            except SpecError as error:
                below = [(problem.field.removeprefix("search"), problem.message) for problem in error.problems]
                problems += [SpecError(f"{stage.search_field}{path}", message) for path, message in below]
        built.append(replace(stage, strategy=strategy))
    return tuple(built), problems


def _search(spec: ExperimentSpec, index: int, stage: Stage | None) -> Search | None:
    if index == 0:
        return (stage.search if stage else None) or spec.search
    if stage is None or stage.search is None:
        return None
    return stage.search.model_copy(update={"seed": stage.search.seed + index * _SEEDS_APART})


def _horizon(spec: ExperimentSpec, evaluation: Evaluation) -> int:
    """Epochs that the schedule of a training is laid out for.

    Where stages go on from checkpoints, the longest one's: a candidate that is taken over then ends as one trained in
    one go. Where each stage begins anew, its own, as a schedule that has ended tells more of the outcome.
    """
    if evaluation.method != "train" or spec.storage is None:
        return evaluation.epochs or 0
    evaluations = [(stage.evaluation or spec.evaluation).resolved() for stage in spec.stages] or [evaluation]
    return max(one.epochs or 0 for one in evaluations if one.method == "train")
