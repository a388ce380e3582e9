"""Which objects are an experiment's own: those whose controller reference says so, by uid.

Labels prove nothing: whoever may create pods may write any.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

from kubenas.api.base import GROUP
from kubenas.cluster.client import Object
from kubenas.cluster.names import TRIAL_LABEL
from kubenas.experiment.state import trial_name


def controller_uid(document: Object, kind: Literal["NASExperiment", "NASTrial"]) -> str | None:
    """The uid of the object of that kind that controls `document`; None where none does."""
    for reference in document["metadata"].get("ownerReferences") or ():
        group = str(reference.get("apiVersion", "")).partition("/")[0]
        if reference.get("controller") and reference.get("kind") == kind and group == GROUP:
            return str(reference.get("uid"))
    return None


def is_trial(document: Object, experiment: str, uid: str) -> bool:
    """Whether a trial was made for the experiment of that name and uid, and not by someone who only says so."""
    owned = controller_uid(document, "NASExperiment") == uid
    return owned and bool(document["metadata"]["name"] == trial_name(experiment, document["spec"]["number"]))


def is_attempt(document: Object, experiment: str, trial_uids: Mapping[str, str]) -> bool:
    """Whether a pod was made for a trial of the experiment of that name; of one that is deleted by now, perhaps.

    Args:
        document: the pod.
        experiment: its name.
        trial_uids: by the names of its known trials.
    """
    owner = controller_uid(document, "NASTrial")
    trial = document["metadata"]["labels"].get(TRIAL_LABEL, "")
    number = trial.removeprefix(f"{experiment}-")
    if owner is None or not number.isdecimal() or trial != trial_name(experiment, int(number)):
        return False
    return trial_uids.get(trial, owner) == owner
