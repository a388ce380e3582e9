"""Citation graphs in Planetoid's files (Yang et al., ICML 2016)."""

from __future__ import annotations

import pickle
from collections.abc import Mapping
from pathlib import Path
from typing import Any, BinaryIO, Final

import numpy as np
import torch
from torch import Tensor

from kubenas_trial.datasets.graph_data import GraphData, GraphSettings, RawGraph, as_graph_data
from kubenas_trial.errors import InvalidDatasetError

# Validation nodes of the public split: those behind the training nodes.
_VALIDATION: Final = 500
# Where numpy and scipy have had what makes their arrays, and where that is now.
_ARRAYS: Final = {
    f"{package}.{module}": f"numpy._core.{module}"
    for package in ("numpy.core", "numpy._core")
    for module in ("multiarray", "numeric")
}
_SPARSE: Final = ("scipy.sparse.csr", "scipy.sparse._csr", "scipy.sparse")
_ALLOWED: Final = {
    *((module, function) for module in _ARRAYS for function in ("_reconstruct", "_frombuffer")),
    ("numpy", "ndarray"),
    ("numpy", "dtype"),
    *((module, kind) for module in _SPARSE for kind in ("csr_matrix", "csr_array")),
    ("collections", "defaultdict"),
    *((module, kind) for module in ("__builtin__", "builtins") for kind in ("list", "dict", "set", "bytes")),
    ("_codecs", "encode"),
}


class _DataUnpickler(pickle.Unpickler):
    """Makes arrays, sparse matrices, dictionaries and lists, and calls nothing else, whatever a file asks for."""

    def __init__(self, file: BinaryIO) -> None:
        # Written by Python 2.
        super().__init__(file, encoding="latin1")

    def find_class(self, module: str, name: str) -> Any:
        if (module, name) not in _ALLOWED:
            raise pickle.UnpicklingError(f"{module}.{name} is not allowed in data")
        return super().find_class("scipy.sparse" if module in _SPARSE else _ARRAYS.get(module, module), name)


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
    stem = str(graphs[0]).removesuffix(".graph")
    known, tested = (_matrix(Path(f"{stem}.{part}")) for part in ("allx", "tx"))
    known_labels, tested_labels = (_matrix(Path(f"{stem}.{part}")) for part in ("ally", "ty"))
    trained = len(_matrix(Path(f"{stem}.y")))
    _same(stem, "x", len(_matrix(Path(f"{stem}.x"))), "y", trained)
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
    for part, matrix, classes, places in (
        ("ally", known, known_labels, torch.arange(len(known))),
        ("ty", tested, tested_labels, test),
    ):
        if matrix.shape[1] != known.shape[1] or classes.shape[1] != known_labels.shape[1]:
            raise InvalidDatasetError(f"{stem}.{part}: has other columns than {stem}.allx and ally")
        features[places] = matrix
        labels[places] = torch.where(classes.sum(1) > 0, classes.argmax(1), -1)
    splits = (torch.arange(trained), torch.arange(trained, min(trained + _VALIDATION, len(known))), test)
    edges = _edges(Path(f"{stem}.graph"), nodes)
    return as_graph_data(RawGraph(stem, features, edges, labels, splits), settings)


def _load(file: Path) -> Any:
    try:
        with file.open("rb") as opened:
            return _DataUnpickler(opened).load()
    except FileNotFoundError:
        raise InvalidDatasetError(f"{file} is missing: Planetoid's files are {_FILES}") from None
    # A file that is no pickle can fail in any way.
    except Exception as error:
        raise InvalidDatasetError(f"{file} cannot be read: {error}") from error


_FILES: Final = "x, tx, allx, y, ty, ally, graph and test.index"


def _matrix(file: Path) -> Tensor:
    value = _load(file)
    if hasattr(value, "check_format"):
        try:
            # What a file says about its entries' places is not to be believed.
            value.check_format(full_check=True)
            value = value.toarray()
        except (ValueError, TypeError, AttributeError) as error:
            raise InvalidDatasetError(f"{file} is no sparse matrix: {error}") from error
    if not isinstance(value, np.ndarray) or value.ndim != 2 or value.dtype.kind not in "biuf":
        raise InvalidDatasetError(f"{file} is no matrix of numbers")
    return torch.from_numpy(value.astype(np.float32))


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
