"""Strategic merge of a user's pod template over the operator's own, as `kubectl patch` merges pods.

Two things differ, as a template is no difference between two pods: an object with `$patch: replace` also counts where
the operator has none (kubectl drops it), and what is new in a list comes after what is there (kubectl puts it first),
so that variables can refer to the operator's.
"""

from __future__ import annotations

from typing import Any, Final

DIRECTIVE: Final = "$patch"
RETAIN_KEYS: Final = "$retainKeys"
# Lists whose items are merged by a key (the patchMergeKey of the Kubernetes API); all others are replaced.
MERGE_KEYS: Final = {
    "containers": "name",
    "initContainers": "name",
    "ephemeralContainers": "name",
    "volumes": "name",
    "env": "name",
    "ports": "containerPort",
    "volumeMounts": "mountPath",
    "volumeDevices": "devicePath",
    "imagePullSecrets": "name",
    "hostAliases": "ip",
    "topologySpreadConstraints": "topologyKey",
    "resourceClaims": "name",
    "schedulingGates": "name",
    "evictionResponders": "name",
}


def merged(base: Any, patch: Any, field: str = "") -> Any:
    """`patch` over `base`: objects by field, lists by their merge key; null removes, directives are obeyed."""
    if isinstance(base, dict) and isinstance(patch, dict):
        return _merged_object(base, patch)
    key = MERGE_KEYS.get(field)
    if key and isinstance(base, list) and isinstance(patch, list):
        return _merged_list(base, patch, key)
    return _alone(patch)


def _merged_object(base: dict[str, Any], patch: dict[str, Any]) -> dict[str, Any]:
    if patch.get(DIRECTIVE) == "delete":
        return {}
    if patch.get(DIRECTIVE) == "replace":
        return _alone_object(patch)
    retained = patch.get(RETAIN_KEYS, base)
    result = {field: value for field, value in base.items() if field in retained}
    for field, value in patch.items():
        if field == RETAIN_KEYS:
            continue
        if value is None or (field not in result and _deleted(value)):
            result.pop(field, None)
        else:
            result[field] = merged(result.get(field), value, field)
    return result


def _merged_list(base: list[Any], patch: list[Any], key: str) -> list[Any]:
    if any(item.get(DIRECTIVE) == "replace" for item in patch):
        return _alone_list(patch)
    result = {item.get(key): item for item in base}
    for item in patch:
        if _deleted(item):
            result.pop(item.get(key), None)
    for item in patch:
        if not _deleted(item):
            result[item.get(key)] = merged(result.get(item.get(key)), item)
    return list(result.values())


def _alone(patch: Any) -> Any:
    """`patch` over nothing."""
    if isinstance(patch, dict):
        return _alone_object(patch)
    return _alone_list(patch) if isinstance(patch, list) else patch


def _alone_object(patch: dict[str, Any]) -> dict[str, Any]:
    return {
        field: _alone(value)
        for field, value in patch.items()
        if value is not None and field not in {DIRECTIVE, RETAIN_KEYS} and not _deleted(value)
    }


def _alone_list(patch: list[Any]) -> list[Any]:
    return [_alone(item) for item in patch if not (isinstance(item, dict) and DIRECTIVE in item)]


def _deleted(value: object) -> bool:
    return isinstance(value, dict) and value.get(DIRECTIVE) == "delete"
