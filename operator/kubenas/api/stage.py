"""A stage of a search: where its candidates come from, how they are judged, which of them go on."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Annotated, Any, Final

from pydantic import ConfigDict, Field, model_validator

from kubenas.api.base import Model, Name, keyed, rule, rules
from kubenas.api.errors import SpecError, repeats
from kubenas.api.evaluation import Evaluation
from kubenas.api.search import Search

MAX_STAGES: Final = 8
MAX_KEPT: Final = 10_000
Kept = Annotated[int, Field(ge=1, le=MAX_KEPT)]

_ONE_OF: Final = "needs exactly one of top and front"
_FRONT_MAX: Final = "front and max go together: with several objectives a front may have any number of members"


class Keep(Model):
    """Which candidates go on to the next stage."""

    model_config = ConfigDict(
        json_schema_extra=rules(
            rule("has(self.top) != self.front", f"keep {_ONE_OF}"),
            rule("self.front == has(self.max)", f"keep: {_FRONT_MAX}"),
        )
    )

    top: Kept | None = Field(default=None, description="So many of the best by the primary objective.")
    front: bool = Field(default=False, description="The Pareto front of all objectives.")
    max: Kept | None = Field(
        default=None, description="With front: at most so many of its members, spread evenly along it."
    )

    @model_validator(mode="after")
    def _check(self) -> Keep:
        """The CEL rules once more, for files that no apiserver has seen."""
        if (self.top is not None) == self.front:
            raise SpecError("", _ONE_OF)
        if self.front != (self.max is not None):
            raise SpecError("", _FRONT_MAX)
        return self

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
        default=None, ge=1, le=16, description="Architectures that one pod evaluates, one after another."
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
    trials: StageTrials = Field(default_factory=StageTrials, description="What the stage overrides of trials.")
    keep: Keep | None = Field(
        default=None,
        description="Which candidates go on to the next stage. Before a stage with a search of its own it may be "
        "absent: that search then knows all results.",
    )


_LAST: Final = "has no meaning in the last stage: remove it"
_REQUIRED: Final = "is required, as the next stage has no search of its own"
_TAKES: Final = "has no meaning in a stage that takes what was kept before: remove it, or give the stage a search"

STAGE_RULES: Final[list[dict[str, str]]] = [
    rule("self.size() == 0 || !has(self[self.size() - 1].keep)", f"keep {_LAST}"),
    rule(
        f"{[*range(MAX_STAGES - 1)]}.all(i, i + 1 >= self.size() || has(self[i].keep) || has(self[i + 1].search))",
        f"keep {_REQUIRED}",
    ),
    rule(
        f"{[*range(1, MAX_STAGES)]}.all(i, i >= self.size() || has(self[i].search) || !has(self[i].trials) || "
        "!has(self[i].trials.max))",
        f"trials.max {_TAKES}",
    ),
]


def stage_schema(*further: dict[str, str]) -> dict[str, Any]:
    """Schema extensions of a list of stages."""
    return rules(*further, *STAGE_RULES, **keyed("name"))


def stage_problems(stages: Sequence[Stage]) -> Iterator[SpecError]:
    """What the apiserver checks by `STAGE_RULES` and list keys, for files that no apiserver has seen."""
    yield from repeats("stages", [stage.name for stage in stages], "name")
    for index, stage in enumerate(stages):
        path = f"stages[{index}]"
        if index + 1 == len(stages):
            if stage.keep is not None:
                yield SpecError(f"{path}.keep", _LAST)
        elif stage.keep is None and stages[index + 1].search is None:
            yield SpecError(f"{path}.keep", _REQUIRED)
        if index > 0 and stage.search is None and stage.trials.max is not None:
            yield SpecError(f"{path}.trials.max", _TAKES)
