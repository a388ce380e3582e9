"""By how much a CEL expression is violated: its conjuncts, and the gap between the sides of each comparison."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

_TOKEN: Final = re.compile(
    r"""(?P<text>"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*')|(?P<mark>&&|\|\||\?|<=|>=|==|!=|[<>()\[\]{}])"""
)
_COMPARISONS: Final = frozenset({"<", "<=", ">", ">=", "=="})

# The violation of a conjunct that is no comparison of numbers.
FARTHEST: Final = 2.0


@dataclass(frozen=True)
class Conjunct:
    """One operand of `&&`, with both sides where it is a comparison."""

    expression: str
    sides: tuple[str, str] | None = None

    def gap(self, evaluate: Callable[[str], object]) -> float:
        """The violation of one that is not true: from 1 to `FARTHEST`, less the nearer both sides are.

        Args:
            evaluate: gives the value of an expression, or None where it has none.
        """
        if self.sides is None:
            return FARTHEST
        left, right = (evaluate(side) for side in self.sides)
        if not (_is_number(left) and _is_number(right)):
            return FARTHEST
        apart = math.log1p(abs(float(left) - float(right)))  # type: ignore[arg-type]
        return 1.0 + apart / (1.0 + apart) if math.isfinite(apart) else FARTHEST


def conjuncts(expression: str) -> list[Conjunct]:
    """The operands of `a && b && …`; any other expression is its only one."""
    if '"""' in expression or "'''" in expression:
        return [Conjunct(expression)]
    depth, found = 0, []
    for token in _TOKEN.finditer(expression):
        mark = token["mark"]
        if mark is None:
            continue
        if mark in "([{":
            depth += 1
        elif mark in ")]}":
            depth -= 1
        elif depth == 0:
            found.append((token.start(), token.end(), mark))
    if any(mark in ("||", "?") for *_, mark in found):
        return [Conjunct(expression)]
    parts: list[Conjunct] = []
    begin = 0
    for start, end in [(start, end) for start, end, mark in found if mark == "&&"] + [(len(expression), 0)]:
        within = [one for one in found if begin <= one[0] < start]
        parts.append(_conjunct(expression, begin, start, within))
        begin = end
    return parts


def _conjunct(expression: str, begin: int, end: int, marks: Sequence[tuple[int, int, str]]) -> Conjunct:
    part = expression[begin:end].strip()
    if len(marks) != 1 or marks[0][2] not in _COMPARISONS:
        return Conjunct(part)
    (at, after, _) = marks[0]
    return Conjunct(part, (expression[begin:at].strip(), expression[after:end].strip()))


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
