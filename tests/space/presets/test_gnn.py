"""NAS-Bench-Graph's space: which networks are one, against the published tables."""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import product
from random import Random

import pytest

from kubenas.space.base import Architecture, InvalidArchitectureError
from kubenas.space.presets.gnn import LINKS, OPERATIONS, gnn

SPACE = gnn()


def _network(links: str, *operations: str) -> Architecture:
    return SPACE.parse({"links": links, **{f"operation.{node}": one for node, one in enumerate(operations)}})


def test_sample_is_uniform_over_networks() -> None:
    """Draws by the number of ways to write a network, which a draw over ways would favour (a chi-square test)."""
    rng, draws = Random(0), 10_000
    networks = Counter(SPACE.multiplicity(network) for network in SPACE.enumerate())
    drawn = Counter(SPACE.multiplicity(SPACE.sample(rng)) for _ in range(draws))
    common = {ways: count * draws / 26_206 for ways, count in networks.items() if count * draws > 5 * 26_206}
    statistic = sum((drawn[ways] - expected) ** 2 / expected for ways, expected in common.items())
    assert len(common) > 3
    assert statistic < 3 * len(common)


def test_networks_are_one_just_where_the_published_tables_say_so() -> None:
    published = pytest.importorskip("nas_bench_graph")
    table = published.light_read("cora")
    keys_of_row = defaultdict(set)
    for links, operations in product(LINKS, product(OPERATIONS, repeat=4)):
        if set(operations) != {"skip"}:
            row = published.Arch([int(link) for link in links], list(operations)).valid_hash()
            keys_of_row[row].add(SPACE.key(_network(links, *operations)))
    assert set(keys_of_row) == set(table)
    assert all(len(keys) == 1 for keys in keys_of_row.values())
    assert len(set().union(*keys_of_row.values())) == SPACE.size() == 26_206


@pytest.mark.parametrize(
    ("network", "key"),
    [
        (_network("0012", "gcn", "sage", "fc", "skip"), "gcn(fc)+sage"),
        (_network("0111", "gcn", "gat", "skip", "skip"), "gcn(gat+out+out)"),
        (_network("0123", "skip", "gcn", "skip", "fc"), "gcn(fc)"),
        (_network("0000", "skip", "gcn", "skip", "gcn"), "gcn+gcn"),
    ],
)
def test_key_is_the_tree(network: Architecture, key: str) -> None:
    assert SPACE.key(network) == key


def test_networks_that_are_one_have_one_adjacency_and_the_same_paths() -> None:
    rows: dict[str, list[list[float]]] = {}
    encode = [SPACE.encodings[name] for name in ("adjacency", "paths")]
    rng = Random(0)
    for _ in range(3_000):
        network = SPACE.complete({"operation.0": "skip"}, rng)
        if SPACE.allows(network):
            numbers = [one(network) for one in encode]
            assert rows.setdefault(SPACE.key(network), numbers) == numbers


def test_four_skips_are_refused() -> None:
    with pytest.raises(InvalidArchitectureError, match="at least one operation must not be skip"):
        _network("0000", "skip", "skip", "skip", "skip")


def test_drawing() -> None:
    assert SPACE.draw(_network("0013", "gcn", "sage", "skip", "fc")).splitlines() == [
        "node 0  the network's input",
        "node 1  gcn(node 0)",
        "node 2  sage(node 0)  -> output",
        "node 3  skip(node 1)",
        "node 4  fc(node 3)  -> output",
    ]
