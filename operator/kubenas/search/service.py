"""Strategies that ask somebody else: how requests are made beforehand, and what becomes of wrong answers."""

from __future__ import annotations

import math
from abc import abstractmethod
from collections.abc import Awaitable, Callable, Sequence
from random import Random
from typing import Any, Final

from kubenas.search.base import History, Observation, Strategy
from kubenas.search.preparation import Preparation
from kubenas.search.regularized_evolution import RegularizedEvolution, RegularizedEvolutionSettings
from kubenas.search.service_request import Answer
from kubenas.search.unseen import mutate_to_unseen
from kubenas.space.base import Architecture, InvalidArchitectureError, Space, Value
from kubenas.space.cel_constraint import CelConstraint
from kubenas.space.cost_limit import CostLimit
from kubenas.space.domains import Choice, Domain, Number, Ordinal

# Mutations of an architecture that was proposed before; each starts from the one before.
MUTATIONS: Final = 32


class ServiceStrategy(Strategy):
    """Asks a service for as many candidates as are due at once.

    `preparation` is the request, which is made before proposals are. Each document of the answer is for one
    proposal, in order. What is outside the space keeps the decisions that are right and has the others drawn; what was
    proposed before is mutated; for what is missing regularized evolution proposes. `fault` tells of all but repeats,
    until the next good answer.

    Proposals are as repeatable as the service's answers.

    Args:
        space: to search in.
        seed: of the draws for what is missing.
    """

    def __init__(self, space: Space, seed: int) -> None:
        super().__init__(space, seed)
        self._fallback = RegularizedEvolution(space, seed, RegularizedEvolutionSettings())
        # Documents by the index of the proposal that they are for; None where none has come.
        self._documents: dict[int, Any] = {}

    @abstractmethod
    def request(self, history: History, count: int) -> tuple[Callable[..., Awaitable[Answer]], tuple[Any, ...]]:
        """A coroutine function of a module that asks for `count` candidates and raises nothing, and its arguments."""

    def preparation(self, history: History, count: int) -> Preparation | None:
        """The request for `count` candidates, unless they are here; results that came in meanwhile do not matter."""
        if not self.waits(history, count):
            return None
        run, arguments = self.request(history, count)
        return Preparation(run, (*arguments, history.proposed, count))

    def waits(self, history: History, count: int) -> bool:
        """Whether no answer has come for some of them."""
        wanted = range(history.proposed, history.proposed + count)
        return not all(index in self._documents for index in wanted) and not self._nothing_left(history)

    def accept(self, preparation: Preparation, result: Any) -> None:
        """Take in an answer."""
        *_, first, count = preparation.arguments
        documents = list(result.documents[:count])
        self.fault = result.fault or self._fault_of(documents, count)
        documents += [None] * (count - len(documents))
        self._documents = dict(enumerate(documents, first))

    def next(self, history: History, rng: Random) -> Architecture | None:
        """What the service has proposed, made right where need be."""
        document = self._documents.pop(history.proposed, None)
        architecture = None if document is None else repaired(self.space, document, rng)
        if architecture is not None and history.seen(architecture):
            architecture = mutate_to_unseen(self.space, history, architecture, rng, MUTATIONS)
        return self._fallback.next(history, rng) if architecture is None else architecture

    def _nothing_left(self, history: History) -> bool:
        size = self.space.size()
        return size is not None and history.distinct >= size

    def _fault_of(self, documents: Sequence[Any], count: int) -> str | None:
        for index, document in enumerate(documents):
            try:
                self.space.parse(document)
            except InvalidArchitectureError as error:
                return f"proposal {index + 1} of {count} is outside the space: {error}"
        return f"{len(documents)} of {count} architectures were proposed" if len(documents) < count else None


def repaired(space: Space, document: Any, rng: Random) -> Architecture | None:
    """The architecture in `document`; where it is none, one with the decisions that are right, or None."""
    try:
        return space.parse(document)
    except InvalidArchitectureError:
        if not isinstance(document, dict):
            return None
    right: dict[str, Value] = {}
    for decision in space.decisions.values():
        try:
            right[decision.name] = decision.domain.parse(document[decision.name])
        except (KeyError, ValueError):
            continue
    architecture = space.complete(right, rng)
    return architecture if right and space.allows(architecture) else None


def space_document(space: Space) -> dict[str, Any]:
    """The decisions of `space`, their values and conditions, its constraints in CEL and its costs, as JSON."""
    decisions = []
    for decision in space.decisions.values():
        document = {"name": decision.name, **_domain_document(decision.domain)}
        if decision.when is not None:
            values = space.decisions[decision.when.decision].domain
            having = sorted(decision.when.values, key=lambda value: values.encode(value)[::-1])
            document["when"] = {"decision": decision.when.decision, "values": having}
        decisions.append(document)
    constraints = [str(one) for one in space.constraints if isinstance(one, CelConstraint | CostLimit)]
    document = {"decisions": decisions, "constraints": constraints}
    return {**document, "costs": [table.spec.dump() for table in space.tables]} if space.tables else document


def _domain_document(domain: Domain) -> dict[str, Any]:
    if isinstance(domain, Choice):
        return {"type": "ordinal" if isinstance(domain, Ordinal) else "choice", "values": list(domain.values)}
    if isinstance(domain, Number):
        kind, low, high = type(domain).__name__.lower(), domain.parse(domain.low), domain.parse(domain.high)
        return {"type": kind, "min": low, "max": high, "scale": domain.scale}
    raise TypeError(f"{type(domain).__name__} has no document")


def observation_document(observation: Observation) -> dict[str, Any]:
    """A result as JSON: `values` greater is better, primary first; `violation` is 0 within all limits."""
    document: dict[str, Any] = {"architecture": observation.architecture.to_json(), "failed": observation.score is None}
    if observation.score is not None:
        if observation.epochs is not None:
            document["epochs"] = observation.epochs
        document["values"] = [value if math.isfinite(value) else None for value in observation.objectives]
        violation = abs(observation.score[0])
        document["violation"] = violation if math.isfinite(violation) else None
    return document
