"""Tree-structured Parzen estimators, by Optuna."""

from __future__ import annotations

import warnings
from random import Random
from typing import Final

import optuna
from optuna.distributions import (
    BaseDistribution,
    CategoricalDistribution,
    FloatDistribution,
    IntDistribution,
)
from optuna.trial import FrozenTrial, TrialState, create_trial
from pydantic import Field

from kubenas.api.base import Model
from kubenas.search.base import History, Observation, Strategy
from kubenas.search.unseen import draw_unseen
from kubenas.space.base import Architecture, Space, Value
from kubenas.space.decisions import Decision, DecisionSpace
from kubenas.space.domains import Domain, Float, Int

# Points of the sampler before one that was proposed before is mutated.
ASKED: Final = 8
# Results that the sampler sees: the latest; its time grows with each.
REMEMBERED: Final = 1_000


class TPESettings(Model):
    """Settings of TPE."""

    initial: int = Field(default=10, ge=1, le=10_000, description="Architectures drawn evenly before the first model.")


class TPE(Strategy):
    """Optuna's TPE sampler: draws where good results are dense and bad ones are not.

    Bergstra et al., NeurIPS 2011; Watanabe, arXiv:2304.11127; Optuna, KDD 2019, arXiv:1907.10902. Decisions are asked
    for one by one, so those that others switch on have models of their own. What is pending counts as bad (constant
    liar); several objectives and the violation of limits go to the sampler as they are. What it repeats, or what the
    space's constraints refuse, is asked for again, then mutated.
    """

    def __init__(self, space: Space, seed: int, settings: TPESettings) -> None:
        super().__init__(space, seed)
        self.settings = settings
        self._trials: dict[Observation, FrozenTrial] = {}

    def next(self, history: History, rng: Random) -> Architecture | None:
        """One architecture that was not proposed before, or None where there is none left."""
        space = self.space
        if not isinstance(space, DecisionSpace) or history.unfailed < self.settings.initial:
            return draw_unseen(space, history, rng)
        if not history.scored:
            return draw_unseen(space, history, rng)
        study = self._study(space, history, rng.randrange(2**31))
        asked: Architecture | None = None
        for _ in range(ASKED):
            asked = _ask(space, study)
            if space.allows(asked) and not history.seen(asked):
                return asked
        for _ in range(ASKED):
            asked = space.mutate(asked, rng) if asked is not None and space.allows(asked) else space.sample(rng)
            if not history.seen(asked):
                return asked
        return draw_unseen(space, history, rng)

    def _study(self, space: DecisionSpace, history: History, seed: int) -> optuna.Study:
        objectives = len(history.scored[0].objectives)
        with warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning):
            sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=1, constant_liar=True)
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(sampler=sampler, directions=["maximize"] * objectives)
        optuna.logging.set_verbosity(verbosity)
        for observation in history.scored[-REMEMBERED:]:
            study.add_trial(self._trial(space, observation))
        for architecture in history.pending:
            study.add_trial(
                create_trial(
                    state=TrialState.RUNNING,
                    params=dict(architecture),
                    distributions=_distributions(space, architecture),
                )
            )
        return study

    def _trial(self, space: DecisionSpace, observation: Observation) -> FrozenTrial:
        trial = self._trials.get(observation)
        if trial is None:
            if len(self._trials) >= 2 * REMEMBERED:
                self._trials.clear()
            trial = self._trials[observation] = create_trial(
                values=list(observation.objectives),
                params=dict(observation.architecture),
                distributions=_distributions(space, observation.architecture),
            )
            trial.set_constraint("limits", -observation.score[0] if observation.score else 0.0)
        return trial


def _ask(space: DecisionSpace, study: optuna.Study) -> Architecture:
    trial = study.ask()
    asked = suggested(space, trial)
    study.tell(trial, state=TrialState.FAIL)
    return asked


def suggested(space: DecisionSpace, trial: optuna.Trial) -> Architecture:
    """What a trial's sampler decides, one decision after another as they are switched on."""
    decided: dict[str, Value] = {}
    while (decision := space.next_decision(decided)) is not None:
        decided[decision.name] = _suggested(trial, decision)
    return Architecture(decided)


def _suggested(trial: optuna.Trial, decision: Decision) -> Value:
    domain = decision.domain
    if isinstance(domain, Float):
        return trial.suggest_float(decision.name, domain.low, domain.high, log=domain.scale == "log")
    if isinstance(domain, Int):
        return trial.suggest_int(decision.name, int(domain.low), int(domain.high), log=domain.scale == "log")
    chosen = trial.suggest_categorical(decision.name, _choices(domain))
    return domain.parse(chosen)


def _choices(domain: Domain) -> list[Value]:
    return [domain.at(place) for place in range(domain.size() or 0)]


def _distributions(space: DecisionSpace, architecture: Architecture) -> dict[str, BaseDistribution]:
    return {decision.name: _distribution(decision) for decision in space.active(architecture)}


def _distribution(decision: Decision) -> BaseDistribution:
    domain = decision.domain
    if isinstance(domain, Float):
        return FloatDistribution(domain.low, domain.high, log=domain.scale == "log")
    if isinstance(domain, Int):
        return IntDistribution(int(domain.low), int(domain.high), log=domain.scale == "log")
    return CategoricalDistribution(_choices(domain))
