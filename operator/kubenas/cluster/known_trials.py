"""What is remembered of an experiment's trials beside its ledger: which there are, and which have not ended."""

from __future__ import annotations

from collections.abc import Mapping

from kubenas.cluster.versions import Versions
from kubenas.experiment.state import Trial


class KnownTrials:
    """Trials by name.

    Attributes:
        versions: of all trials that were heard of.
    """

    def __init__(self) -> None:
        self.versions = Versions()
        self._uids: dict[str, str] = {}
        # The newest of what has not ended; the ledger may not know it yet.
        self._unfinished: dict[str, Trial] = {}

    @property
    def uids(self) -> Mapping[str, str]:
        """Of those that exist."""
        return self._uids

    def put(self, trial: Trial) -> bool:
        """Take in a trial; whether it is another one than was known by its name."""
        other = self._uids.get(trial.name) != trial.uid
        self._uids[trial.name] = trial.uid
        self._unfinished.pop(trial.name, None)
        if not trial.finished:
            self._unfinished[trial.name] = trial
        return other

    def drop(self, name: str) -> None:
        """Forget a trial."""
        self._unfinished.pop(name, None)
        self._uids.pop(name, None)

    def unfinished(self, name: str) -> Trial | None:
        """A trial that has not ended."""
        return self._unfinished.get(name)

    def has_ended(self, name: str) -> bool:
        """Whether a trial is known to have ended."""
        return name in self._uids and name not in self._unfinished
