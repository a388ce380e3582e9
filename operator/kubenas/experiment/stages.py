"""One stage of a search, with all that it needs."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeAlias

from kubenas.api.metric_names import SCORE

if TYPE_CHECKING:
    from kubenas.api.evaluation import Evaluation
    from kubenas.api.objective import Objective
    from kubenas.api.search import Search
    from kubenas.api.stage import Keep
    from kubenas.experiment.combination import Combination
    from kubenas.experiment.state import Trial
    from kubenas.fidelity.base import Scheduler
    from kubenas.search.base import Strategy

# Where a stage's candidates come from: its strategy, what the stage before has kept, or its evaluation, which is given
# none and finds or makes something.
Source: TypeAlias = Literal["strategy", "kept", "evaluation"]


@dataclass(frozen=True, slots=True)
class ResolvedStage:
    """One stage; an experiment without stages is one without a name, with those before it that it needs.

    Attributes:
        index: from 0.
        name: None where the experiment has no stages.
        path: of the specification's stage that it is, or that it is made for: `stages[0].`, or empty.
        source: where its candidates come from.
        search: what proposes its candidates; None where no strategy does.
        search_field: where the specification says so.
        strategy: what `search` describes; None also as long as it, or the space, is wrong.
        evaluation: how its candidates are judged, with all fields of its method.
        evaluation_field: where the specification says so.
        objectives: by which its candidates are judged: what it measures of the experiment's, or in their place the
            score; none where it has no candidates.
        decides: whether these are all of the experiment's, so that its candidates can be the best.
        combination: what makes the score of training-free scores, where that is an objective; it then depends on the
            other candidates.
        horizon: epochs that the schedule of a training is laid out for.
        scheduler: which of its trainings are stopped early; None where none is.
        candidates_per_trial: how many candidates a trial evaluates.
        most_trials: how many trials it has at most.
        keep: what goes on to the next stage; None where everything does, or there is none.
        made: whether the specification does not have it, and it is there for the stage after it.
        before: index of the stage whose candidates it takes up or knows; None where there is none.
        pool: index of the stage that scores what its strategy chooses from; None where that is the space.
        supernet: index of the stage that trains the supernet which its trials need; None where they need none.
    """

    index: int
    name: str | None
    path: str
    source: Source
    search: Search | None
    search_field: str
    strategy: Strategy | None
    evaluation: Evaluation
    evaluation_field: str
    objectives: tuple[Objective, ...]
    decides: bool
    combination: Combination | None
    horizon: int
    scheduler: Scheduler | None
    candidates_per_trial: int
    most_trials: int
    keep: Keep | None = None
    made: bool = False
    before: int | None = None
    pool: int | None = None
    supernet: int | None = None

    @property
    def seeds(self) -> int:
        """How many trials evaluate the same candidates."""
        return self.evaluation.seeds

    @property
    def trains_supernet(self) -> bool:
        """Whether its one trial makes a supernet, and judges no candidate."""
        return self.source == "evaluation" and self.evaluation.method == "supernet"

    @property
    def epochs(self) -> int | None:
        """Epochs that each of its candidates is trained; None where it is only scored."""
        trains = self.source == "evaluation" or self.evaluation.method == "train"
        return self.evaluation.epochs if trains else None

    @property
    def rungs(self) -> tuple[int, ...]:
        """After how many epochs its trainings are judged, before their end."""
        return self.scheduler.rungs if self.scheduler else ()

    @property
    def reported(self) -> tuple[Objective, ...]:
        """The objectives that trials know, as no device measures them."""
        return tuple(o for o in self.objectives if o.measured_on is None)

    @property
    def required(self) -> tuple[str, ...]:
        """Metrics that each result must have."""
        # The score is made of what trials report.
        made = (SCORE,) if self.combination else ()
        return tuple(o.metric for o in self.reported if o.metric not in made)


def stage_named(stages: Sequence[ResolvedStage], name: str | None) -> ResolvedStage | None:
    """The stage of that name."""
    return next((stage for stage in stages if stage.name == name), None)


def stage_of(stages: Sequence[ResolvedStage], trial: Trial) -> ResolvedStage:
    """A trial's stage.

    Raises:
        ValueError: it names none of them.
    """
    stage = stage_named(stages, trial.stage)
    if stage is None:
        raise ValueError(f"trial {trial.name} is of stage {trial.stage}, which the experiment does not have")
    return stage


def kept_at_most(stage: ResolvedStage) -> int:
    """How many candidates of a stage can go on to the next one."""
    return stage.keep.most if stage.keep else stage.most_trials // stage.seeds * stage.candidates_per_trial
