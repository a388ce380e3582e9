"""Citation graphs in Planetoid's files (Yang et al., ICML 2016)."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import numpy as np
import torch
from torch import Tensor

from kubenas_trial.datasets.graph_data import GraphData, GraphSettings, RawGraph, as_graph_data
from kubenas_trial.datasets.pickles import read_pickle
from kubenas_trial.errors import InvalidDatasetError

# Validation nodes of the public split: those behind the training nodes.
_VALIDATION: Final = 500
_FILES: Final = "x, tx, allx, y, ty, ally, graph and test.index"


def graphs_in(path: Path) -> list[Path]:
    """The `ind.NAME.graph` that `path` is, or that lie in it, its folder `raw`, or that of a data set in it."""
    if path.is_file():
        return [path] if path.name.startswith("ind.") and path.suffix == ".graph" else []
    patterns = ("ind.*.graph", "raw/ind.*.graph", "*/raw/ind.*.graph")
    return next((found for pattern in patterns if (found := sorted(path.glob(pattern)))), [])


def has_planetoid(path: Path) -> bool:
    """Whether such files lie at `path`."""
    return bool(graphs_in(path))


def read_planetoid(path: Path, settings: GraphSettings) -> GraphData:
    """The graph at `path` with its public split: training nodes first, then 500 for validation; test by test.index.

    Raises:
        InvalidDatasetError: a file is missing, cannot be read, asks for more than data, or does not fit the others.
    """
    graphs = graphs_in(path)
    if len(graphs) != 1:
        names = " and ".join(file.name for file in graphs) if graphs else "no ind.NAME.graph"
        raise InvalidDatasetError(f"{path}: has {names}: name one such file by task.dataset.path")
    most = settings.memory_limit_mb
    stem = str(graphs[0]).removesuffix(".graph")
    known, tested = (_matrix(Path(f"{stem}.{part}"), most) for part in ("allx", "tx"))
    known_labels, tested_labels = (_matrix(Path(f"{stem}.{part}"), most) for part in ("ally", "ty"))
    trained = len(_matrix(Path(f"{stem}.y"), most))
    _same(stem, "x", len(_matrix(Path(f"{stem}.x"), most)), "y", trained)
    _same(stem, "allx", len(known), "ally", len(known_labels))
    _same(stem, "tx", len(tested), "ty", len(tested_labels))
    test = _numbers(Path(f"{stem}.test.index"))
    _same(stem, "test.index", len(test), "tx", len(tested))
    if int(test.min()) < len(known):
        raise InvalidDatasetError(f"{stem}.test.index: node {int(test.min())} is one of {stem}.allx")
    # Numbers that test.index leaves out are nodes without features and class, as Citeseer has them.
    nodes = int(test.max()) + 1
    features = torch.zeros(nodes, known.shape[1])
    labels = torch.full((nodes,), -1)
    for part, matrix, classes, numbers in (
        ("ally", known, known_labels, torch.arange(len(known))),
        ("ty", tested, tested_labels, test),
    ):
        if matrix.shape[1] != known.shape[1] or classes.shape[1] != known_labels.shape[1]:
            raise InvalidDatasetError(f"{stem}.{part}: has other columns than {stem}.allx and ally")
        features[numbers] = matrix
        labels[numbers] = torch.where(classes.sum(1) > 0, classes.argmax(1), -1)
    splits = (torch.arange(trained), torch.arange(trained, min(trained + _VALIDATION, len(known))), test)
    edges = _edges(Path(f"{stem}.graph"), nodes)
    return as_graph_data(RawGraph(stem, features, edges, labels, splits), settings)


def _load(file: Path) -> Any:
    if not file.exists():
        raise InvalidDatasetError(f"{file} is missing: Planetoid's files are {_FILES}")
    return read_pickle(file)


def _matrix(file: Path, most_mb: int) -> Tensor:
    """The matrix in a file, where it takes no more than `most_mb` megabytes."""
    from scipy.sparse import csr_matrix  # noqa: PLC0415 - long to import, and other graphs need none

    value = _load(file)
    if not isinstance(value, np.ndarray | csr_matrix) or len(value.shape) != 2 or value.dtype.kind not in "biuf":
        raise InvalidDatasetError(f"{file} is no matrix of numbers")
    rows, columns = value.shape
    if (megabytes := rows * columns * 4 / 1e6) > most_mb:
        raise InvalidDatasetError(
            f"{file}: {rows} rows of {columns} columns take {megabytes:.0f} MB, and a graph is held in memory as a "
            f"whole: raise task.settings.memoryLimitMb, which is {most_mb}"
        )
    return torch.from_numpy((value.toarray() if isinstance(value, csr_matrix) else value).astype(np.float32))


def _numbers(file: Path) -> Tensor:
    try:
        lines = file.read_text().split()
    except (OSError, UnicodeDecodeError) as error:
        raise InvalidDatasetError(f"{file} cannot be read ({error}): Planetoid's files are {_FILES}") from None
    for number, line in enumerate(lines, start=1):
        if not line.isdecimal():
            raise InvalidDatasetError(f"{file}, line {number}: {line!r:.40} is no number of a node")
    numbers = [int(line) for line in lines]
    if not numbers or len(set(numbers)) != len(numbers):
        raise InvalidDatasetError(f"{file} names {'a node twice' if numbers else 'no node'}")
    return torch.tensor(numbers)


def _edges(file: Path, nodes: int) -> Tensor:
    neighbours = _load(file)
    if not isinstance(neighbours, Mapping):
        raise InvalidDatasetError(f"{file} is no dictionary of nodes' neighbours")
    try:
        # A list can stand for many nodes' in a few bytes.
        if sum(map(len, neighbours.values())) > file.stat().st_size:
            raise InvalidDatasetError(f"{file} has more edges than bytes: fetch it again")
        pairs = [(int(source), int(target)) for source, targets in neighbours.items() for target in targets]
    except (TypeError, ValueError) as error:
        raise InvalidDatasetError(f"{file} is no dictionary of nodes' neighbours: {error}") from None
    for pair in pairs:
        if min(pair) < 0 or max(pair) >= nodes:
            raise InvalidDatasetError(f"{file}: has an edge {pair}, and nodes are numbered 0 to {nodes - 1}")
    return torch.tensor(pairs).reshape(-1, 2).T


def _same(stem: str, one: str, rows: int, other: str, others: int) -> None:
    if rows != others:
        raise InvalidDatasetError(f"{stem}.{one} has {rows} rows, {stem}.{other} has {others}")
