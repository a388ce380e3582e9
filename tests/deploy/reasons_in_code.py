"""The reasons that KubeNAS' code gives: the words that faults, verdicts, conditions and events are made with."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT: Final = Path(__file__).parents[2]
SOURCES: Final = ("operator/kubenas", "trial_image/kubenas_trial")

# What a reason is given to, and which of its arguments that is.
_GIVEN_TO: Final = {
    "Announcement": 1,
    "ApiError": 1,
    "Fault": 0,
    "Finding": 1,
    "StorageError": 0,
    "TrialError": 0,
    "Verdict": 1,
    "_UnusableError": 1,
    "condition": 2,
    "make": 2,
}
_WORD: Final = re.compile(r"([A-Z][a-z0-9]+)+")


def reasons() -> dict[str, str]:
    """Each reason in the code, with a file that gives it."""
    return {
        reason: str(file.relative_to(ROOT))
        for folder in SOURCES
        for file in sorted((ROOT / folder).rglob("*.py"))
        for reason in _of(ast.parse(file.read_text()))
    }


def _of(module: ast.Module) -> Iterator[str]:
    constants = _constants(module)
    for statement in module.body:
        if isinstance(statement, ast.ImportFrom):
            constants |= _imported(statement)
    # Words that are compared with are others' reasons.
    compared = {id(word) for node in ast.walk(module) if isinstance(node, ast.Compare) for word in ast.walk(node)}
    for given in _given(module):
        for node in ast.walk(given):
            if id(node) in compared:
                continue
            named = constants.get(node.id) if isinstance(node, ast.Name) else node
            words = named.values if isinstance(named, ast.Dict) else [named]
            yield from (
                word.value
                for word in words
                if isinstance(word, ast.Constant) and isinstance(word.value, str) and _WORD.fullmatch(word.value)
            )


def _constants(module: ast.Module) -> dict[str, ast.expr]:
    """What a module's names are assigned."""
    return {
        target.id: node.value
        for node in module.body
        if isinstance(node, ast.Assign)
        for target in node.targets
        if isinstance(target, ast.Name)
    }


def _imported(node: ast.ImportFrom) -> dict[str, ast.expr]:
    """What the names are assigned that are imported from a module of the operator's."""
    file = ROOT / "operator" / f"{(node.module or '').replace('.', '/')}.py"
    known = _constants(ast.parse(file.read_text())) if file.is_file() else {}
    return {alias.name: known[alias.name] for alias in node.names if alias.name in known}


def _given(module: ast.Module) -> Iterator[ast.AST]:
    """The expressions that are reasons."""
    for node in ast.walk(module):
        if isinstance(node, ast.Call):
            name = _name(node.func)
            if name in _GIVEN_TO:
                yield from node.args[_GIVEN_TO[name] : _GIVEN_TO[name] + 1]
            yield from (keyword.value for keyword in node.keywords if keyword.arg == "reason")
        elif isinstance(node, ast.Assign) and any(_name(target) == "reason" for target in node.targets):
            yield node.value
        elif isinstance(node, ast.ClassDef) and any(_name(base) == "TrialError" for base in node.bases):
            yield from (call.args[0] for call in ast.walk(node) if isinstance(call, ast.Call) and _is_super(call))
        elif isinstance(node, ast.FunctionDef):
            yield from (
                default
                for argument, default in zip(node.args.args[::-1], node.args.defaults[::-1], strict=False)
                if argument.arg == "reason"
            )
            if node.name == "reason":
                yield from (inner.value for inner in ast.walk(node) if isinstance(inner, ast.Return) and inner.value)


def _name(node: ast.AST) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _is_super(call: ast.Call) -> bool:
    function = call.func
    if not isinstance(function, ast.Attribute) or function.attr != "__init__" or not call.args:
        return False
    return isinstance(function.value, ast.Call) and _name(function.value.func) == "super"
