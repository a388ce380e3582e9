"""The contract between the control plane and a trial."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from kubenas.api.trial import TrialStatus
from kubenas.experiment.contract import trial_document, trial_seed
from kubenas.experiment.resolution import resolve
from tests.experiment.builders import candidate, experiment, trial


def test_document_has_all_that_a_trainer_needs() -> None:
    of = replace(trial(7), status=TrialStatus(attempt=2))
    spec = experiment(search={"seed": 3}).spec
    document = json.loads(trial_document("nas", spec, resolve(spec)[0], of))
    assert document == {
        "experiment": "nas",
        "trial": "nas-7",
        "attempt": 2,
        "seed": trial_seed(3, 7),
        "task": {"name": "image-classification", "settings": {}},
        "evaluation": {"method": "train", "epochs": 3},
        "searchSpace": {"preset": "nasbench201"},
        "candidates": [
            {"id": "0", "architecture": candidate().architecture, "epochs": 3, "horizon": 3, "resumeFrom": None}
        ],
    }


def test_a_checkpoint_is_named_as_the_trial_sees_it() -> None:
    resumed = candidate().model_copy(update={"resume_from": "nas-1/0.safetensors"})
    of = replace(trial(), candidates=(resumed,))
    spec = experiment().spec
    for checkpoints, expected in (("/checkpoints", "/checkpoints/nas-1/0.safetensors"), (None, None)):
        document = json.loads(trial_document("nas", spec, resolve(spec)[0], of, checkpoints))
        assert document["candidates"][0]["resumeFrom"] == expected


def test_seeds_differ_and_fit_in_31_bits() -> None:
    seeds = [trial_seed(seed, number) for seed in (0, 1, 2**53 - 1) for number in range(1000)]
    assert len(set(seeds)) == len(seeds)
    assert all(0 <= seed < 2**31 for seed in seeds)


@pytest.mark.parametrize(("claim", "expected"), [({"volumeClaim": "checkpoints"}, 12), (None, 3)])
def test_schedules_reach_to_the_last_stage_where_stages_go_on_from_checkpoints(
    claim: dict[str, str] | None, expected: int
) -> None:
    stages = [
        {"name": "search", "evaluation": {"epochs": 3}, "keep": {"top": 2}},
        {"name": "final", "evaluation": {"epochs": 12}},
    ]
    spec = experiment(stages=stages, storage=claim).spec
    document = json.loads(trial_document("nas", spec, resolve(spec)[0], trial(0)))
    assert document["candidates"][0]["horizon"] == expected


def test_scores_do_not_depend_on_the_trial_that_they_are_computed_in() -> None:
    spec = experiment(evaluation={"method": "zero-cost", "seeds": 2}, search={"seed": 3}).spec
    (stage,) = resolve(spec)
    trials = [replace(trial(number), seed=seed) for number, seed in ((0, 0), (1, 1), (2, 0))]
    seeds = [json.loads(trial_document("nas", spec, stage, one))["seed"] for one in trials]
    assert seeds[0] == seeds[2] != seeds[1]


def test_a_trial_that_needs_a_supernet_is_told_where_it_is() -> None:
    spec = experiment(evaluation={"method": "supernet"}).spec
    training, judging = resolve(spec)
    of = replace(trial(1), supernet="nas-0/0.safetensors")
    told = json.loads(trial_document("nas", spec, judging, of, "/checkpoints"))
    assert told["supernet"] == "/checkpoints/nas-0/0.safetensors"
    trains = json.loads(trial_document("nas", spec, training, trial(0), "/checkpoints"))
    assert "supernet" not in trains
    assert trains["evaluation"] == told["evaluation"]
