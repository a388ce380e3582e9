"""What the tests of the trainer share."""

from __future__ import annotations

import pytest
import torch


@pytest.fixture(autouse=True)
def _drawn_alike() -> None:
    """A test draws the same numbers alone as after others."""
    torch.manual_seed(0)
