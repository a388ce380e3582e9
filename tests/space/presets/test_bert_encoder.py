"""FlexiBERT's encoders: the benchmark's notation."""

from __future__ import annotations

import csv

import pytest

from kubenas.space.base import InvalidArchitectureError
from kubenas.space.presets.bert_encoder import bert_encoder
from tests.bench.tables import published

SPACE = bert_encoder()


def test_published_encoders_are_in_the_space() -> None:
    with published("nasbenchbert.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows
    for row in rows:
        text = f"{row['hidden_size']}:{row['layers']}"
        assert SPACE.name(SPACE.parse(text)) == text
    with pytest.raises(InvalidArchitectureError, match="is no encoder"):
        SPACE.parse("256:SA")
