"""What the trials of one stage come to: its candidates, the best of them, its front, its strategy's history."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from typing import Final

from kubenas.api.objective import Objective
from kubenas.experiment.combination import Combination
from kubenas.experiment.ended import Ended
from kubenas.experiment.front import Front
from kubenas.experiment.judged import Judged, ranked
from kubenas.experiment.kept_history import KeptHistory
from kubenas.experiment.replicates import Replicates
from kubenas.experiment.shown import ShownCurves
from kubenas.experiment.state import FINISHED
from kubenas.experiment.trainings import Trainings
from kubenas.search.base import History, Observation, Strategy
from kubenas.space.base import Architecture

# The best trials of a stage that are kept by rank, however many there are.
MOST_TOP: Final = 10


class StageRecord:
    """The trials of one stage.

    Args:
        objectives: by which its candidates are judged.
        seeds: trials of the same candidates.
        combination: what makes a score of its candidates' metrics that depends on all of them; None where each is
            judged by its own. What follows from such scores is worked out when it is asked for.

    Attributes:
        unscored: whether no candidate has a score yet.
        succeeded: number of the first trial that has succeeded; None where none has.
        pruned: number of the last trial that was cut short; None where none was.
        phases: number of ended trials by phase.
        highest: number of its last trial; -1 where there is none.
        trainings: what those of ended trials have come to at rungs.
        shown: what those of running trials have.
    """

    def __init__(self, objectives: Sequence[Objective], seeds: int, combination: Combination | None = None) -> None:
        self._objectives, self._seeds, self._combination = objectives, seeds, combination
        # By the number of their first trial; and those that are not complete.
        self._replicates: dict[int, Replicates] = {}
        self._incomplete: dict[int, Replicates] = {}
        self._best: Judged | None = None
        self._front = Front(objectives)
        # Whether something has ended since the best, the front and the top were worked out by relative scores.
        self._stale = False
        self.unscored = True
        self.succeeded: int | None = None
        self.pruned: int | None = None
        self.phases = dict.fromkeys(sorted(FINISHED), 0)
        self.highest = -1
        self.trainings = Trainings()
        self.shown = ShownCurves()
        # The best candidate of each of the best trials.
        self._top: list[Judged] = []
        self._created = 0
        # With relative scores, all candidates in order of ending.
        self._compared: Sequence[Judged] | None = None
        self._ranked: list[Judged] | None = None
        self._history = KeptHistory()

    @property
    def created(self) -> int:
        """Number of its trials."""
        return self._created

    @property
    def best(self) -> Judged | None:
        """The best within every limit; of equal ones the earliest proposed."""
        self._freshen()
        return self._best

    @property
    def front(self) -> Front:
        """The Pareto front within every limit."""
        self._freshen()
        return self._front

    @property
    def missing(self) -> int:
        """Trials that are still to be made so that all candidates have all seeds."""
        return sum(self._seeds - len(one.trials) for one in self._incomplete.values())

    def first_missing(self) -> int | None:
        """The smallest number of a trial that is still to be made so that all have all seeds; None where none is."""
        seeds = range(self._seeds)
        each = (one.number + seed for one in self._incomplete.values() for seed in seeds if seed not in one.trials)
        return min(each, default=None)

    def of(self, number: int) -> Replicates | None:
        """The trials that the trial of that number belongs to, once one of them is there."""
        for first in range(number, number - self._seeds, -1):
            if first in self._replicates:
                return self._replicates[first]
        return None

    def begin(self, number: int, seed: int, results_seen: int, architectures: list[Architecture]) -> None:
        """Take in a trial, before or after its end."""
        first = number - seed
        self.highest = max(self.highest, number)
        self._history.begin(first, architectures)
        if first not in self._replicates:
            self._replicates[first] = self._incomplete[first] = Replicates(first, results_seen, architectures)
        known = self._replicates[first]
        if seed not in known.trials:
            self._created += 1
            known.trials[seed] = None

    def end(self, ended: Ended, *, latest: bool) -> None:
        """Take in the end of a trial.

        Args:
            latest: whether none has ended after it.
        """
        first = ended.number - ended.seed
        known = self._replicates[first]
        known.trials[ended.seed] = ended
        self.phases[ended.phase] += 1
        self.trainings.end(ended.rung_curves, ended.order, ended.number)
        if ended.phase == "Succeeded":
            self.succeeded = ended.number if self.succeeded is None else min(ended.number, self.succeeded)
        if ended.phase == "Pruned":
            self.pruned = max(ended.number, self.pruned or 0)
        if not latest:
            self._history.forget()
        if not known.complete(self._seeds):
            return
        self._incomplete.pop(first, None)
        self._ranked = self._compared = None
        candidates = known.candidates(self._objectives)
        self.unscored = self.unscored and all(one.score is None for one in candidates)
        if self._combination is None:
            self._rank(candidates)
        else:
            self._stale = True
        architectures = [one.architecture for one in candidates]
        if architectures != known.architectures:
            # An evaluation has brought them, or they cannot be read.
            known.architectures = architectures
            self._history.forget()
        self._history.observe(one.observation for one in candidates)

    def _rank(self, candidates: Sequence[Judged]) -> None:
        """Take in the candidates of one trial."""
        self._top = ranked([*self._top, *ranked(candidates)[:1]])[:MOST_TOP]
        for one in candidates:
            if one.feasible:
                if self._best is None or one.rank > self._best.rank:
                    self._best = one
                self._front = self._front.joined_by(one)

    def _freshen(self) -> None:
        """Work out anew what follows from relative scores."""
        if not self._stale:
            return
        self._stale, self._best, self._front, self._top = False, None, Front(self._objectives), []
        for candidates in self._by_trial(self._completed()):
            self._rank(candidates)

    def candidates(self) -> Iterable[Judged]:
        """Those with results of all their seeds, in order of ending."""
        if self._combination is None:
            return (one for each in self._by_trial(self._completed()) for one in each)
        if self._compared is None:
            self._compared = [one for each in self._by_trial(self._completed()) for one in each]
        return self._compared

    def ranked(self) -> list[Judged]:
        """Candidates that have a score, the best first."""
        if self._ranked is None:
            self._ranked = ranked(self.candidates())
        return self._ranked

    def ranked_at_end(self) -> list[Judged]:
        """As `ranked` once nothing runs any more: with those that have not been trained with all seeds."""
        if not self._incomplete:
            return self.ranked()
        return ranked(one for each in self._by_trial(self._at_end()) for one in each)

    def top(self, *, ended: bool) -> list[Judged]:
        """The best candidate of each of the best trials, at most `MOST_TOP`, the best first.

        Args:
            ended: whether nothing runs any more, so that those count that have not been trained with all seeds.
        """
        if not ended or not self._incomplete:
            self._freshen()
            return self._top
        return ranked(one for each in self._by_trial(self._at_end()) for one in ranked(each)[:1])[:MOST_TOP]

    def architectures(self) -> set[Architecture]:
        """What its trials evaluate or have evaluated."""
        return {architecture for known in self._replicates.values() for architecture in known.architectures}

    def completed_architectures(self) -> set[Architecture]:
        """What its trials have evaluated with all seeds."""
        return {architecture for known in self._completed() for architecture in known.architectures}

    def history(self, make: Callable[[], History], number: int, results_seen: int) -> History:
        """What its strategy may know: candidates in order of ending, then those that still run.

        Args:
            make: an empty history with what was known before the stage.
            number: of the next trial.
            results_seen: all endings.
        """
        return self._history.get(lambda: self.history_at(make(), number, results_seen), self._replicates)

    def forget_history(self) -> None:
        """Make the history anew when it is next asked for."""
        self._history.forget()

    def history_at(self, history: History, number: int, results_seen: int) -> History:
        """The history that trial `number` was proposed with: so many endings, and smaller numbers as pending."""
        known: set[int] = set()
        for one in self._completed():
            if one.order <= results_seen:
                known.add(one.number)
                candidates = one.candidates(self._objectives)
                history.propose(candidate.architecture for candidate in candidates)
                for candidate in candidates:
                    history.observe(candidate.observation)
        for first in sorted(self._replicates.keys() - known):
            if first < number:
                history.propose(self._replicates[first].architectures)
        return history

    def propose(self, strategy: Strategy, number: int, count: int) -> list[Architecture]:
        """The candidates of trial `number`, as the strategy wants them by the history that was asked for last."""
        return self._history.propose(strategy, number, count)

    def promote(self, number: int, trial: int) -> list[Architecture]:
        """Note that trial `number` is to train the candidates of another one further; which these are."""
        architectures = list(self._replicates[trial].architectures)
        self._history.promote(number, architectures)
        return architectures

    def observations(self, objectives: Sequence[Objective]) -> list[Observation]:
        """Candidates with a score as a later strategy sees them, each architecture once, in order of ending."""
        scored = (one for one in self.candidates() if one.score is not None)
        return list({one.architecture: one.judged_before(objectives) for one in scored}.values())

    def _by_trial(self, trials: Iterable[Replicates]) -> Iterable[Sequence[Judged]]:
        """The candidates of each of the trials; relative scores are among all of these."""
        each = (one.candidates(self._objectives) for one in trials)
        if self._combination is None:
            return each
        groups = [*each]
        compared = iter(self._combination.candidates([one for group in groups for one in group]))
        return ([*islice(compared, len(group))] for group in groups)

    def _at_end(self) -> list[Replicates]:
        return [*self._completed(), *self._incomplete.values()]

    def _completed(self) -> list[Replicates]:
        complete = (one for first, one in self._replicates.items() if first not in self._incomplete)
        return sorted(complete, key=lambda one: one.order)
