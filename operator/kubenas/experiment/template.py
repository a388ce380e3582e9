"""What is wrong with a trial template, as far as it would break the merge over the operator's own pod.

All else in it is the apiserver's to judge, when the pod is created.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, Final

from kubenas.api.base import GROUP
from kubenas.api.errors import SpecError
from kubenas.api.queue import PRIORITY_LABEL, QUEUE_LABEL
from kubenas.api.template import Alternative, TrialTemplate
from kubenas.experiment.contract import TRAINER
from kubenas.experiment.merge import DIRECTIVE, MERGE_KEYS, RETAIN_KEYS
from kubenas.experiment.placeholders import placeholder_problems
from kubenas.space.decisions import Decision

_LABEL_KEY: Final = re.compile(
    r"(?:[a-z0-9](?:[-a-z0-9.]{0,251}[a-z0-9])?/)?[A-Za-z0-9](?:[-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
)
# What gives a pod Kueue's labels, so that it is held, told of and made anew as its queue asks for.
_QUEUED_BY: Final = {
    QUEUE_LABEL: "spec.queueName, or queueName of an alternative",
    PRIORITY_LABEL: "spec.workloadPriorityClass",
}
_QUANTITY: Final = re.compile(r"[+-]?(?:\d+\.?\d*|\.\d+)(?:[numkKMGTPE]|[KMGTPE]i|[eE][+-]?\d+)?")
_REPLACES: Final = {DIRECTIVE: "replace"}
_QUOTE: Final = "must be a string: put it in quotes"


def template_problems(
    template: TrialTemplate, decisions: Mapping[str, Decision], candidates_per_trial: int
) -> Iterator[SpecError]:
    """The template's problems and its alternatives', with paths from the template's root.

    Args:
        template: the template.
        decisions: what `$(kubenas.NAME)` may stand for, by name.
        candidates_per_trial: placeholders need it to be 1, since one pod then has one architecture.
    """
    yield from _patch_problems(template, decisions, candidates_per_trial)
    for index, alternative in enumerate(template.alternatives):
        for problem in _patch_problems(alternative, decisions, candidates_per_trial):
            yield problem.within(f"alternatives[{index}]")


def _patch_problems(
    template: TrialTemplate | Alternative, decisions: Mapping[str, Decision], candidates_per_trial: int
) -> Iterator[SpecError]:
    for field, keys in (("labels", template.metadata.labels), ("annotations", template.metadata.annotations)):
        for key in keys:
            if not _LABEL_KEY.fullmatch(key):
                yield SpecError(f"metadata.{field}[{key}]", "is no valid key: write for example example.com/team")
            elif key.startswith(f"{GROUP}/"):
                yield SpecError(f"metadata.{field}[{key}]", f"keys that begin with {GROUP}/ are the operator's own")
    for key, instead in _QUEUED_BY.items():
        if key in template.metadata.labels:
            yield SpecError(f"metadata.labels[{key}]", f"is set by the operator: remove it, and give {instead}")
    yield from _pod_problems(template.spec)
    yield from _directive_problems(template.spec, "spec")
    yield from placeholder_problems(template.spec, "spec", decisions, candidates_per_trial)


def _pod_problems(pod: Mapping[str, Any]) -> Iterator[SpecError]:
    if pod.get("restartPolicy", "Never") != "Never":
        yield SpecError("spec.restartPolicy", "must be Never: failed trials are retried, see trials.retries")
    if DIRECTIVE in pod or RETAIN_KEYS in pod:
        yield SpecError("spec", f"has {DIRECTIVE} or {RETAIN_KEYS}: put it into what is to be replaced")
    for field in MERGE_KEYS.keys() & pod.keys():
        yield from _keyed_list_problems(pod, field, "spec")
    yield from _trainer_problems(pod.get("containers"))
    for field in ("containers", "initContainers"):
        for index, container in enumerate(_objects(pod.get(field))):
            yield from _container_problems(container, f"spec.{field}[{index}]")


def _trainer_problems(containers: object) -> Iterator[SpecError]:
    """The pod must have the container that the operator watches."""
    items = _objects(containers)
    for index, item in enumerate(items):
        if item.get("name") == TRAINER and item.get(DIRECTIVE) == "delete":
            yield SpecError(f"spec.containers[{index}]", f"{TRAINER} cannot be deleted: it is the trial's program")
    if _REPLACES in items and not any(item.get("name") == TRAINER for item in items):
        yield SpecError("spec.containers", f"are replaced by others without {TRAINER}: name one of them {TRAINER}")


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
    for field in MERGE_KEYS.keys() & container.keys():
        yield from _keyed_list_problems(container, field, path)
    for index, variable in enumerate(_objects(container.get("env"))):
        if not isinstance(variable.get("value", ""), str):
            yield SpecError(f"{path}.env[{index}].value", _QUOTE)
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


def _keyed_list_problems(parent: Mapping[str, Any], field: str, path: str) -> Iterator[SpecError]:
    """A list that is merged item by item: each must be an object, told apart by its key, or replace the list."""
    path, key = f"{path}.{field}", MERGE_KEYS[field]
    items = parent[field]
    if items is None:
        return
    if not isinstance(items, list):
        yield SpecError(path, f"must be a list of objects, each with a {key}")
        return
    seen: set[object] = set()
    for index, item in enumerate(items):
        if not isinstance(item, Mapping):
            yield SpecError(f"{path}[{index}]", f"must be an object with a {key}")
        elif item == _REPLACES:
            continue
        elif item.get(DIRECTIVE) == "replace":
            yield SpecError(f"{path}[{index}]", f"must have nothing beside {DIRECTIVE}: it replaces the whole list")
        elif key == "containerPort":
            if not isinstance(item.get(key), int):
                yield SpecError(f"{path}[{index}].{key}", "is required, as a number")
        elif not isinstance(item.get(key), str) or not item[key]:
            yield SpecError(f"{path}[{index}].{key}", "is required, as a string")
        elif item[key] in seen:
            yield SpecError(f"{path}[{index}].{key}", f"{item[key]!r} is there twice: each {key} must be unique")
        else:
            seen.add(item[key])


def _directive_problems(document: object, path: str) -> Iterator[SpecError]:
    """Directives of a strategic merge that there are not here."""
    if isinstance(document, Mapping):
        for key, value in document.items():
            if key == DIRECTIVE and value not in ("replace", "delete"):
                yield SpecError(f"{path}.{key}", f"must be replace or delete, not {value!r:.80}")
            elif key == RETAIN_KEYS and not (isinstance(value, list) and document.keys() - {key} <= {*map(str, value)}):
                yield SpecError(f"{path}.{key}", "must be a list of fields, with all those beside it")
            elif key.startswith("$") and key not in (DIRECTIVE, RETAIN_KEYS):
                yield SpecError(f"{path}.{key}", f"is no directive: there are {DIRECTIVE} and {RETAIN_KEYS}")
            yield from _directive_problems(value, f"{path}.{key}")
    elif isinstance(document, list):
        for index, value in enumerate(document):
            yield from _directive_problems(value, f"{path}[{index}]")


def _objects(items: object) -> list[Mapping[str, Any]]:
    """`items`, each replaced by an empty object where it is none: that is reported elsewhere."""
    return [item if isinstance(item, Mapping) else {} for item in items] if isinstance(items, list) else []
