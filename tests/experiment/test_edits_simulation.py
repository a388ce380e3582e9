"""Experiments that their user changes while they run, in all that may be changed, beside accidents of other kinds."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from kubenas.api.budget import Budget
from kubenas.api.experiment import ExperimentSpec, Trials
from kubenas.api.storage import Storage
from kubenas.api.template import TrialTemplate
from tests.experiment.builders import experiment
from tests.experiment.simulation import Chances, Controller, Edit, Nodes, learned, run
from tests.properties import examples

EPOCHS = 12
PRICES = {"spot": 0.5, "on-demand": 3.0}
FIDELITIES: list[dict[str, Any]] = [
    {},
    {"scheduler": "asha", "eta": 2},
    {"scheduler": "asha", "mode": "promotion", "eta": 2},
    {"scheduler": "pasha", "eta": 2},
    {"scheduler": "hyperband"},
]
# When the last edit comes, which lets the search go on to its end.
LAST = 200.0
AUTOSCALED = st.builds(
    lambda least, more, waiting: {"min": least, "max": least + more, "maxPending": waiting},
    st.integers(1, 3),
    st.integers(0, 4),
    st.integers(1, 3),
)
TRIALS = st.fixed_dictionaries(
    {"parallelism": st.integers(0, 5), "scaleDown": st.sampled_from(["Finish", "Pause"])},
    optional={"autoscale": AUTOSCALED, "max": st.integers(1, 12), "retries": st.integers(0, 3)},
)
ALTERNATIVES = st.integers(1, 3).map(lambda after: [{"afterDisruptions": after, "priceClass": "on-demand"}])


def of_trials(changes: dict[str, Any]) -> Edit:
    return lambda spec: {"trials": Trials.model_validate({"maxFailures": 1000, "max": spec.trials.max, **changes})}


def to_field(field: str, value: Any) -> Edit:
    return lambda _: {field: value}


EDITS = st.lists(
    st.tuples(
        st.floats(0, LAST - 1),
        st.one_of(
            TRIALS.map(of_trials),
            st.booleans().map(lambda value: to_field("suspend", value)),
            st.sampled_from(["all", "front", "best"]).map(
                lambda keep: to_field("storage", Storage(volume_claim="kept", keep=keep))  # type: ignore[arg-type]
            ),
            st.floats(0.001, 0.1).map(lambda cost: to_field("budget", Budget(prices=PRICES, cost=cost))),
            ALTERNATIVES.map(
                lambda given: to_field(
                    "trial_template",
                    TrialTemplate.model_validate({"priceClass": "spot", "alternatives": given}),
                )
            ),
        ),
    ),
    max_size=6,
)
CHANCES = st.builds(
    Chances,
    crash=st.sampled_from([0.0, 0.02, 0.2]),
    delivery=st.sampled_from([0.3, 1.0]),
    failure=st.sampled_from([0.0, 0.2]),
    silence=st.sampled_from([0.0, 0.3]),
    disruption=st.sampled_from([0.0, 0.3, 0.8]),
    reading=st.sampled_from([0.5, 1.0]),
    sample=st.sampled_from([0.3, 1.0]),
)


def let_go_on(spec: ExperimentSpec) -> Mapping[str, Any]:
    trials = {"max": max(6, spec.trials.max), "parallelism": 3, "maxFailures": 1000}
    return {"suspend": False, "budget": Budget(prices=PRICES), "trials": Trials.model_validate(trials)}


@settings(examples(4), suppress_health_check=[HealthCheck.too_slow])
@given(st.sampled_from(FIDELITIES), TRIALS, EDITS, st.sampled_from([None, 1, 4]), CHANCES, st.integers(0, 2**32))
def test_what_must_hold_whatever_is_changed(
    fidelity: dict[str, Any],
    trials: dict[str, Any],
    edits: list[tuple[float, Edit]],
    nodes: int | None,
    chances: Chances,
    seed: int,
) -> None:
    """Beside what the world itself asserts: never more pods than may run or wait, no trial twice, none hangs."""
    of = experiment(
        fidelity=fidelity,
        evaluation={"epochs": EPOCHS},
        search={"algorithm": "regularized-evolution"},
        storage={"volumeClaim": "kept", "keep": "best"},
        budget={"prices": PRICES},
        trialTemplate={"priceClass": "spot", "alternatives": [{"afterDisruptions": 2, "priceClass": "on-demand"}]},
        trials={"max": 8, "maxFailures": 1000, **trials},
    )
    world = run(of, chances, seed, Nodes(nodes) if nodes else None, edits=[*edits, (LAST, let_go_on)])
    ended = [world.trials[number] for number in sorted(world.trials)]
    assert [one.number for one in ended] == list(range(len(ended)))
    assert len({one.status.order for one in ended}) == len(ended)
    assert sum(one.continues is None for one in ended) >= world.experiment.spec.trials.max
    whole = [
        learned(one.candidates[0], EPOCHS, EPOCHS)
        for one in ended
        if one.status.phase == "Succeeded" and one.candidates[0].epochs == EPOCHS
    ]
    best = world.experiment.status.best
    assert (best.value if best else None) == max(whole, default=None)
    assert sum(one.status.failures for one in ended) <= sum(one.status.attempt for one in ended)
    assert Controller(world).reconcile()[1] is False, "a restart after the end finds something to do"
