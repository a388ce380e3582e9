"""Node classification: Planetoid's and torch-geometric's files, made graphs, refusals, learning."""

from __future__ import annotations

import gzip
import os
import pickle
from collections import defaultdict
from itertools import chain
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.sparse import csr_matrix

from kubenas.api.space import SearchSpace
from kubenas.api.task import Dataset, Task
from kubenas.space.load import build_space
from kubenas_trial.contract import Candidate
from kubenas_trial.datasets.graph_data import GraphData, GraphSettings, Nodes, RawGraph, as_graph_data, undirected
from kubenas_trial.datasets.made_graphs import karate_club, planted_partition
from kubenas_trial.datasets.planetoid import read_planetoid
from kubenas_trial.errors import InvalidDatasetError
from kubenas_trial.evaluation.train import train
from kubenas_trial.networks.gnn import GNN
from kubenas_trial.tasks.load import format_of, load_task
from kubenas_trial.tasks.node_classification import NodeClassification
from tests.trial.training import Reports

DATA = Path(os.environ.get("KUBENAS_DATA", Path(__file__).parents[2].parent / "shared" / "data"))
SETTINGS = GraphSettings(normalization="none")


def nodes(examples: Any) -> Nodes:
    assert isinstance(examples, Nodes)
    return examples


def members(data: GraphData) -> list[list[int]]:
    return [nodes(examples).members.tolist() for examples in (data.train, data.validation, data.test)]


def planetoid_parts() -> dict[str, Any]:
    """Three training nodes, three others, test nodes 9, 6 and 8; node 7 has neither features nor class."""
    known = np.arange(12).reshape(6, 2) + 1.0
    classes = np.eye(2)[[0, 1, 0, 1, 0, 1]]
    return {
        "x": csr_matrix(known[:3]),
        "allx": csr_matrix(known),
        "tx": csr_matrix(np.array([[90.0, 91], [60, 61], [80, 81]])),
        "y": classes[:3],
        "ally": classes,
        "ty": np.eye(2)[[0, 1, 1]],
        "graph": defaultdict(list, {node: [(node + 1) % 10] for node in range(10)}),
    }


def write_planetoid(folder: Path, **changes: Any) -> Path:
    folder.mkdir(exist_ok=True)
    for part, value in (planetoid_parts() | changes).items():
        if value is not None:
            (folder / f"ind.tiny.{part}").write_bytes(pickle.dumps(value, protocol=2))
    (folder / "ind.tiny.test.index").write_text("9\n6\n8\n")
    return folder


def test_planetoids_rows_go_where_test_index_says(tmp_path: Path) -> None:
    data = read_planetoid(write_planetoid(tmp_path / "raw").parent, SETTINGS)
    assert members(data) == [[0, 1, 2], [3, 4, 5], [9, 6, 8]]
    train = nodes(data.train)
    assert train.features[6:].tolist() == [[60, 61], [0, 0], [80, 81], [90, 91]]
    assert train.labels.tolist() == [0, 1, 0, 1, 0, 1, 1, -1, 1, 0]
    assert train.edges.shape == (2, 20)


class Malicious:
    def __reduce__(self) -> tuple[Any, ...]:
        return os.system, ("echo hacked",)


@pytest.mark.parametrize(
    ("part", "value", "text"),
    [
        ("graph", None, "has no ind.NAME.graph"),
        ("ty", None, "ind.tiny.ty is missing"),
        ("allx", Malicious(), "ind.tiny.allx: is no pickle of arrays (it asks for posix.system"),
        ("allx", np.zeros(3), "ind.tiny.allx is no matrix of numbers"),
        ("x", csr_matrix(np.zeros((2, 2))), "ind.tiny.x has 2 rows"),
        ("tx", csr_matrix(np.zeros((2, 2))), "ind.tiny.tx has 2 rows"),
        ("tx", csr_matrix(np.zeros((3, 5))), "ind.tiny.ty: has other columns"),
        ("graph", {0: [77]}, "ind.tiny.graph: has an edge (0, 77), and nodes are numbered 0 to 9"),
        ("graph", [1, 2], "ind.tiny.graph is no dictionary"),
        ("graph", dict.fromkeys(range(1000), [0] * 1000), "ind.tiny.graph has more edges than bytes"),
        ("tx", csr_matrix(([1.0], [0], [0, 1]), shape=(1, 2**40)), "1 rows of 1099511627776 columns take"),
        ("y", np.eye(2)[[0, 1, 0, 1, 0, 1]], "ind.tiny.y has 6"),
    ],
)
def test_what_is_wrong_in_planetoids_files_is_named(tmp_path: Path, part: str, value: Any, text: str) -> None:
    folder = write_planetoid(tmp_path / "raw", **{part: value})
    with pytest.raises(InvalidDatasetError) as refused:
        read_planetoid(folder, SETTINGS)
    assert text in str(refused.value)


@pytest.mark.parametrize(
    ("index", "text"),
    [
        ("9\nsix\n8\n", "test.index, line 2: 'six' is no number of a node"),
        ("9\n9\n8\n", "names a node twice"),
        ("9\n8\n", "has 2 rows"),
        ("9\n1\n8\n", "node 1 is one of"),
    ],
)
def test_a_wrong_test_index_is_named(tmp_path: Path, index: str, text: str) -> None:
    folder = write_planetoid(tmp_path)
    (folder / "ind.tiny.test.index").write_text(index)
    with pytest.raises(InvalidDatasetError) as refused:
        read_planetoid(folder, SETTINGS)
    assert text in str(refused.value)


def test_cora_is_as_published() -> None:
    folder = DATA / "planetoid" / "cora"
    if not folder.exists():
        pytest.skip(f"{folder} is absent (KUBENAS_DATA names the folder of data)")
    data = read_planetoid(folder, GraphSettings())
    assert [len(part) for part in members(data)] == [140, 500, 1000]
    assert (data.features, len(data.classes)) == (1433, 7)
    train = nodes(data.train)
    assert train.edges.shape == (2, 10556)
    torch.testing.assert_close(train.features.sum(1), torch.ones(2708))


def geometric(**changes: Any) -> Any:
    from torch_geometric.data import Data

    masks = {name: torch.arange(9) % 3 == place for place, name in enumerate(("train_mask", "val_mask", "test_mask"))}
    values = {"x": torch.rand(9, 2), "edge_index": torch.tensor([[0, 1, 2], [1, 2, 0]]), "y": torch.arange(9) // 3 % 2}
    return Data(**(values | masks | changes))


def read_stored(path: Path, settings: dict[str, Any] | None = None) -> GraphData:
    spec = Task(name="node-classification", dataset=Dataset(path=str(path)), settings=settings or {})
    data = load_task(spec, None, torch.device("cpu")).data
    assert isinstance(data, GraphData)
    return data


def test_torch_geometrics_data_sets_are_read_as_it_stores_them(tmp_path: Path) -> None:
    from torch_geometric.data import InMemoryDataset

    (tmp_path / "processed").mkdir()
    InMemoryDataset.save([geometric()], str(tmp_path / "processed" / "data.pt"))
    torch.save("", tmp_path / "processed" / "pre_transform.pt")
    assert members(read_stored(tmp_path)) == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]
    torch.save(geometric(), tmp_path / "one.pt")
    assert members(read_stored(tmp_path / "one.pt")) == [[0, 3, 6], [1, 4, 7], [2, 5, 8]]


def test_features_may_be_sparse_and_masks_numbers(tmp_path: Path) -> None:
    dense = geometric()
    assert dense.x is not None
    torch.save(dense, tmp_path / "dense.pt")
    wanted = read_stored(tmp_path / "dense.pt")
    for name, sparse in (("a.pt", dense.x.to_sparse()), ("b.pt", dense.x.to_sparse_csr())):
        torch.save(geometric(x=sparse, val_mask=dense.val_mask.to(torch.uint8)), tmp_path / name)
        found = read_stored(tmp_path / name)
        assert members(found) == members(wanted)
        assert torch.equal(found.train[[0]].inputs[0], wanted.train[[0]].inputs[0])


def test_ogbs_lists_are_the_split(tmp_path: Path) -> None:
    lists = tmp_path / "split" / "time"
    for folder in (lists, tmp_path / "processed"):
        folder.mkdir(parents=True)
    torch.save(
        geometric(**dict.fromkeys(("train_mask", "val_mask", "test_mask"))),
        tmp_path / "processed" / "geometric_data_processed.pt",
    )
    for part, numbers in (("train", "0\n1\n2\n5\n"), ("valid", "3\n4\n"), ("test", "6\n")):
        (lists / f"{part}.csv.gz").write_bytes(gzip.compress(numbers.encode()))
    assert members(read_stored(tmp_path)) == [[0, 1, 2, 5], [3, 4], [6]]
    (lists / "test.csv.gz").write_bytes(b"6")
    with pytest.raises(InvalidDatasetError, match=r"test\.csv\.gz: cannot be read as numbers of nodes"):
        read_stored(tmp_path)


def test_of_several_splits_the_seed_chooses(tmp_path: Path) -> None:
    masks = {
        name: torch.stack([torch.arange(9) % 3 == place, torch.arange(9) % 3 == (place + 1) % 3], dim=1)
        for place, name in enumerate(("train_mask", "val_mask", "test_mask"))
    }
    torch.save(geometric(**masks), tmp_path / "graph.pt")
    assert members(read_stored(tmp_path, {"splitSeed": 3})) == [[1, 4, 7], [2, 5, 8], [0, 3, 6]]


def test_without_masks_the_split_is_by_class(tmp_path: Path) -> None:
    masks = dict.fromkeys(("train_mask", "val_mask", "test_mask"))
    torch.save(geometric(**masks, y=torch.tensor([0, 1, 0, 1, 0, 1, 0, 1, 0])), tmp_path / "graph.pt")
    assert sorted(chain(*members(read_stored(tmp_path)))) == list(range(9))


@pytest.mark.parametrize(
    ("stored", "text"),
    [
        (lambda: geometric(x=None), "has no tensor x, only "),
        (lambda: geometric(y=torch.rand(9, 3)), "y must be one class of each node, and is (9, 3)"),
        (lambda: geometric(train_mask=None), "has val_mask and test_mask without train_mask"),
        (lambda: geometric(train_mask=torch.ones(3, dtype=torch.bool)), "train_mask must be one truth value for each"),
        (
            lambda: geometric(edge_index=torch.tensor([[0], [12]])),
            "an edge names node 12, and nodes are numbered 0 to 8",
        ),
        (lambda: geometric(edge_index=torch.rand(2, 5)), "edge_index has values of type torch.float32"),
        (lambda: geometric(x=torch.rand(9, 0)), "the nodes have no features"),
        (lambda: geometric(x=torch.full((9, 2), torch.nan)), "node 0 has a feature that is no finite number"),
        (lambda: geometric(y=torch.tensor([0, 1, 1, 0, 1, 1, 0, 1, 1])), "class 1 has no training node"),
        (lambda: geometric(y=torch.rand(9)), "y has values that are no whole numbers"),
        (lambda: geometric(y=torch.full((9,), torch.inf)), "y has values that are no whole numbers"),
        (lambda: geometric(y=torch.arange(9) + 10**12), "has the class 1000000000008 among 9 nodes: number classes"),
        (lambda: geometric(y=torch.full((9,), -1)), "no node has a class"),
        (lambda: geometric(y=torch.zeros(9)), "all nodes have the class 0: two classes are needed"),
        (lambda: [1, 2], "is a list, not torch_geometric.data.Data"),
        (Malicious, "cannot be read as torch-geometric's data"),
    ],
)
def test_what_is_wrong_in_stored_graphs_is_named(tmp_path: Path, stored: Any, text: str) -> None:
    torch.save(stored(), tmp_path / "graph.pt")
    with pytest.raises(InvalidDatasetError) as refused:
        read_stored(tmp_path)
    assert text in str(refused.value)
    assert str(tmp_path / "graph.pt") in str(refused.value)


def test_raw_files_come_before_what_was_made_of_them(tmp_path: Path) -> None:
    write_planetoid(tmp_path / "raw")
    (tmp_path / "processed").mkdir()
    torch.save(geometric(), tmp_path / "processed" / "data.pt")
    assert format_of(NodeClassification, tmp_path, None) == "planetoid"


@given(st.lists(st.tuples(st.integers(0, 6), st.integers(0, 6)), min_size=1))
def test_edges_go_both_ways_once_and_to_others_only(pairs: list[tuple[int, int]]) -> None:
    found = list(map(tuple, undirected(torch.tensor(pairs).T, nodes=7).T.tolist()))
    expected = {pair for one, other in pairs if one != other for pair in ((one, other), (other, one))}
    assert len(found) == len(expected)
    assert set(found) == expected


def test_features_are_normalized_by_rows_or_by_training_columns() -> None:
    labels = torch.tensor([0, 0, 1, 1])
    splits = (torch.tensor([0, 2]), torch.tensor([1]), torch.tensor([3]))
    raw = RawGraph("g", torch.tensor([[1.0, 3], [0, 0], [3, 5], [9, 9]]), torch.tensor([[0], [1]]), labels, splits)
    rows = nodes(as_graph_data(raw, GraphSettings(normalization="rows")).train).features
    assert rows[:2].tolist() == [[0.25, 0.75], [0, 0]]
    columns = nodes(as_graph_data(raw, GraphSettings(normalization="columns")).train).features
    assert columns.tolist() == [[-1, -1], [-2, -4], [1, 1], [7, 5]]


def test_a_graph_beyond_the_memory_limit_is_refused() -> None:
    raw = RawGraph("g", torch.zeros(1, 1).expand(2000, 1000), torch.tensor([[0], [1]]), torch.zeros(2000).long())
    with pytest.raises(InvalidDatasetError, match=r"take 8 MB, .* raise task\.settings\.memoryLimitMb, which is 1"):
        as_graph_data(raw, GraphSettings(memory_limit_mb=1))


@pytest.mark.parametrize("make", [planted_partition, karate_club])
def test_made_graphs_are_the_same_and_split_by_seed(make: Any) -> None:
    first, again, other = make(GraphSettings()), make(GraphSettings()), make(GraphSettings(split_seed=1))
    assert torch.equal(nodes(first.train).features, nodes(again.train).features)
    assert members(first) == members(again) != members(other)
    parts = members(first)
    assert sorted(chain(*parts)) == list(range(len(nodes(first.train).labels)))


def test_the_default_network_learns_the_planted_partition() -> None:
    space = SearchSpace(preset="gnn")
    spec = Task(name="node-classification", dataset=Dataset(name="planted-partition"), settings={})
    task = load_task(spec, None, torch.device("cpu"))
    architecture = build_space(space).parse(dict(GNN.default))

    def trained() -> dict[str, float]:
        reporter = Reports()
        train(task, space, Candidate("0", architecture, 40, None), 0, reporter)
        return {name: value for name, value in reporter.all[-1].items() if "accuracy" in name or "loss" in name}

    first = trained()
    assert first["accuracy"] > 0.6
    assert first["test_accuracy"] > 0.6
    assert trained() == first
