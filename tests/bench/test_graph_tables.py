from __future__ import annotations

import csv
from pathlib import Path

import pytest
from nas_bench_graph import light_read
from nas_bench_graph.architecture import Arch

from benchmarks.graph_tables import ARCHITECTURE, write_tables


@pytest.mark.parametrize(("name", "count"), [("cora", 26_206), ("proteins", 2_021)])
def test_every_measured_network_is_a_row_with_its_values(tmp_path: Path, name: str, count: int) -> None:
    measured = light_read(name)
    with write_tables(tmp_path, [name])[name].open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == len(measured) == count
    seen = set()
    for row in rows:
        links, *operations = (row[column] for column in ARCHITECTURE)
        number = Arch([int(link) for link in links], operations).valid_hash()
        seen.add(number)
        assert float(row["valid_perf"]) == float(measured[number]["valid_perf"])
        assert float(row["test_perf"]) == float(measured[number]["perf"])
    assert seen == set(measured)
