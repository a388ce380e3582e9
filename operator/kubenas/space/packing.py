"""Many architectures in little text: a trial's program is handed them in one environment variable."""

from __future__ import annotations

import json
import zlib
from base64 import b64decode, b64encode
from collections.abc import Mapping, Sequence
from typing import Any, TypeAlias

# An architecture as JSON has it: the value of each decision that is taken.
Written: TypeAlias = Mapping[str, Any]


def pack(architectures: Mapping[str, Written | None]) -> str:
    """Architectures by the ids of their candidates, as base64 of zlib's format of this JSON object:

    `{"ids": [id, …], "decisions": {name: {"values": [value, …], "indices": [index, …]}}}`: which of the values each
    candidate has, in the order of the ids; -1 where it does not take the decision.
    """
    decisions: dict[str, dict[str, list[Any]]] = {}
    places: dict[str, dict[tuple[type, Any], int]] = {}
    for number, architecture in enumerate(architectures.values()):
        for name, value in (architecture or {}).items():
            column = decisions.setdefault(name, {"values": [], "indices": []})
            known = places.setdefault(name, {})
            # 1, 1.0 and true are equal to Python.
            place = known.setdefault((type(value), value), len(known))
            if place == len(column["values"]):
                column["values"].append(value)
            column["indices"] += [-1] * (number - len(column["indices"])) + [place]
    for column in decisions.values():
        column["indices"] += [-1] * (len(architectures) - len(column["indices"]))
    text = json.dumps({"ids": [*architectures], "decisions": decisions}, separators=(",", ":"))
    return b64encode(zlib.compress(text.encode(), 9)).decode()


def unpack(text: str) -> dict[str, dict[str, Any]]:
    """What `pack` was given.

    Raises:
        ValueError: the text is not what it gives.
    """
    try:
        document = json.loads(zlib.decompress(b64decode(text, validate=True)))
        ids: Sequence[str] = document["ids"]
        found: dict[str, dict[str, Any]] = {str(name): {} for name in ids}
        for name, column in document["decisions"].items():
            for own, index in zip(found.values(), column["indices"], strict=True):
                if index >= 0:
                    own[name] = column["values"][index]
    except (AttributeError, IndexError, KeyError, TypeError, ValueError, zlib.error) as error:
        raise ValueError(f"no packed architectures: {error}") from error
    return found
