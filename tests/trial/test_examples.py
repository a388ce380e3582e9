"""The examples run as they are."""

from __future__ import annotations

from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from kubenas.api.validate import read_experiment
from kubenas.space.load import build_space
from tests.trial.process import TrialProcess, message, trial_environment

EXAMPLES = Path(__file__).parents[2] / "examples"


@pytest.mark.parametrize(
    ("path", "arguments"),
    [
        ("digits.yaml", ("-m", "kubenas_trial")),
        ("parameters.yaml", ("-m", "kubenas_trial")),
        ("custom_trainer/experiment.yaml", (str(EXAMPLES / "custom_trainer" / "train.py"),)),
    ],
)
def test_an_examples_trainer_reports_its_objective(tmp_path: Path, path: str, arguments: tuple[str, ...]) -> None:
    spec = read_experiment(yaml.safe_load((EXAMPLES / path).read_text())).spec
    architecture = build_space(spec.search_space).sample(Random(0))
    document: dict[str, Any] = {
        "experiment": "example",
        "trial": "example-0",
        "attempt": 1,
        "seed": 1,
        "task": spec.task.dump(),
        "evaluation": spec.evaluation.dump(),
        "searchSpace": spec.search_space.dump(),
        "candidates": [{"id": "0", "architecture": architecture.to_json(), "epochs": 2, "resumeFrom": None}],
    }
    with TrialProcess(trial_environment(tmp_path, document), arguments) as trial:
        assert trial.exit_code() == 0, trial.log
    [result] = message(tmp_path)["results"]
    assert result["step"] == 2
    assert spec.objectives[0].metric in result["metrics"]
