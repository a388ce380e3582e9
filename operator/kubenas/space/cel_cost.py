"""An upper bound of what evaluating a CEL expression costs, without evaluating it.

As the apiserver bounds its own rules: by the sizes of the lists that nested macros iterate over. Operators are not
distinguished, as the bound holds for each of them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Final

from kubenas.api.errors import SpecError

# Brackets within brackets, and operators before one operand.
MAX_DEPTH: Final = 24
# Steps of one evaluation; 30 to 70 ns each, in which the library holds the interpreter's lock.
MAX_COST: Final = 10_000
# Steps of each iteration of a macro in addition to those of what it evaluates.
ITERATION: Final = 4
# Characters of a text that are processed in one step.
_CHARACTERS: Final = 16
_TOKEN: Final = re.compile(
    r"""\s+|//[^\n]*|(?P<text>[bB]?(?:"(?!"")(?:[^"\\\n]|\\.)*"|'(?!'')(?:[^'\\\n]|\\.)*'))"""
    r"|(?P<number>(?:\d+\.\d+|\.\d+|\d)\w*(?:(?<=[eE])[-+]\d+)?)|(?P<name>[A-Za-z_]\w*)"
    r"|(?P<mark>&&|\|\||==|!=|<=|>=|[-+*/%<>!?:.,()\[\]{}])",
    re.ASCII,
)
_TRUTHS: Final = frozenset({"all", "exists", "exists_one", "existsOne"})
_LOGIC: Final = frozenset({"&&", "||", "?", ":"})
_COMPARISONS: Final = frozenset({"==", "!=", "<=", ">=", "<", ">", "in"})
_ARITHMETIC: Final = frozenset({"+", "-", "*", "/", "%"})
# Regular expressions are left out: each evaluation would compile them anew, for up to seconds.
FUNCTIONS: Final = frozenset(
    {"size", "contains", "startsWith", "endsWith", "has", "int", "uint", "double", "string", "type", "dyn"}
)
MACROS: Final = _TRUTHS | {"map", "filter"}


class UnreadableError(ValueError):
    """The expression is not written in the part of CEL that can be bounded."""


@dataclass(frozen=True, slots=True)
class Bound:
    """The most that a value can be, and steps to get there.

    Attributes:
        size: single values in it, nested ones too; a long text counts as several.
        count: elements that a macro goes through.
        each: the size of its largest element.
    """

    size: int = 1
    count: int = 1
    each: int = 1
    cost: int = 1

    def element(self, cost: int = 1) -> Bound:
        """One of its elements; those of an element are no larger than it."""
        return Bound(self.each, self.each, self.each, cost)

    def joined(self, other: Bound) -> Bound:
        """Both under an operator, which may go through what they are, and give all of it."""
        size = self.size + other.size
        return Bound(size, self.count + other.count, max(self.each, other.each), self.cost + other.cost + size)


def check_cost(expression: str, variables: Mapping[str, Bound]) -> int:
    """The steps that an expression may take, whatever values its variables have.

    Args:
        variables: by name, each at its largest.

    Raises:
        SpecError: it costs too much, calls what there is not, or nests too deep.
        UnreadableError: it cannot be read.
    """
    cost = _Reader(expression, variables).whole().cost
    if cost > MAX_COST:
        raise SpecError(
            "",
            f"may take {_count(cost)} steps, but {MAX_COST:,} are allowed: put fewer of all, exists, map and filter "
            "within one another, or let them go through shorter lists",
        )
    return cost


def text_bound(text: str) -> Bound:
    """The bound of a text."""
    size = 1 + len(text) // _CHARACTERS
    return Bound(size, size, size)


def list_bound(elements: Sequence[Bound]) -> Bound:
    """The bound of a list, or of a map's keys and values."""
    size = 1 + sum(element.size for element in elements)
    each = max((element.size for element in elements), default=1)
    return Bound(size, max(1, len(elements)), each, size + sum(element.cost for element in elements))


class _Reader:
    def __init__(self, expression: str, variables: Mapping[str, Bound]) -> None:
        self._tokens = _tokens(expression)
        self._position = 0
        self._depth = 0
        self._variables = dict(variables)

    def whole(self) -> Bound:
        bound = self._expression()
        if self._position < len(self._tokens):
            raise UnreadableError(self._peek())
        return bound

    def _peek(self, ahead: int = 0) -> str:
        position = self._position + ahead
        return self._tokens[position][1] if position < len(self._tokens) else ""

    def _take(self, *expected: str) -> str:
        token = self._peek()
        if not token or (expected and token not in expected):
            raise UnreadableError(token)
        self._position += 1
        return token

    def _expression(self) -> Bound:
        self._depth += 1
        if self._depth > MAX_DEPTH:
            raise SpecError("", f"nests brackets deeper than {MAX_DEPTH}: write it flatter, or as several constraints")
        parts = [self._comparison()]
        chooses = False
        while (operator := self._peek()) in _LOGIC:
            self._take()
            chooses = chooses or operator == "?"
            parts.append(self._comparison())
        self._depth -= 1
        if len(parts) == 1:
            return parts[0]
        cost = len(parts) + sum(part.cost for part in parts)
        if not chooses:
            return Bound(cost=cost)
        size, count, each = (max(column) for column in zip(*((p.size, p.count, p.each) for p in parts), strict=True))
        return Bound(size, count, each, cost)

    def _comparison(self) -> Bound:
        bound, compares = self._operand(), False
        while (operator := self._peek()) in _COMPARISONS | _ARITHMETIC:
            self._take()
            compares = compares or operator in _COMPARISONS
            bound = bound.joined(self._operand())
        return Bound(cost=bound.cost) if compares else bound

    def _operand(self) -> Bound:
        before = 0
        while self._peek() in ("!", "-"):
            self._take()
            before += 1
        if before > MAX_DEPTH:
            raise SpecError("", f"has more than {MAX_DEPTH} of ! and - before one value: leave them out in pairs")
        bound = self._primary()
        while (mark := self._peek()) in (".", "["):
            self._take()
            if mark == "[":
                bound = bound.element(bound.cost + self._expression().cost + 1)
                self._take("]")
            elif self._peek(1) == "(":
                bound = self._method(bound)
            else:
                self._name()
                bound = bound.element(bound.cost + 1)
        return replace(bound, cost=bound.cost + before)

    def _primary(self) -> Bound:
        kind, read = self._tokens[self._position] if self._position < len(self._tokens) else ("", "")
        self._take()
        if kind == "text":
            return text_bound(read)
        if kind == "number":
            return Bound()
        if read == "(":
            bound = self._expression()
            self._take(")")
            return bound
        if read in ("[", "{"):
            return list_bound(self._listed("]" if read == "[" else "}"))
        if kind != "name" or read == "in":
            raise UnreadableError(read)
        if self._peek() == "(":
            _check_called(read, FUNCTIONS)
            self._take("(")
            return _called(self._listed(")"))
        return replace(self._variables.get(read, Bound()), cost=1)

    def _listed(self, end: str) -> list[Bound]:
        """What stands between brackets, up to the last of them."""
        found = []
        while self._peek() != end:
            found.append(self._expression())
            if self._peek() != end:
                self._take(",")
        self._take(end)
        return found

    def _method(self, target: Bound) -> Bound:
        name = self._name()
        _check_called(name, FUNCTIONS | MACROS)
        self._take("(")
        if name not in MACROS:
            return _called([target, *self._listed(")")])
        variable = self._name()
        self._take(",")
        outside, self._variables[variable] = self._variables.get(variable), target.element()
        each = self._listed(")")
        del self._variables[variable]
        if outside is not None:
            self._variables[variable] = outside
        cost = target.cost + target.count * (ITERATION + sum(one.cost for one in each))
        if name in _TRUTHS:
            return Bound(cost=cost)
        largest = max(target.each, *(one.size for one in each), 0)
        # The library copies what it has so far for each further element.
        return Bound(1 + target.count * largest, target.count, largest, cost + target.count**2 * largest // 2)

    def _name(self) -> str:
        if self._position >= len(self._tokens) or self._tokens[self._position][0] != "name":
            raise UnreadableError(self._peek())
        return self._take()


def _called(arguments: Sequence[Bound]) -> Bound:
    """The bound of a call: its result is single, and it may go through all of its arguments."""
    return Bound(cost=1 + sum(one.size + one.cost for one in arguments))


def _tokens(expression: str) -> list[tuple[str, str]]:
    found, position = [], 0
    while position < len(expression):
        match = _TOKEN.match(expression, position)
        if match is None or match.end() == position:
            raise UnreadableError(expression[position : position + 8])
        if match.lastgroup is not None:
            found.append((match.lastgroup, match[0]))
        position = match.end()
    return found


def _check_called(name: str, known: frozenset[str]) -> None:
    if name not in known:
        raise SpecError("", f"calls {name:.63}, which constraints do not have: there are {', '.join(sorted(known))}")


def _count(cost: int) -> str:
    return f"{cost:,}" if cost < 10**9 else "more than a billion"
