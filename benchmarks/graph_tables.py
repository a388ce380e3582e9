"""NAS-Bench-Graph's nine tables as CSV files (Qin et al., NeurIPS 2022, arXiv:2206.09166), from its own package.

python -m benchmarks.graph_tables FOLDER
"""

from __future__ import annotations

import csv
import sys
from collections.abc import Iterator, Sequence
from itertools import product
from pathlib import Path
from typing import Any, Final

from nas_bench_graph import light_read
from nas_bench_graph.architecture import Arch, gnn_list, link_list

NAMES: Final = ("cora", "citeseer", "pubmed", "cs", "physics", "photo", "computers", "arxiv", "proteins")
ARCHITECTURE: Final = ("links", *(f"operation.{node}" for node in range(4)))
# The package's names, and ours.
MEASURED: Final = {"valid_perf": "valid_perf", "perf": "test_perf", "latency": "latency", "para": "params"}


def write_tables(folder: Path, names: Sequence[str] = NAMES) -> dict[str, Path]:
    """Write one file for each data set; the tables' paths by name."""
    return {name: _write(folder / f"{name}.csv", light_read(name)) for name in names}


def _write(path: Path, measured: dict[int, dict[str, Any]]) -> Path:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerow([*ARCHITECTURE, *MEASURED.values()])
        for number, link, operations in _architectures():
            if number in measured:
                values = [float(measured[number][name]) for name in MEASURED]
                writer.writerow(["".join(map(str, link)), *operations, *values])
    return path


def _architectures() -> Iterator[tuple[int, list[int], tuple[str, ...]]]:
    """Each architecture once, with its number: the others of a number are isomorphic to it."""
    for link, operations in product(link_list, product(gnn_list, repeat=len(ARCHITECTURE) - 1)):
        if Arch(link, list(operations)).check_isomorph():
            yield Arch(link, list(operations)).hash_arch(), link, operations


if __name__ == "__main__":
    write_tables(Path(sys.argv[1]))
