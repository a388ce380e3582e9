"""An experiment gone on with from what an earlier run has left."""

from __future__ import annotations

from kubenas.api.experiment import NASExperiment
from kubenas.api.status import ExperimentStatus
from kubenas.local.folder import StateError, StateFolder, changed_field


def resumed(experiment: NASExperiment, folder: StateFolder) -> NASExperiment:
    """`experiment` with the status that an earlier run has left, written down before any trial is.

    Raises:
        StateError: the folder belongs to an experiment that this one cannot go on with.
    """
    old = folder.load_experiment()
    generation, status = 1, ExperimentStatus()
    if old:
        field = changed_field(old, experiment)
        if field:
            raise StateError(
                f"{field}: is not what the trials in {folder.path} were run with: change it back, "
                "or choose another --state to start over"
            )
        generation, status = old.metadata.generation + (old.spec != experiment.spec), old.status
    metadata = experiment.metadata.model_copy(update={"generation": generation})
    found = experiment.model_copy(update={"metadata": metadata, "status": status})
    folder.save_experiment(found)
    return found
