"""How a trial's candidates are judged is one entry of the registry, chosen by the trial's document."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

from kubenas.api.evaluation import Method
from kubenas_trial.evaluation.methods import METHODS, evaluation_method
from tests.trial.process import TrialProcess, error_of, trial_document, trial_environment


def test_each_method_of_the_control_plane_is_here() -> None:
    assert set(METHODS) == set(get_args(Method))
    assert all(callable(evaluation_method(name)) for name in METHODS)


def test_an_unknown_method_is_one_clear_error(tmp_path: Path) -> None:
    document = trial_document(evaluation={"method": "oracle", "questions": 3})
    with TrialProcess(trial_environment(tmp_path, document), warm=True) as trial:
        assert trial.exit_code() == 64
    reason, text = error_of(tmp_path)
    assert reason == "InvalidTrial"
    known = ", ".join(METHODS)
    assert text.startswith(f"evaluation.method: 'oracle' is unknown to this trainer; choose of {known}, or name")
