"""Reads what the runs of other experiments, in folders beside, bring to one that begins."""

from __future__ import annotations

from kubenas.api.errors import SpecError
from kubenas.api.experiment import NASExperiment
from kubenas.api.status import Imported
from kubenas.experiment.warm_start import imported
from kubenas.local.documents import trial_of
from kubenas.local.folder import StateError, StateFolder
from kubenas.space.base import Space


def brought(experiment: NASExperiment, space: Space, folder: StateFolder) -> list[Imported]:
    """What each entry of `warmStart` brings.

    Args:
        experiment: the one that begins.
        space: what it searches.
        folder: its state.

    Raises:
        StateError: an entry cannot bring anything; the message names it.
    """
    entries = enumerate(experiment.spec.warm_start)
    return [_brought(experiment, space, folder, index, entry.experiment) for index, entry in entries]


def _brought(experiment: NASExperiment, space: Space, folder: StateFolder, index: int, name: str) -> Imported:
    beside = StateFolder(folder.path.resolve().parent / name)
    try:
        source, documents, unreadable = beside.load_readable()
        return imported(experiment, space, name, source, map(trial_of, documents), unreadable)
    except StateError as error:
        raise StateError(f"spec.warmStart[{index}].experiment: {error}: mend the file, or remove this entry") from None
    except SpecError as error:
        where = f" (looked for in {beside.path})"
        raise StateError(f"{error.within(f'spec.warmStart[{index}]')}{where}") from None
