"""Strategic merge of a user's pod template over the operator's own, as kubectl's patches merge pods."""

from __future__ import annotations

from typing import Any

# Lists whose items are merged by a key (the patchMergeKey of the Kubernetes API); all others are replaced.
_KEYS = {
    "containers": "name",
    "initContainers": "name",
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
}


def merged(base: Any, patch: Any, field: str = "") -> Any:
    """`patch` over `base`: maps by key, lists by their merge key, null removes, `$patch: delete|replace` obeyed."""
    if isinstance(base, dict) and isinstance(patch, dict):
        if patch.get("$patch") == "replace":
            return {k: v for k, v in patch.items() if k != "$patch"}
        result = dict(base)
        for key, value in patch.items():
            if value is None:
                result.pop(key, None)
            else:
                result[key] = merged(base.get(key), value, key)
        return result
    key = _KEYS.get(field)
    if key and isinstance(patch, list):
        return _merged_list(base if isinstance(base, list) else [], patch, key)
    return patch


def _merged_list(base: list[Any], patch: list[Any], key: str) -> list[Any]:
    if any(item == {"$patch": "replace"} for item in patch):
        return [item for item in patch if item != {"$patch": "replace"}]
    result = {item.get(key): item for item in base}
    for item in patch:
        name = item.get(key)
        if item.get("$patch") == "delete":
            result.pop(name, None)
        elif name in result:
            result[name] = merged(result[name], item)
        else:
            result[name] = item
    return list(result.values())
