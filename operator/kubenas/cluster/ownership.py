"""Which objects are an experiment's own: those whose controller reference says so, by uid.

Labels prove nothing: whoever may create pods may write any.
"""

from __future__ import annotations

from typing import Literal

from kubenas.api.base import GROUP
from kubenas.cluster.client import Object


def controller_uid(document: Object, kind: Literal["NASExperiment", "NASTrial"]) -> str | None:
    """The uid of the object of that kind that controls `document`; None where none does."""
    for reference in document["metadata"].get("ownerReferences") or ():
        group = str(reference.get("apiVersion", "")).partition("/")[0]
        if reference.get("controller") and reference.get("kind") == kind and group == GROUP:
            return str(reference.get("uid"))
    return None
