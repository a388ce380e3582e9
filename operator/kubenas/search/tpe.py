"""Tree-structured Parzen estimators, by Optuna."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from random import Random
from typing import Any, Final

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
from kubenas.search.earlier import draw_first
from kubenas.search.fronts import ranked
from kubenas.search.preparation import Preparation
from kubenas.search.unseen import first_unseen
from kubenas.space.base import Architecture, Space, Value
from kubenas.space.decisions import Decision
from kubenas.space.domains import Domain, Float, Int

# Points of the sampler before one that was proposed before is mutated.
ASKED: Final = 8
# Results that the sampler sees at most, as its time grows with each: the best, of which it holds 25 at most to be good,
# and the latest.
BEST: Final = 50
LATEST: Final = 250


class TPESettings(Model):
    """Settings of TPE."""

    initial: int = Field(default=10, ge=1, le=10_000, description="Architectures drawn evenly before the first model.")


@dataclass(frozen=True, slots=True)
class Answers:
    """Proposals that were worked out ahead, one after another from the same results and what was pending then.

    Fewer than were asked for where no more are left.
    """

    observations: Sequence[Observation]
    pending: tuple[Architecture, ...]
    asked: int
    proposals: Sequence[Architecture]

    def given(self, history: History) -> int | None:
        """How many of them have been proposed since; None where `history` is another."""
        given = len(history.pending) - len(self.pending)
        if given < 0 or history.pending != (*self.pending, *self.proposals[:given]):
            return None
        return given if self.observations == history.observations else None


class TPE(Strategy):
    """Optuna's TPE sampler: draws where good results are dense and bad ones are not.

    Bergstra et al., NeurIPS 2011; Watanabe, arXiv:2304.11127; Optuna, KDD 2019, arXiv:1907.10902. Decisions are asked
    for one by one, so those that others switch on have models of their own. What is pending counts as bad (constant
    liar); several objectives and the violation of limits go to the sampler as they are. What it repeats, or what the
    space's constraints refuse, is asked for again, then mutated. With some hundred results the sampler takes long, so
    proposals can be worked out ahead.

    In place of the first draws it judges the best earlier architectures again: the sampler has one scale for all that
    it sees, and cannot tell how far another source is to be relied on.
    """

    def __init__(self, space: Space, seed: int, settings: TPESettings) -> None:
        super().__init__(space, seed)
        self.settings = settings
        self._trials: dict[Observation, FrozenTrial] = {}
        self._answers = Answers([], (), 0, [])

    def preparation(self, history: History, count: int) -> Preparation | None:
        """Work out the next proposals, unless they are known or drawn."""
        given = self._answers.given(history)
        if not self._asks(history) or (given is not None and given + count <= self._answers.asked):
            return None
        arguments = (self.space, self.seed, self.settings, [*history.observations], tuple(history.pending), count)
        return Preparation(work_out, arguments)

    def accept(self, preparation: Preparation, result: Any) -> None:
        """Take in the proposals."""
        *_, observations, pending, count = preparation.arguments
        self._answers = Answers(observations, pending, count, result)

    def next(self, history: History, rng: Random) -> Architecture | None:
        """One architecture that was not proposed before, or None where there is none left."""
        space = self.space
        given = self._answers.given(history)
        if given is not None and given < len(self._answers.proposals):
            return self._answers.proposals[given]
        if not self._asks(history):
            return draw_first(space, history, rng)
        study = self._study(space, history, rng.randrange(2**31))
        asked = (_ask(space, study) for _ in range(ASKED))
        return first_unseen(space, history, rng, asked, ASKED)

    def _asks(self, history: History) -> bool:
        """Whether the sampler decides, not a draw."""
        return history.unfailed >= self.settings.initial and bool(history.scored)

    def _study(self, space: Space, history: History, seed: int) -> optuna.Study:
        objectives = len(history.scored[0].objectives)
        with warnings.catch_warnings(action="ignore", category=optuna.exceptions.ExperimentalWarning):
            sampler = optuna.samplers.TPESampler(seed=seed, n_startup_trials=1, constant_liar=True)
        verbosity = optuna.logging.get_verbosity()
        optuna.logging.set_verbosity(optuna.logging.WARNING)
        study = optuna.create_study(sampler=sampler, directions=["maximize"] * objectives)
        optuna.logging.set_verbosity(verbosity)
        for observation in _remembered(history.scored):
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

    def _trial(self, space: Space, observation: Observation) -> FrozenTrial:
        trial = self._trials.get(observation)
        if trial is None:
            if len(self._trials) >= 2 * (BEST + LATEST):
                self._trials.clear()
            trial = self._trials[observation] = create_trial(
                values=list(observation.objectives),
                params=dict(observation.architecture),
                distributions=_distributions(space, observation.architecture),
            )
            trial.set_constraint("limits", -observation.score[0] if observation.score else 0.0)
        return trial


def work_out(
    space: Space,
    seed: int,
    settings: TPESettings,
    observations: Sequence[Observation],
    pending: Sequence[Architecture],
    count: int,
) -> list[Architecture]:
    """The next proposals after these: a function of its arguments."""
    history = History(space)
    history.propose([*(one.architecture for one in observations), *pending])
    for observation in observations:
        history.observe(observation)
    return TPE(space, seed, settings).propose(history, count)


def _remembered(scored: Sequence[Observation]) -> Sequence[Observation]:
    if len(scored) <= BEST + LATEST:
        return scored
    older = scored[:-LATEST]
    if len(older[0].objectives) > 1:
        order = ranked(older)
    else:
        order = sorted(range(len(older)), key=lambda index: older[index].known_score, reverse=True)
    return [*(older[index] for index in sorted(order[:BEST])), *scored[-LATEST:]]


def _ask(space: Space, study: optuna.Study) -> Architecture:
    trial = study.ask()
    asked = suggested(space, trial)
    study.tell(trial, state=TrialState.FAIL)
    return asked


def suggested(space: Space, trial: optuna.Trial) -> Architecture:
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
    return [domain.at(index) for index in range(domain.size() or 0)]


def _distributions(space: Space, architecture: Architecture) -> dict[str, BaseDistribution]:
    return {decision.name: _distribution(decision) for decision in space.active(architecture)}


def _distribution(decision: Decision) -> BaseDistribution:
    domain = decision.domain
    if isinstance(domain, Float):
        return FloatDistribution(domain.low, domain.high, log=domain.scale == "log")
    if isinstance(domain, Int):
        return IntDistribution(int(domain.low), int(domain.high), log=domain.scale == "log")
    return CategoricalDistribution(_choices(domain))
