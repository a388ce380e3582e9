"""The space that a table's architectures belong to, and the architecture of each row."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from random import Random
from typing import Any, Final

from pydantic import ValidationError

from kubenas.api.errors import SpecError, problems_of
from kubenas.api.space import SearchSpace
from kubenas.bench.rows import Rows
from kubenas.space.base import Architecture, InvalidArchitectureError, Space
from kubenas.space.decisions import Decision, When
from kubenas.space.domains import Choice, Number
from kubenas.space.load import build_space

CHOICES: Final = "choices"
# Between positions, the likeliest first: names of operations have hyphens and underscores themselves.
_SEPARATORS: Final = "|;,/~+> :-_"
_MOST_POSITIONS: Final = 256


class ListedSpace(Space):
    """The architectures of a list: some of all ways to choose.

    Where no single change leads to another one of the list, the nearest by Hamming distance are beside it.
    """

    def __init__(self, decisions: Sequence[Decision], listed: Sequence[Architecture]) -> None:
        self._listed = dict.fromkeys(listed)
        self._order = tuple(self._listed)
        super().__init__(decisions, [self._listed.__contains__])

    def sample(self, rng: Random) -> Architecture:
        """One of the list, each as likely as any other."""
        return rng.choice(self._order)

    def size(self) -> int:
        """Length of the list."""
        return len(self._order)

    def enumerate(self) -> Iterator[Architecture]:
        """The list."""
        return iter(self._order)

    def mutate(self, architecture: Architecture, rng: Random) -> Architecture:
        """One of the list with one decision changed, or one of the nearest."""
        mutated = super().mutate(architecture, rng)
        return mutated if mutated != architecture else rng.choice(self._nearest(architecture) or [architecture])

    def neighbours(self, architecture: Architecture) -> list[Architecture]:
        """Those of the list that differ in one decision, or the nearest."""
        return super().neighbours(architecture) or self._nearest(architecture)

    def _nearest(self, architecture: Architecture) -> list[Architecture]:
        differing = {
            other: sum(other.get(name) != architecture.get(name) for name in self.decisions)
            for other in self._order
            if other != architecture
        }
        least = min(differing.values(), default=0)
        return [other for other, count in differing.items() if count == least]


def read_architectures(rows: Rows, columns: Sequence[str], name: str) -> tuple[Space, list[Architecture]]:
    """The space of that name, and what architecture each row is.

    Raises:
        SpecError: the space or a column is unknown, or a row's architecture is none of the space.
    """
    cells = {column: rows.texts(column, "--architecture") for column in columns}
    if name == CHOICES:
        return _choices(rows, cells)
    try:
        space = build_space(SearchSpace.model_validate({"preset": name}))
    except ValidationError as error:
        raise SpecError("--space", f"is {CHOICES} or a preset: {problems_of(error)[0].message}") from None
    return space, _parsed(rows, cells, space)


def _parsed(rows: Rows, cells: Mapping[str, list[str]], space: Space) -> list[Architecture]:
    found = []
    names = _decisions(space, list(cells))
    for index in range(len(rows)):
        texts = [column[index] for column in cells.values()]
        try:
            found.append(space.parse(_document(space, names, texts)))
        except (InvalidArchitectureError, json.JSONDecodeError) as error:
            raise rows.problem(index + 2, f"is no architecture of the space: {error}") from None
    return found


def _decisions(space: Space, columns: list[str]) -> list[str]:
    """What the columns stand for: decisions by their names, or else all decisions in the space's order."""
    decisions = list(space.decisions)
    by_name = set(columns) <= set(decisions) or len(columns) != len(decisions)
    return columns if by_name else decisions


def _document(space: Space, names: Sequence[str], texts: Sequence[str]) -> Any:
    """A row's architecture as `Space.parse` reads it; an empty cell is a decision that is switched off."""
    if len(texts) == 1:
        return json.loads(texts[0]) if texts[0].startswith("{") else texts[0]
    return {name: _value(space, name, text) for name, text in zip(names, texts, strict=True) if text}


def _value(space: Space, name: str, text: str) -> Any:
    """A cell as the decision's value; text that is none of its values is left for the space to refuse."""
    decision = space.decisions.get(name)
    if decision is not None and isinstance(decision.domain, Choice):
        return next((value for value in decision.domain.values if str(value) == text), text)
    if decision is not None and isinstance(decision.domain, Number):
        try:
            return float(text)
        except ValueError:
            return text
    return text


def _choices(rows: Rows, cells: Mapping[str, list[str]]) -> tuple[Space, list[Architecture]]:
    """A choice for each position of the only column, or for each column; those with one category are none.

    Positions are those between separators, or characters. Where rows have several lengths, that is a decision too, and
    switches on what it has room for.
    """
    if len(cells) == 1:
        column, texts = next(iter(cells.items()))
        parts = _parts(rows, column, texts)
        names = [f"{column}.{place}" for place in range(max(map(len, parts)))]
        length = f"{column}.length"
    else:
        names, parts, length = list(cells), list(zip(*cells.values(), strict=True)), "length"
    lengths = {str(len(part)) for part in parts}
    decisions = [Decision(length, Choice(tuple(sorted(lengths, key=int))))] if len(lengths) > 1 else []
    for place, name in enumerate(names):
        domain = tuple(sorted({part[place] for part in parts if len(part) > place}))
        longer = frozenset(size for size in lengths if int(size) > place)
        if len(domain) > 1:
            decisions.append(Decision(name, Choice(domain), When(length, longer) if longer != lengths else None))
    if not decisions:
        raise SpecError("--architecture", f"{', '.join(cells)} is the same in every row, so there is nothing to choose")
    places = {name: place for place, name in enumerate(names)}
    architectures = [
        Architecture(
            {
                decision.name: str(len(part)) if decision.name == length else part[places[decision.name]]
                for decision in decisions
                if decision.when is None or str(len(part)) in decision.when.values
            }
        )
        for part in parts
    ]
    space = Space(decisions)
    if len(set(architectures)) == space.size():
        return space, architectures
    return ListedSpace(decisions, architectures), architectures


def _parts(rows: Rows, column: str, texts: Sequence[str]) -> list[tuple[str, ...]]:
    """What each text has at its positions."""
    separator = next((each for each in _SEPARATORS if any(each in text.strip(each) for text in texts)), None)
    parts = [tuple(text.strip(separator).split(separator)) if separator else tuple(text) for text in texts]
    for number, (text, part) in enumerate(zip(texts, parts, strict=True), start=2):
        if not all(part) or not part:
            raise rows.problem(number, f"{column} is {text!r:.80}: nothing stands at one of its positions")
        if len(part) > _MOST_POSITIONS:
            raise rows.problem(number, f"{column} has {len(part)} positions: at most {_MOST_POSITIONS} can be searched")
    return parts
