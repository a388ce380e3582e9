"""What one search knows of another."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from kubenas.api.errors import SpecError
from kubenas.api.experiment import NASExperiment
from kubenas.api.status import ExperimentStatus, Imported, imported_bytes
from kubenas.api.trial import Candidate, TrialStatus
from kubenas.experiment.ledger import Ledger
from kubenas.experiment.plan import Observed, plan
from kubenas.experiment.state import Trial
from kubenas.experiment.warm_start import MOST_LEFT_OUT, MOST_RESULTS, imported, observations
from kubenas.space.load import build_space
from tests.experiment.builders import NOW, experiment, observed, stages_of, succeeded

SPACE = {"parameters": [{"name": "x", "type": "int", "min": 0, "max": 999}]}
PREDICTOR = {"algorithm": "predictor", "settings": {"initial": 4}}


def before(**spec: Any) -> NASExperiment:
    return experiment(**{"searchSpace": SPACE, **spec})


def begun(**spec: Any) -> NASExperiment:
    return before(warmStart=[{"experiment": "before"}], **spec)


def of(number: int, x: int, accuracy: float, stage: str | None = None) -> Trial:
    one = succeeded(number, number + 1, accuracy)
    candidate = one.candidates[0].model_copy(update={"architecture": {"x": x}})
    return replace(one, stage=stage, candidates=(candidate,))


def bring(source: NASExperiment | None, *trials: Trial, to: NASExperiment | None = None) -> Imported:
    of = to or begun()
    return imported(of, build_space(of.spec.search_space), "before", source, trials)


def test_what_is_left_out_is_recorded_and_said_once() -> None:
    strange = replace(of(0, 5, 0.9), candidates=(Candidate(id="0", architecture={"y": 1}, epochs=3),))
    to = begun()
    space = build_space(to.spec.search_space)
    unreadable = [f"NASTrial before-{n} cannot be read: {'x' * 2000}" for n in range(1, 20)]
    found = imported(to, space, "before", before(), [strange, of(20, 6, 0.7)], unreadable)
    assert brought(found) == [(6, 0.7)]
    assert len(found.left_out) == MOST_LEFT_OUT + 1
    assert all(len(text) <= 300 for text in found.left_out)
    assert found.left_out[0].startswith("NASTrial before-1 cannot be read")
    assert found.left_out[-1] == f"{20 - MOST_LEFT_OUT} more"
    made = plan(replace(observed(to), imported=[found]), NOW)
    assert made.status is not None
    assert made.status.warm_start == [found]
    (said,) = [one for one in made.announce if one.reason == "TrialsLeftOut"]
    assert said.message.startswith("spec.warmStart: left out of before: NASTrial before-1 cannot be read: xxx")
    again = plan(observed(to.model_copy(update={"status": made.status})), NOW)
    assert "TrialsLeftOut" not in [one.reason for one in again.announce]


def test_where_nothing_is_left_it_says_what_was_left_out() -> None:
    to = begun()
    with pytest.raises(SpecError, match=r"no finished trial with accuracy yet; 1 cannot be read: NASTrial before-1 is"):
        imported(to, build_space(to.spec.search_space), "before", before(), (), ["NASTrial before-1 is broken"])


def brought(found: Imported) -> list[tuple[Any, float]]:
    return [(one.architecture["x"], one.metrics[0].value) for one in found.results]


def test_results_are_brought_with_their_trials() -> None:
    found = bring(before(), of(0, 5, 0.5), of(1, 6, 0.7), of(2, 5, 0.6))
    assert brought(found) == [(6, 0.7), (5, 0.6)]
    assert [one.trial for one in found.results] == ["before-1", "before-2"]


def test_those_of_the_stage_with_the_most() -> None:
    source = before(stages=[{"name": "wide", "keep": {"top": 1}}, {"name": "last"}])
    found = bring(source, of(0, 5, 0.5, "wide"), of(1, 6, 0.7, "wide"), of(2, 6, 0.9, "last"))
    assert brought(found) == [(6, 0.7), (5, 0.5)]


def test_many_are_brought_evenly_from_the_best_to_the_worst() -> None:
    found = bring(before(), *(of(n, n, n / 1000) for n in range(900)))
    values = [value for _, value in brought(found)]
    assert len(values) == MOST_RESULTS
    assert (values[0], values[-1]) == (0.899, 0.0)
    assert values == sorted(values, reverse=True)


def test_a_status_stays_small_whatever_is_brought() -> None:
    values = [f"{digit}" * 250 for digit in "01"]
    space = {"parameters": [{"name": f"p{n}", "type": "choice", "values": values} for n in range(20)]}
    source, to = experiment(searchSpace=space), experiment(searchSpace=space, warmStart=[{"experiment": "before"}])
    trials = []
    for number in range(300):
        architecture = {f"p{n}": values[number >> n & 1] for n in range(20)}
        one = succeeded(number, number + 1, number / 300)
        candidate = one.candidates[0].model_copy(update={"architecture": architecture})
        trials.append(replace(one, candidates=(candidate,)))
    found = bring(source, *trials, to=to)
    assert 1 < len(found.results) < 300
    assert imported_bytes(found.results) <= 64 * 1024


@pytest.mark.parametrize(
    ("source", "trials", "problem"),
    [
        (None, [], "there is no experiment before"),
        (experiment(), [], "has another searchSpace"),
        (before(objectives=[{"metric": "accuracy", "goal": "minimize"}]), [], "another goal for accuracy"),
        (before(), [], "no finished trial with accuracy yet"),
    ],
)
def test_what_cannot_be_brought_is_told(source: NASExperiment | None, trials: list[Trial], problem: str) -> None:
    with pytest.raises(SpecError, match=f"^experiment: .*{problem}"):
        bring(source, *trials)


def test_an_experiment_does_not_begin_with_itself() -> None:
    of = before(warmStart=[{"experiment": "nas"}])
    with pytest.raises(SpecError, match=r"^experiment: nas is this experiment itself"):
        imported(of, build_space(of.spec.search_space), "nas", of, ())


def with_status(of: NASExperiment, status: ExperimentStatus) -> NASExperiment:
    return of.model_copy(update={"status": status})


def seen(of: NASExperiment) -> Observed:
    """As a backend that has just started sees it."""
    found = observed(of)
    space = build_space(of.spec.search_space)
    found.ledger.learn(observations(of.spec.objectives, space, of.status.warm_start))
    return found


def test_nothing_is_proposed_until_it_is_recorded_and_then_always_the_same() -> None:
    start = begun(search=PREDICTOR, trials={"max": 9, "parallelism": 3})
    assert plan(observed(start), NOW).create == ()
    known = bring(before(), *(of(n, 10 * n, -abs(10 * n - 500) / 1000) for n in range(60)))
    first = plan(replace(observed(start), imported=[known]), NOW)
    assert first.create == ()
    assert first.status is not None
    assert first.status.warm_start == [known]
    recorded = with_status(start, first.status)
    made = [plan(seen(recorded), NOW) for _ in range(2)]
    assert made[0].create == made[1].create
    assert [one.spec.candidates[0].architecture for one in made[0].create]
    assert made[0].status is None or made[0].status.warm_start == [known]
    history = seen(recorded).ledger.history(seen(recorded).stages[0])
    assert len(history.earlier) == 60
    without = plan(observed(before(search=PREDICTOR, trials={"max": 9, "parallelism": 3})), NOW)
    assert [n.spec.candidates for n in made[0].create] != [n.spec.candidates for n in without.create]


def test_stages_know_earlier_results_by_objectives_of_their_own() -> None:
    """What an earlier stage does not measure is stood for by what that stage is judged by."""
    objectives = [{"metric": "accuracy"}, {"metric": "params", "goal": "minimize"}]
    stages = [
        {"name": "score", "evaluation": {"method": "zero-cost", "proxies": ["nwot"]}},
        {"name": "train", "search": {"algorithm": "random"}, "trials": {"max": 3}},
    ]
    to = begun(objectives=objectives, stages=stages)
    space = build_space(to.spec.search_space)
    known = [{"name": "accuracy", "value": 0.5}, {"name": "params", "value": 7.0}]
    result = {"trial": "before-0", "candidate": "0", "architecture": {"x": 3}, "metrics": known}
    ledger = Ledger(space, stages_of(to))
    source = Imported.model_validate({"experiment": "before", "results": [result]})
    ledger.learn(observations(to.spec.objectives, space, [source]))
    score, train = stages_of(to)
    (first,) = ledger.history(score).earlier
    assert (first.score, first.values) == ((0.0, 0.5), (0.5,))

    metrics = [{"name": "nwot", "value": 2.0}, {"name": "params", "value": 9.0}]
    judged = {"candidate": "0", "step": 0, "source": "TerminationMessage", "metrics": metrics}
    status = TrialStatus.model_validate({"phase": "Succeeded", "order": 1, "results": [judged]})
    scored = replace(of(0, 4, 0.0, "score"), status=status)
    ledger.put(scored)
    (second,) = ledger.history(train).earlier
    # Alone it has the best rank, the logarithm of 1.
    assert (second.score, second.values) == ((0.0, 0.0), (0.0, -9.0))
    assert second.metrics["nwot"] == 2.0


def test_scores_without_training_are_brought_to_a_search_for_them() -> None:
    spec: dict[str, Any] = {
        "objectives": [{"metric": "score"}],
        "evaluation": {"method": "zero-cost", "proxies": ["nwot"]},
    }
    trials = []
    for number, nwot in enumerate((1.0, 3.0, 2.0)):
        judged = {"candidate": "0", "step": 0, "source": "Pod", "metrics": [{"name": "nwot", "value": nwot}]}
        status = TrialStatus.model_validate({"phase": "Succeeded", "order": number + 1, "results": [judged]})
        trials.append(replace(of(number, number, 0.0), status=status))
    found = bring(before(**spec), *trials, to=begun(**spec))
    assert [result.architecture["x"] for result in found.results] == [1, 2, 0]
