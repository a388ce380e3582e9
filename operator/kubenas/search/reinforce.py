"""Reinforcement learning: a controller policy trained by policy gradient."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from math import exp
from random import Random
from typing import Final, TypeAlias

from pydantic import Field

from kubenas.api.base import Model
from kubenas.search.base import History, Observation, Strategy
from kubenas.search.scalarize import scalarized
from kubenas.search.unseen import first_unseen
from kubenas.space.base import Architecture, Space, Value
from kubenas.space.decisions import Decision
from kubenas.space.domains import Number

# Draws from the policy, then mutations of the last one, before a random architecture is drawn.
DRAWS: Final = 33
MUTATIONS: Final = 32
# Numbers are decided by which of so many equal parts of their range they lie in, then evenly inside.
PARTS: Final = 8
# Results that a new one is compared with.
REMEMBERED: Final = 200

# Preference for each choice of a decision, after the choice before it.
Logits: TypeAlias = dict[tuple[str, str], list[float]]


class ReinforceSettings(Model):
    """Settings of the controller."""

    learning_rate: float = Field(default=0.3, gt=0.0, le=10.0, description="Step of the policy gradient.")
    baseline_decay: float = Field(
        default=0.9, ge=0.0, lt=1.0, description="How much of the moving average of rewards stays after each result."
    )
    entropy: float = Field(
        default=0.01, ge=0.0, le=1.0, description="How strongly the policy is held back from settling on one choice."
    )


class Reinforce(Strategy):
    """Draws architectures from a policy, decision by decision, and makes the decisions of good ones more likely.

    REINFORCE (Williams 1992) with a moving-average baseline, as in Zoph & Le, "Neural Architecture Search with
    Reinforcement Learning", ICLR 2017, arXiv:1611.01578. The policy is autoregressive: a softmax for each decision,
    given the decision before it. Such a table takes the place of the paper's LSTM, as in Ying et al. (NAS-Bench-101,
    arXiv:1902.09635), because it learns within hundreds of trials. A reward is a result's share of worse ones among the
    latest, equals counting half, so that the objective's scale does not matter; failures are worse than all. Results
    are learnt from in order of ending; earlier ones are not, as the gradient is one of draws from this very policy.
    """

    def __init__(self, space: Space, seed: int, settings: ReinforceSettings) -> None:
        super().__init__(space, seed)
        self.settings = settings
        self._forget()

    def _forget(self) -> None:
        self._learnt: Sequence[Observation] = []
        self._logits: Logits = defaultdict(list)
        self._baseline: float | None = None

    def next(self, history: History, rng: Random) -> Architecture | None:
        """A draw from the policy that was not proposed before, or None where there is nothing left."""
        space = self.space
        self._learn(space, history)
        return first_unseen(space, history, rng, (self._draw(space, rng) for _ in range(DRAWS)), MUTATIONS)

    def _learn(self, space: Space, history: History) -> None:
        if self._learnt != history.ended[: len(self._learnt)]:
            self._forget()
        for count in history.learnt_at(len(self._learnt), len(history.ended)):
            observations = history.first(count)
            for number in range(len(self._learnt) + 1, count + 1):
                reward = self._reward(observations[max(0, number - REMEMBERED) : number], number)
                baseline = reward if self._baseline is None else self._baseline
                decay = self.settings.baseline_decay
                self._baseline = decay * baseline + (1 - decay) * reward
                self._step(space, observations[number - 1].architecture, reward - baseline)
            self._learnt = history.ended[:count]

    def _reward(self, recent: Sequence[Observation], number: int) -> float:
        """Share of the latest results that the last one, of that number, is better than, equals counting half."""
        scored = [one for one in recent if one.score is not None]
        failed = len(recent) - len(scored)
        if recent[-1].score is None:
            return failed / 2 / len(recent)
        # weights by number, so that a replay draws the same
        scores = scalarized(scored, Random(f"{self.seed}/{number}"))
        worse, equal = sum(score < scores[-1] for score in scores), scores.count(scores[-1])
        return (failed + worse + equal / 2) / len(recent)

    def _step(self, space: Space, architecture: Architecture, advantage: float) -> None:
        """One step along the gradient of the log-probability, and of the entropy."""
        before = ""
        for decision in space.active(architecture):
            logits = self._preferences(decision, before)
            chances = _softmax(logits)
            taken = _part(decision, architecture[decision.name])
            for choice, chance in enumerate(chances):
                towards = float(choice == taken) - chance
                evenness = self.settings.entropy * (1.0 / len(chances) - chance)
                logits[choice] += self.settings.learning_rate * (advantage * towards + evenness)
            before = f"{decision.name}={taken}"

    def _draw(self, space: Space, rng: Random) -> Architecture:
        decided: dict[str, Value] = {}
        before = ""
        while (decision := space.next_decision(decided)) is not None:
            chances = _softmax(self._preferences(decision, before))
            part = rng.choices(range(len(chances)), chances)[0]
            decided[decision.name] = _value(decision, part, rng)
            before = f"{decision.name}={_part(decision, decided[decision.name])}"
        return Architecture(decided)

    def _preferences(self, decision: Decision, before: str) -> list[float]:
        logits = self._logits[decision.name, before]
        if not logits:
            logits += [0.0] * _parts(decision)
        return logits


def _parts(decision: Decision) -> int:
    size = decision.domain.size()
    if isinstance(decision.domain, Number) and (size is None or size > PARTS):
        return PARTS
    return size or 1


def _part(decision: Decision, value: Value) -> int:
    """Which choice of the policy a value belongs to."""
    parts = _parts(decision)
    if isinstance(decision.domain, Number):
        return min(int(decision.domain.encode(value)[0] * parts), parts - 1)
    return next(index for index in range(parts) if decision.domain.at(index) == value)


def _value(decision: Decision, part: int, rng: Random) -> Value:
    if isinstance(decision.domain, Number):
        return decision.domain.at_share((part + rng.random()) / _parts(decision))
    return decision.domain.at(part)


def _softmax(logits: list[float]) -> list[float]:
    highest = max(logits)
    weights = [exp(logit - highest) for logit in logits]
    total = sum(weights)
    return [weight / total for weight in weights]
