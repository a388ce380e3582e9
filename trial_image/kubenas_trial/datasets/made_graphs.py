"""Graphs that need no files: one made by rule, and Zachary's karate club."""

from __future__ import annotations

import torch

from kubenas_trial.datasets.graph_data import GraphData, GraphSettings, RawGraph, as_graph_data

_NODES = 1000
_CLASSES = 5
_FEATURES = 32
# Chance of an edge between two nodes of one class, and of two.
_WITHIN, _BETWEEN = 0.02, 0.004


def planted_partition(settings: GraphSettings) -> GraphData:
    """1,000 nodes of five classes with more edges within classes than between (Condon and Karp, 2001).

    A node's 32 features are its class's mean in much noise: features alone, or edges alone, do not tell the class well.
    The graph is the same for every trial and seed; `split_seed` says which nodes are training, validation and test.
    """
    generator = torch.Generator().manual_seed(0)
    labels = torch.arange(_NODES) % _CLASSES
    means = torch.randn(_CLASSES, _FEATURES, generator=generator)
    features = 0.35 * means[labels] + torch.randn(_NODES, _FEATURES, generator=generator)
    chance = torch.where(labels[:, None] == labels, _WITHIN, _BETWEEN)
    edges = (torch.rand(_NODES, _NODES, generator=generator) < chance).triu(1).nonzero().T
    return as_graph_data(RawGraph("planted-partition", features, edges, labels), settings)


def karate_club(settings: GraphSettings) -> GraphData:
    """34 members of a club with their friendships (Zachary, 1977), in four communities; no features but who it is."""
    # Only here, since it takes seconds to import.
    from torch_geometric.datasets import KarateClub  # noqa: PLC0415

    graph = KarateClub()[0]
    return as_graph_data(RawGraph("karate-club", graph.x, graph.edge_index, graph.y), settings)
