"""A stage of a search: where its candidates come from, how they are judged, which of them go on."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated, ClassVar, Final

from pydantic import Field

from kubenas.api.base import Model, Name, Ruled
from kubenas.api.evaluation import MAX_CANDIDATES, Evaluation
from kubenas.api.fidelity import Fidelity
from kubenas.api.rule import ItemRule, Rule
from kubenas.api.search import Search

MAX_STAGES: Final = 8
MAX_KEPT: Final = 10_000
Kept = Annotated[int, Field(ge=1, le=MAX_KEPT)]


class Keep(Ruled):
    """Which candidates go on to the next stage."""

    rules: ClassVar[Sequence[Rule[Keep]]] = [
        Rule(
            cel="has(self.top) != self.front",
            subject="keep",
            message="needs exactly one of top and front",
            holds=lambda keep: (keep.top is not None) != keep.front,
        ),
        Rule(
            cel="self.front == has(self.max)",
            subject="keep:",
            message="front and max go together: with several objectives a front may have any number of members",
            holds=lambda keep: keep.front == (keep.max is not None),
        ),
    ]

    top: Kept | None = Field(default=None, description="So many of the best by the primary objective.")
    front: bool = Field(default=False, description="The Pareto front of all objectives.")
    max: Kept | None = Field(
        default=None, description="With front: at most so many of its members, spread evenly along it."
    )

    @property
    def most(self) -> int:
        """How many can go on."""
        return self.top or self.max or 1


class StageTrials(Model):
    """What a stage overrides of `trials`."""

    max: int | None = Field(
        default=None, ge=1, le=100_000, description="Trials in this stage, where it searches; trials.max if absent."
    )
    candidates_per_trial: int | None = Field(
        default=None,
        ge=1,
        le=MAX_CANDIDATES,
        description="Architectures that one pod evaluates, one after another; as in the experiment if absent.",
    )


class Stage(Model):
    """One stage of a search; what it does not say is as in the experiment."""

    name: Name = Field(description="Name of the stage.")
    search: Search | None = Field(
        default=None,
        description="What proposes the stage's candidates, knowing the results of the stage before. If absent, the "
        "first stage uses the experiment's search, and a later one takes what the stage before has kept.",
    )
    evaluation: Evaluation | None = Field(
        default=None, description="How the stage's candidates are judged; the experiment's evaluation if absent."
    )
    fidelity: Fidelity | None = Field(
        default=None, description="How far the stage's candidates are trained; the experiment's fidelity if absent."
    )
    trials: StageTrials = Field(default_factory=StageTrials, description="What the stage overrides of trials.")
    keep: Keep | None = Field(
        default=None,
        description="Which candidates go on to the next stage. Before a stage with a search of its own it may be "
        "absent: that search then knows all results.",
    )


STAGE_RULES: Final[Sequence[ItemRule[Stage]]] = [
    ItemRule(
        items="stages",
        cel="self.size() == 0 || !has(self[self.size() - 1].keep)",
        subject="keep",
        message="has no meaning in the last stage: remove it",
        field="keep",
        holds=lambda stages, index: index + 1 < len(stages) or stages[index].keep is None,
    ),
    ItemRule(
        items="stages",
        cel=f"{[*range(MAX_STAGES - 1)]}.all(i, i + 1 >= self.size() || has(self[i].keep) || has(self[i + 1].search))",
        subject="keep",
        message="is required, as the next stage has no search of its own",
        field="keep",
        holds=lambda stages, index: (
            index + 1 == len(stages) or stages[index].keep is not None or stages[index + 1].search is not None
        ),
    ),
    ItemRule(
        items="stages",
        cel=f"{[*range(1, MAX_STAGES)]}.all(i, i >= self.size() || has(self[i].search) || !has(self[i].trials) || "
        "!has(self[i].trials.max))",
        subject="trials.max",
        message="has no meaning in a stage that takes what was kept before: remove it, or give the stage a search",
        field="trials.max",
        holds=lambda stages, index: index == 0 or stages[index].search is not None or stages[index].trials.max is None,
    ),
]
