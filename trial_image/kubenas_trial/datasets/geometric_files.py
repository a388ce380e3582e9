"""Graphs that torch-geometric has stored."""

from __future__ import annotations

import gzip
import pickle
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from kubenas_trial.datasets.data import stratified
from kubenas_trial.datasets.graph_data import GraphData, GraphSettings, RawGraph, as_graph_data
from kubenas_trial.datasets.planetoid import has_planetoid
from kubenas_trial.datasets.published import shares_without
from kubenas_trial.errors import InvalidDatasetError

_MASKS = ("train_mask", "val_mask", "test_mask")


def stored_in(path: Path) -> list[Path]:
    """The stored files that `path` is or has: in a folder `processed`, its own or a data set's in it, or in itself."""
    if path.is_file():
        return [path] if path.suffix in {".pt", ".pth"} else []
    for pattern in ("processed/*.pt", "*.pt", "*/processed/*.pt"):
        # These two say how the others were made.
        found = [file for file in sorted(path.glob(pattern)) if file.stem not in {"pre_filter", "pre_transform"}]
        if found:
            return found
    return []


def has_geometric(path: Path) -> bool:
    """Whether such files lie at `path`, and not the raw ones that they were made from beside them."""
    return bool(stored_in(path)) and not has_planetoid(path)


def read_geometric(path: Path, settings: GraphSettings) -> GraphData:
    """The graph that `torch_geometric.data.Data` or a data set of one graph was stored as.

    Its x, edge_index and y are read, and train_mask, val_mask and test_mask where it has them; the last two are cut
    from train where they are absent. Of several splits (one a column) that of `split_seed` is taken. Else the split may
    be in lists as OGB's, split/NAME/{train,valid,test}.csv.gz. Nothing but data is loaded, whatever the file holds.

    Raises:
        InvalidDatasetError: it cannot be read, or is no such graph.
    """
    files = stored_in(path)
    if len(files) != 1:
        names = " and ".join(str(file.relative_to(path)) for file in files) if files else "no .pt file"
        raise InvalidDatasetError(f"{path}: has {names}: name one file by task.dataset.path")
    [file] = files
    graph = _graph(file, _load(file))
    features, edges, labels = (_tensor(file, graph, name) for name in ("x", "edge_index", "y"))
    if features.ndim == 1:
        features = features[:, None]
    if features.ndim != 2 or edges.ndim != 2 or len(edges) != 2:
        raise InvalidDatasetError(f"{file}: x must be (nodes, features) and edge_index (2, edges)")
    if labels.ndim == 2 and labels.shape[1] == 1:
        labels = labels[:, 0]
    if labels.ndim != 1:
        raise InvalidDatasetError(f"{file}: y must be one class of each node, and is {tuple(labels.shape)}")
    if labels.is_floating_point() and not bool((labels.isfinite() & (labels == labels.round())).all()):
        raise InvalidDatasetError(f"{file}: y has values that are no whole numbers, and must be one class of each node")
    if edges.is_floating_point():
        raise InvalidDatasetError(f"{file}: edge_index has values of type {edges.dtype}: give whole numbers of nodes")
    splits = _splits(file, graph, labels, settings.split_seed) or _listed(file)
    return as_graph_data(RawGraph(str(file), features, edges, labels.long(), splits), settings)


def _load(file: Path) -> Any:
    # Only here, since it takes seconds to import; it tells torch that most of its classes are mere data, these are too.
    from torch_geometric.data.data import DataEdgeAttr, DataTensorAttr  # noqa: PLC0415
    from torch_geometric.data.storage import GlobalStorage  # noqa: PLC0415

    try:
        with torch.serialization.safe_globals([DataEdgeAttr, DataTensorAttr, GlobalStorage]):
            return torch.load(file, map_location="cpu", weights_only=True)
    except (OSError, RuntimeError, EOFError, KeyError, ValueError, pickle.UnpicklingError) as error:
        text = str(error).strip()
        what = re.search(r"Unsupported.*? was not an allowed global|(Trying to load|(?<=error: \n\n))[^\n]+", text)
        reason = what[0] if what else f"{type(error).__name__} {text.split(chr(10), 1)[0]}".strip()
        raise InvalidDatasetError(
            f"{file} cannot be read as torch-geometric's data: {reason}: store the graph again"
        ) from error


def _graph(file: Path, stored: Any) -> Mapping[str, Any]:
    slices = None
    if isinstance(stored, tuple):
        # A data set: its data, where each graph begins and ends, and sometimes its class.
        stored, slices = stored[0], stored[1] if len(stored) > 1 else None
    if isinstance(slices, Mapping) and "x" in slices and len(slices["x"]) != 2:
        raise InvalidDatasetError(f"{file}: has {len(slices['x']) - 1} graphs, where nodes of one are to be classified")
    if hasattr(stored, "to_dict"):
        stored = stored.to_dict()
    if not isinstance(stored, Mapping):
        raise InvalidDatasetError(f"{file}: is a {type(stored).__name__}, not torch_geometric.data.Data")
    return stored


def _tensor(file: Path, graph: Mapping[str, Any], name: str) -> Tensor:
    value = graph.get(name)
    if not isinstance(value, Tensor):
        there = ", ".join(sorted(key for key, each in graph.items() if each is not None))
        raise InvalidDatasetError(f"{file}: has no tensor {name}, only {there}")
    return value


def _splits(file: Path, graph: Mapping[str, Any], labels: Tensor, seed: int) -> tuple[Tensor, Tensor, Tensor] | None:
    there = [name for name in _MASKS if graph.get(name) is not None]
    if not there:
        return None
    if _MASKS[0] not in there:
        raise InvalidDatasetError(f"{file}: has {' and '.join(there)} without train_mask: give it, or none of them")
    members: dict[str, Tensor] = {}
    for name in there:
        mask = _tensor(file, graph, name)
        if mask.ndim == 2:
            mask = mask[:, seed % mask.shape[1]]
        if mask.dtype == torch.uint8 and bool((mask < 2).all()):
            mask = mask.bool()
        if mask.shape != (len(labels),) or mask.dtype != torch.bool:
            raise InvalidDatasetError(f"{file}: {name} must be one truth value for each of {len(labels)} nodes")
        members[name] = mask.nonzero().flatten()
    known = members[_MASKS[0]]
    parts = [part for part, name in zip(("train", "validation", "test"), _MASKS, strict=True) if name in there]
    # What is not published is cut from train by class, as of the other tasks.
    cut = (known[chosen] for chosen in stratified(labels[known].tolist(), seed, shares_without(parts)))
    train, validation, test = (
        members.get(name, held) if name != _MASKS[0] else held for name, held in zip(_MASKS, cut, strict=True)
    )
    return train, validation, test


def _listed(file: Path) -> tuple[Tensor, Tensor, Tensor] | None:
    """The numbers of each split's nodes in OGB's lists beside the folder `processed`, where there is one split."""
    folders = sorted(folder for folder in file.parent.parent.glob("split/*") if folder.is_dir())
    if file.parent.name != "processed" or not folders:
        return None
    if len(folders) > 1:
        raise InvalidDatasetError(f"{folders[0].parent}: has {len(folders)} splits: leave one")
    train, validation, test = (_numbers(folders[0] / f"{part}.csv.gz") for part in ("train", "valid", "test"))
    return train, validation, test


def _numbers(file: Path) -> Tensor:
    try:
        with gzip.open(file, "rt", encoding="ascii") as lines:
            return torch.tensor([int(line) for line in lines])
    except (OSError, EOFError, ValueError) as error:
        raise InvalidDatasetError(f"{file}: cannot be read as numbers of nodes, one a line: {error}") from None
