"""What a local run writes of its trials."""

from __future__ import annotations

from hypothesis import given

from kubenas.api.base import Metadata
from kubenas.api.trial import NASTrial, TrialSpec, TrialStatus
from kubenas.local.documents import document_of, trial_of
from tests.api.test_round_trip import trial_specs, trial_statuses


@given(trial_specs, trial_statuses)
def test_a_trial_is_written_as_it_was_read(spec: TrialSpec, status: TrialStatus) -> None:
    document = NASTrial(metadata=Metadata(name="nas-0"), spec=spec, status=status)
    assert document_of(trial_of(document)) == document
    # Each field is drawn, so that one more is not left out.
    drawn = {"number", "results_seen", "stage", "seed", "continues", "supernet", "candidates"}
    assert TrialSpec.model_fields.keys() <= drawn
