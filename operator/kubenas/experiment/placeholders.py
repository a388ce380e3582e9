"""`$(kubenas.NAME)` and `$(kubenas.NAME:DEFAULT)` in a trial template: the value of the decision NAME."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any, Final

from kubenas.api.errors import SpecError
from kubenas.api.trial import Candidate
from kubenas.experiment.contract import escaped
from kubenas.space.decisions import Decision

# As the kubelet, which makes one $ of two: what follows them is no reference.
_PLACEHOLDER: Final = re.compile(r"\$\$|\$\(kubenas\.([^():]+)(?::([^()]*))?\)")
# Also what was meant as one but is spelt wrong.
_MEANT: Final = re.compile(r"\$\$|(\$\(kubenas\.[^)]*\)?)")
# What can be left out as a whole: a string in a list, such as an argument, and a variable.
_OPTIONAL: Final = re.compile(r".*(?:\]|\.env\[\d+\]\.value)")
_EXPANDED: Final = frozenset({"command", "args", "env"})
_LISTED: Final = 12


def substitute(document: Any, candidates: Sequence[Candidate]) -> Any:
    """`document` with the first candidate's values in place of placeholders.

    A string in a list, or an object there with a `value`, is left out where the decision is switched off and the
    placeholder has no default. Other `$(…)` are left to the kubelet.
    """
    return _filled(document, candidates[0].architecture or {}, expanded=False)


def _filled(document: Any, architecture: Mapping[str, Any], *, expanded: bool) -> Any:
    """`expanded`: whether the kubelet expands these strings, so that a value's own `$` must be doubled."""

    def value(match: re.Match[str]) -> str:
        if match[1] in architecture:
            text = str(architecture[match[1]])
            return escaped(text) if expanded else text
        return match[0] if match[2] is None else match[2]

    if isinstance(document, str):
        return _PLACEHOLDER.sub(value, document)
    if isinstance(document, dict):
        return {
            key: _filled(inner, architecture, expanded=expanded or key in _EXPANDED) for key, inner in document.items()
        }
    if isinstance(document, list):
        return [_filled(item, architecture, expanded=expanded) for item in document if not _off(item, architecture)]
    return document


def _off(item: object, architecture: Mapping[str, Any]) -> bool:
    text = item.get("value") if isinstance(item, dict) else item
    return isinstance(text, str) and any(
        match[1] is not None and match[1] not in architecture and match[2] is None
        for match in _PLACEHOLDER.finditer(text)
    )


def placeholder_problems(
    document: Mapping[str, Any], path: str, decisions: Mapping[str, Decision], candidates_per_trial: int
) -> Iterator[SpecError]:
    """What is wrong with the placeholders in `document`, which is at `path`.

    Args:
        document: part of a pod's specification.
        path: where it is.
        decisions: what placeholders may stand for, by name.
        candidates_per_trial: placeholders need it to be 1, since one pod then has one architecture.
    """
    for at, text, before in _strings(document, path):
        for meant in filter(None, (match[1] for match in _MEANT.finditer(text))):
            placeholder = _PLACEHOLDER.fullmatch(meant)
            if placeholder is None:
                yield SpecError(at, f"{meant} is no placeholder: write $(kubenas.NAME) or $(kubenas.NAME:DEFAULT)")
            elif (decision := decisions.get(placeholder[1])) is None:
                yield SpecError(at, f"{meant} names no decision of the search space, which has {_listed(decisions)}")
            elif candidates_per_trial > 1:
                yield SpecError(at, f"{meant} needs trials.candidatesPerTrial to be 1")
            elif decision.when is not None and placeholder[2] is None:
                yield from _without_default(at, text, before, meant, decision.when.decision)


def _without_default(at: str, text: str, before: object, meant: str, switch: str) -> Iterator[SpecError]:
    """A decision that may be switched off must leave something that makes sense without it."""
    default = f"give a default, {meant[:-1]}:DEFAULT)"
    if not _OPTIONAL.fullmatch(at):
        yield SpecError(at, f"{meant} has no value where {switch} switches it off: {default}")
    elif isinstance(before, str) and before.startswith("-") and "=" not in before and text == meant:
        yield SpecError(
            at,
            f"is left out where {switch} switches it off, but not {before} before it: write one argument, "
            f"{before}={meant}, or {default}",
        )


def _strings(document: object, path: str, before: object = None) -> Iterator[tuple[str, str, object]]:
    """Every string in `document` with its path, and what comes before it in its list."""
    if isinstance(document, str):
        yield path, document, before
    elif isinstance(document, Mapping):
        for key, value in document.items():
            yield from _strings(value, f"{path}.{key}")
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from _strings(value, f"{path}[{index}]", document[index - 1] if index else None)


def _listed(names: Collection[str]) -> str:
    shown = sorted(names)[:_LISTED]
    return ", ".join(shown) + (f" and {len(names) - _LISTED} more" if len(names) > _LISTED else "")
