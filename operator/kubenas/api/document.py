"""Reads YAML as kubectl does: by go-yaml's rules into what JSON can say (sigs.k8s.io/yaml, YAML 1.1)."""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass, field
from decimal import Decimal
from typing import Any, Final

import yaml

from kubenas.api.base import MAX_DEPTH
from kubenas.api.errors import SpecError

MAX_VALUES: Final = 500_000

_PLAIN: Final = "plain"
_TAG: Final = "tag:yaml.org,2002:"
_WORDS: Final[dict[str, bool | None]] = {
    form: value
    for words, value in (("y yes true on", True), ("n no false off", False), ("null", None))
    for word in words.split()
    for form in (word, word.capitalize(), word.upper())
} | {"": None, "~": None}
_SPECIAL: Final = {f"{sign}{form}" for form in (".inf", ".Inf", ".INF") for sign in ("", "+", "-")} | {
    ".nan",
    ".NaN",
    ".NAN",
}
_INT: Final = re.compile(
    r"([-+]?)(?:0[xX](?P<x>[0-9a-fA-F]+)|0[bB](?P<b>[01]+)|0[oO]?(?P<o>[0-7]+)|(?P<d>0|[1-9][0-9]*))"
)
_BASES: Final = {"x": 16, "b": 2, "o": 8, "d": 10}
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_FRACTION: Final = re.compile(r"\.[0-9]+(?:_[0-9]+)*(?:[eE][-+]?[0-9]+(?:_[0-9]+)*)?")
_PART: Final = re.compile(r"\[(\d+)\]|([^.\[\]]+)")


class DocumentError(ValueError):
    """A text that is no YAML document, or none that JSON could say.

    Attributes:
        line: where, from 1; None where it is about the whole text.
    """

    def __init__(self, message: str, line: int | None = None) -> None:
        super().__init__(message)
        self.line = line


@dataclass(frozen=True, slots=True)
class Document:
    """One YAML document.

    Attributes:
        value: what JSON would say.
        problems: what is wrong with fields, whatever they mean.
    """

    value: Any
    problems: tuple[SpecError, ...]
    _root: yaml.Node

    def line(self, path: str) -> int:
        """Line of the field `path`, or of the deepest part of the path that there is; from 1."""
        node, line = self._root, self._root.start_mark.line + 1
        for index, key in _PART.findall(path):
            if index and isinstance(node, yaml.SequenceNode) and int(index) < len(node.value):
                node = node.value[int(index)]
                line = node.start_mark.line + 1
                continue
            entries = node.value if isinstance(node, yaml.MappingNode) else ()
            entry = next(((k, v) for k, v in reversed(entries) if k.value == key), None)
            if entry is None:
                break
            line, node = entry[0].start_mark.line + 1, entry[1]
        return line


def read_document(text: str) -> Document:
    """The one document in `text`; empty ones, such as after a last ``---``, do not count.

    Raises:
        DocumentError: it is no YAML, or holds no document, or several.
    """
    # JSON may be indented with tabs and has no others; YAML may not.
    text = text.replace("\t", " ") if _is_json(text) else text
    try:
        _check_depth(text)
        every = list(yaml.compose_all(text, _Composer))
    except yaml.MarkedYAMLError as error:
        raise DocumentError(f"is not YAML: {error.problem}", _line(error.problem_mark)) from None
    except yaml.YAMLError as error:
        raise DocumentError(f"is not YAML: {str(error).splitlines()[0]}") from None
    roots = [root for root in every if not _is_null(root)] or every[:1]
    if not roots:
        raise DocumentError("is empty: write one object")
    if len(roots) > 1:
        raise DocumentError(f"holds {len(roots)} documents: put each into a file of its own")
    reading = _Reading()
    value = reading.value(roots[0], "", 0)
    return Document(value, tuple(reading.problems), roots[0])


class _Composer(yaml.SafeLoader):
    """Tells plain scalars from others, and leaves it to `_Reading` what they mean."""

    def resolve(self, kind: type[yaml.Node], value: Any, implicit: Any) -> str:  # noqa: ARG002
        return _PLAIN if kind is yaml.ScalarNode and implicit[0] else f"{_TAG}str"


@dataclass(slots=True)
class _Reading:
    problems: list[SpecError] = field(default_factory=list)
    count: int = 0

    def value(self, node: yaml.Node, path: str, depth: int) -> Any:
        self.count += 1
        if depth > MAX_DEPTH:  # an alias within its own anchor, too
            raise DocumentError(f"is nested deeper than {MAX_DEPTH} levels", _line(node.start_mark))
        if self.count > MAX_VALUES:
            raise DocumentError(f"has over {MAX_VALUES:,} values with its aliases written out")
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, f"{path}[{index}]", depth + 1) for index, item in enumerate(node.value)]
        if isinstance(node, yaml.MappingNode):
            return self._mapping(node, path, depth)
        return self._scalar(node, path)

    def _mapping(self, node: yaml.MappingNode, path: str, depth: int) -> dict[str, Any]:
        found: dict[str, Any] = {}
        written = set()
        for key_node, value_node in node.value:
            if key_node.tag in {_PLAIN, f"{_TAG}merge"} and key_node.value == "<<":
                found |= self._merged(value_node, path, depth)
                continue
            key = self._key(key_node, path)
            inner = f"{path}.{key}" if path else key
            if key in written:
                self.problems.append(SpecError(inner, "is there twice: remove one of them"))
            written.add(key)
            found[key] = self.value(value_node, inner, depth + 1)
        return found

    def _key(self, node: yaml.Node, path: str) -> str:
        if not isinstance(node, yaml.ScalarNode):
            raise DocumentError("a key must be a string, no list or object", _line(node.start_mark))
        key = self._scalar(node, path)
        if isinstance(key, str):
            return key
        if isinstance(key, int) and not isinstance(key, bool) and _INT.fullmatch(node.value):
            return str(key)
        raise DocumentError(
            f"the key {node.value} is {json.dumps(key)} in YAML, no string: put it in quotes", _line(node.start_mark)
        )

    def _merged(self, node: yaml.Node, path: str, depth: int) -> dict[str, Any]:
        """What `<<` brings, of several objects the first one's first."""
        sources = reversed(node.value) if isinstance(node, yaml.SequenceNode) else [node]
        found: dict[str, Any] = {}
        for source in sources:
            if not isinstance(source, yaml.MappingNode):
                raise DocumentError("<< needs an object or a list of objects", _line(node.start_mark))
            found |= self.value(source, path, depth + 1)
        return found

    def _scalar(self, node: yaml.Node, path: str) -> Any:
        text: str = node.value
        kind = node.tag.removeprefix(_TAG)
        if kind in {_PLAIN, "bool", "int", "float", "null"}:
            value = _resolved(text)
            given = "null" if value is None else type(value).__name__
            if kind not in {_PLAIN, given} and (kind, given) != ("float", "int"):
                raise DocumentError(f"{text!r} is no {kind}", _line(node.start_mark))
            if isinstance(value, float) and not math.isfinite(value):
                self.problems.append(SpecError(path, f"{text} is no number that JSON has: write a finite one"))
            return value
        # JSON writes characters beyond 16 bits as pairs.
        try:
            return text.encode("utf-16", "surrogatepass").decode("utf-16")
        except UnicodeDecodeError:
            raise DocumentError("a string has half a character", _line(node.start_mark)) from None


def _resolved(text: str) -> Any:
    """What a plain scalar means."""
    if text in _WORDS:
        return _WORDS[text]
    if text in _SPECIAL:
        return float(text.replace(".", ""))
    if text.startswith("."):
        digits = text.replace("_", "") if _FRACTION.fullmatch(text) else ""
    else:
        digits = text.replace("_", "") if text[0] in "+-0123456789" else ""
    if match := _INT.fullmatch(digits):
        base = next(name for name in _BASES if match[name] is not None)
        whole = int(match[1] + match[base], _BASES[base])
        if -(2**63) <= whole < 2**64:
            return _number(whole)
    if _FLOAT.fullmatch(digits) and math.isfinite(number := float(digits)):
        return _number(number)
    return text


def _number(number: float) -> int | float:
    """As it comes back from JSON as Go writes and reads it: 1e6 is 1000000, and what has over 64 bits a float."""
    if isinstance(number, float) and number.is_integer() and abs(number) < 1e21:
        number = int(Decimal(repr(number)))  # its shortest digits
    return number if isinstance(number, int) and -(2**63) <= number < 2**63 else float(number)


def _check_depth(text: str) -> None:
    """Refuse what is nested too deep before anything recursive reads it."""
    depth = 0
    for event in yaml.parse(text, yaml.SafeLoader):
        depth += isinstance(event, yaml.CollectionStartEvent) - isinstance(event, yaml.CollectionEndEvent)
        if depth > MAX_DEPTH:
            raise DocumentError(f"is nested deeper than {MAX_DEPTH} levels", _line(event.start_mark))


def _is_json(text: str) -> bool:
    try:
        return text.lstrip()[:1] == "{" and isinstance(json.loads(text), dict)
    except (ValueError, RecursionError):
        return False


def _is_null(node: yaml.Node) -> bool:
    return isinstance(node, yaml.ScalarNode) and node.tag == _PLAIN and _resolved(node.value) is None


def _line(mark: Any) -> int:
    return mark.line + 1 if mark else 1
