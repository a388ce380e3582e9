"""The termination message fits, whatever it has to say."""

from __future__ import annotations

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kubenas_trial.contract import TrialError
from kubenas_trial.termination import LIMIT_BYTES, Result, error_message, results_message


@given(st.text(max_size=100), st.integers(0, 6000))
def test_an_error_fits_and_keeps_its_beginning(text: str, repetitions: int) -> None:
    whole = text * repetitions
    message = error_message(TrialError("Broken", whole))
    assert len(message) <= LIMIT_BYTES
    error = json.loads(message)["error"]
    assert error["reason"] == "Broken"
    if not whole:
        assert error["message"] == "TrialError"
    elif error["message"] != whole:
        assert error["message"].endswith("…")
        assert whole.startswith(error["message"][:-1])
        assert len(message) > LIMIT_BYTES - 40, "no more is cut than must be"


@given(st.dictionaries(st.from_regex(r"[a-z]{1,20}", fullmatch=True), st.floats(allow_nan=False, allow_infinity=False)))
def test_results_are_exact(metrics: dict[str, float]) -> None:
    assert json.loads(results_message([Result("0", 3, metrics)])) == {
        "results": [{"candidate": "0", "step": 3, "metrics": metrics}]
    }


def test_results_that_do_not_fit_are_refused_whole() -> None:
    results = [Result(str(candidate), 1, {"accuracy": 1 / 3}) for candidate in range(200)]
    with pytest.raises(TrialError, match=r"200 candidates take \d+ bytes .* lower trials") as refused:
        results_message(results)
    assert refused.value.reason == "ResultsTooLarge"
