"""What is wrong with a trial template, as far as it would break the merge over the operator's own pod.

All else in it is the apiserver's to judge, when the pod is created.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any, Final

from kubenas.api.base import GROUP
from kubenas.api.errors import SpecError
from kubenas.api.experiment import TrialTemplate

_LABEL_KEY: Final = re.compile(
    r"(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
)
_QUANTITY: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[numkKMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?")
# Also what was meant as a placeholder but is spelt wrong.
_PLACEHOLDER: Final = re.compile(r"\$\(kubenas\.([^)]*)\)")
_QUOTE: Final = "must be a string: put it in quotes"


def template_problems(
    template: TrialTemplate, decisions: Collection[str], candidates_per_trial: int
) -> Iterator[SpecError]:
    """The template's problems, with paths from the template's root.

    Args:
        template: the template.
        decisions: names that `$(kubenas.NAME)` may stand for.
        candidates_per_trial: placeholders need it to be 1, since one pod then has one architecture.
    """
    for field, keys in (("labels", template.metadata.labels), ("annotations", template.metadata.annotations)):
        for key in keys:
            if not _LABEL_KEY.fullmatch(key):
                yield SpecError(f"metadata.{field}[{key}]", "is no valid key: write for example example.com/team")
            elif key.startswith(f"{GROUP}/"):
                yield SpecError(f"metadata.{field}[{key}]", f"keys that begin with {GROUP}/ are the operator's own")
    yield from _pod_problems(template.spec)
    for path, text in _strings(template.spec, "spec"):
        for name in _PLACEHOLDER.findall(text):
            if name not in decisions:
                yield SpecError(
                    path, f"$(kubenas.{name}) names no decision of the search space, which has {_listed(decisions)}"
                )
            elif candidates_per_trial > 1:
                yield SpecError(path, f"$(kubenas.{name}) needs trials.candidatesPerTrial to be 1")


def _pod_problems(pod: Mapping[str, Any]) -> Iterator[SpecError]:
    if pod.get("restartPolicy", "Never") != "Never":
        yield SpecError("spec.restartPolicy", "must be Never: failed trials are retried, see trials.retries")
    yield from _keyed_list_problems(pod, "volumes", "name", "spec")
    for field in ("containers", "initContainers"):
        yield from _keyed_list_problems(pod, field, "name", "spec")
        for index, container in enumerate(_objects(pod.get(field))):
            yield from _container_problems(container, f"spec.{field}[{index}]")


def _container_problems(container: Mapping[str, Any], path: str) -> Iterator[SpecError]:
    for field in ("image", "workingDir"):
        if not isinstance(container.get(field, ""), str):
            yield SpecError(f"{path}.{field}", _QUOTE)
    for field in ("command", "args"):
        arguments = container.get(field, [])
        if not isinstance(arguments, list):
            yield SpecError(f"{path}.{field}", "must be a list of strings")
            continue
        for index, argument in enumerate(arguments):
            if not isinstance(argument, str):
                yield SpecError(f"{path}.{field}[{index}]", _QUOTE)
    yield from _keyed_list_problems(container, "env", "name", path)
    for index, variable in enumerate(_objects(container.get("env"))):
        if not isinstance(variable.get("value", ""), str):
            yield SpecError(f"{path}.env[{index}].value", _QUOTE)
    yield from _keyed_list_problems(container, "volumeMounts", "mountPath", path)
    yield from _resource_problems(container.get("resources", {}), f"{path}.resources")


def _resource_problems(resources: object, path: str) -> Iterator[SpecError]:
    if not isinstance(resources, Mapping):
        yield SpecError(path, "must be an object with limits and requests")
        return
    for field in ("limits", "requests"):
        quantities = resources.get(field, {})
        if not isinstance(quantities, Mapping):
            yield SpecError(f"{path}.{field}", "must be an object such as {cpu: 2, memory: 4Gi}")
            continue
        for name, quantity in quantities.items():
            if isinstance(quantity, bool) or not _QUANTITY.fullmatch(str(quantity)):
                yield SpecError(f"{path}.{field}[{name}]", f"{quantity!r} is no quantity: write for example 2 or 4Gi")


def _keyed_list_problems(parent: Mapping[str, Any], field: str, key: str, path: str) -> Iterator[SpecError]:
    """A list that is merged item by item: each must be an object, told apart by `key`."""
    path = f"{path}.{field}"
    items = parent.get(field, [])
    if not isinstance(items, list):
        yield SpecError(path, f"must be a list of objects, each with a {key}")
        return
    seen: set[str] = set()
    for index, item in enumerate(items):
        if not isinstance(item, Mapping):
            yield SpecError(f"{path}[{index}]", f"must be an object with a {key}")
        elif not isinstance(item.get(key), str) or not item[key]:
            yield SpecError(f"{path}[{index}].{key}", "is required, as a string")
        elif item[key] in seen:
            yield SpecError(f"{path}[{index}].{key}", f"{item[key]!r} is there twice: each {key} must be unique")
        else:
            seen.add(item[key])


def _objects(items: object) -> list[Mapping[str, Any]]:
    """`items`, each replaced by an empty object where it is none: that is reported elsewhere."""
    return [item if isinstance(item, Mapping) else {} for item in items] if isinstance(items, list) else []


def _strings(document: object, path: str) -> Iterator[tuple[str, str]]:
    """Every string in `document` with its path."""
    if isinstance(document, str):
        yield path, document
    elif isinstance(document, Mapping):
        for key, value in document.items():
            yield from _strings(value, f"{path}.{key}")
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from _strings(value, f"{path}[{index}]")


def _listed(names: Collection[str]) -> str:
    return ", ".join(sorted(names))
