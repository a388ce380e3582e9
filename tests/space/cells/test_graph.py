"""Canonical forms and symmetries of graphs, against all ways to renumber."""

from __future__ import annotations

from itertools import permutations

from hypothesis import given
from hypothesis import strategies as st

from kubenas.space.cells.graph import Edge, Graph, canonical, orders


@st.composite
def graphs(draw: st.DrawFn) -> Graph:
    labels = draw(st.lists(st.sampled_from("ab"), min_size=1, max_size=5))
    slots = [(source, target) for target in range(len(labels)) for source in range(target)]
    chosen = {slot: draw(st.sampled_from(["", "x", "none"])) for slot in slots}
    return Graph(tuple(labels), {slot: label for slot, label in chosen.items() if label != "none"})


def _renumbered(graph: Graph, number: tuple[int, ...]) -> Graph:
    labels = [""] * len(number)
    for vertex, place in enumerate(number):
        labels[place] = graph.labels[vertex]
    return Graph(tuple(labels), {(number[s], number[t]): label for (s, t), label in graph.edges.items()})


def _isomorphic(one: Graph, other: Graph) -> int:
    """Number of ways to renumber the one to get the other."""
    if len(one.labels) != len(other.labels):
        return 0
    return sum(_renumbered(one, number) == other for number in permutations(range(len(one.labels))))


@given(graphs(), st.data())
def test_renumbered_graphs_have_one_form(graph: Graph, data: st.DataObject) -> None:
    number = data.draw(st.permutations(range(len(graph.labels))))
    assert canonical(_renumbered(graph, tuple(number))) == canonical(graph)


@given(graphs(), graphs())
def test_forms_are_equal_just_for_isomorphic_graphs(one: Graph, other: Graph) -> None:
    assert (canonical(one).text == canonical(other).text) == (_isomorphic(one, other) > 0)
    assert canonical(one).automorphisms == _isomorphic(one, one)


@given(graphs())
def test_orders_are_those_in_which_edges_go_forward(graph: Graph) -> None:
    def forward(number: tuple[int, ...], edge: Edge) -> bool:
        return number[edge[0]] < number[edge[1]]

    vertices = range(len(graph.labels))
    assert orders(graph, vertices) == sum(
        all(forward(number, edge) for edge in graph.edges) for number in permutations(vertices)
    )
