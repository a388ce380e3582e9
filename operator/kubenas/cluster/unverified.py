"""Ended trials that may be gone: nobody watches trials, but their pods go with them."""

from __future__ import annotations


class UnverifiedTrials:
    """Which ended trials of an experiment somebody may have deleted, by what became of their pods.

    A pod that the operator deletes itself says nothing of its trial, and costs no request.
    """

    def __init__(self) -> None:
        self._stopped: set[str] = set()
        self._names: set[str] = set()

    def names(self) -> list[str]:
        """Names of the trials to read again."""
        return sorted(self._names)

    def stopping(self, pod: str) -> None:
        """The operator is about to delete a pod."""
        self._stopped.add(pod)

    def pod_deleted(self, pod: str, ended_trial: str | None) -> None:
        """A pod has gone; `ended_trial` is its trial where that is known to have ended."""
        if pod not in self._stopped and ended_trial is not None:
            self._names.add(ended_trial)
        self._stopped.discard(pod)

    def verified(self, trial: str) -> None:
        """A trial was read again, or is known to be gone."""
        self._names.discard(trial)
